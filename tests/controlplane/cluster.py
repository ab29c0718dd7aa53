"""A running control plane as its users see it: an admin, kubectl, nodes that register, agents with tokens."""

import os
import subprocess
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from tests.controlplane.agents import Agents
from tests.controlplane.build import programs
from tests.controlplane.certs import Authority, KeyPair
from tests.controlplane.installed import BASE, install
from tests.controlplane.kubeconfig import certificate_user, write_kubeconfig
from tests.controlplane.nodes import NodeActor, Taint
from tests.controlplane.pods import PodActor
from tests.controlplane.session import ApiSession

if TYPE_CHECKING:
    from typing_extensions import Self


class KubectlError(Exception):
    """kubectl ended with an error; the text is its command and what it said."""


class Cluster:
    """Access to a control plane that runs here or in another process; its folder holds the keys to it."""

    def __init__(self, workdir: Path, url: str, *, controller_manager: bool) -> None:
        self.workdir = workdir
        self.url = url
        self.controller_manager = controller_manager
        self.authority = Authority(workdir / "tls")
        self.ca_file = self.authority.files.certificate
        self.closing = ExitStack()
        self.admin = self.session(self.identity("admin", "system:masters"), agent="admin")
        self.admin_kubeconfig = self.kubeconfig("admin", self.identity("admin", "system:masters"))
        self.agents = Agents(self)

    def identity(self, name: str, *groups: str) -> KeyPair:
        """Return a client certificate for this user and these groups."""
        return self.authority.issue(name, *groups)

    def session(self, identity: KeyPair | None = None, *, token: str | None = None, agent: str = "test") -> ApiSession:
        """Open a session as somebody; it is closed with the cluster."""
        return self.closing.enter_context(self.new_session(identity, token=token, agent=agent))

    def new_session(
        self, identity: KeyPair | None = None, *, token: str | None = None, agent: str = "test"
    ) -> ApiSession:
        """Return a session that its opener closes; each thread takes one of its own.

        Args:
            agent: the user agent, which the API server also takes as field manager.
        """
        return ApiSession(self.url, self.ca_file, identity=identity, token=token, agent=agent)

    def kubeconfig(self, name: str, identity: KeyPair) -> Path:
        """Write a kubeconfig with a client certificate and return its path."""
        return write_kubeconfig(self.workdir / f"{name}.kubeconfig", self.url, self.ca_file, certificate_user(identity))

    def kubectl(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002  (subprocess calls it so)
        check: bool = True,
        kubeconfig: Path | None = None,
    ) -> str:
        """Run kubectl, by default as admin, and return what it printed.

        Args:
            check: False returns what it printed on both streams even if it failed.
            kubeconfig: None is the admin's.

        Raises:
            KubectlError: it failed and `check` is set.
        """
        command = [str(programs("kubectl")["kubectl"]), *arguments]
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(self.workdir)}
        environment["KUBECONFIG"] = str(kubeconfig or self.admin_kubeconfig)
        done = subprocess.run(command, input=input, env=environment, capture_output=True, text=True, check=False)
        if check and done.returncode != 0:
            raise KubectlError(f"kubectl {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout if check else done.stdout + done.stderr

    def register_node(
        self,
        name: str,
        provider_id: str | None = None,
        labels: dict[str, str] | None = None,
        taints: list[Taint] | None = None,
        address: str = "127.0.0.1",
    ) -> NodeActor:
        """Register a node as its kubelet would, and keep it alive while the cluster is open.

        Args:
            provider_id: None makes one of a VM of this name; "" is a node without a cloud provider.
            labels: besides those that kubelet sets itself.
            address: the node's InternalIP.
        """
        actor = NodeActor(
            self, name, provider_id=provider_id, labels=labels or {}, taints=taints or [], address=address
        )
        self.closing.callback(actor.close)
        actor.register()
        return actor

    def play_pods(self, *nodes: str, ending: float = 1.0) -> PodActor:
        """Play kubelet for the pods bound to these nodes.

        Args:
            ending: seconds that a pod takes to end once asked to, at most its grace period.
        """
        actor = PodActor(self, nodes, ending=ending)
        self.closing.callback(actor.close)
        return actor

    def agent_token(self, node_name: str, namespace: str = "imds-agent", service_account: str = "imds-agent") -> str:
        """Return a fresh token of an agent's pod on this node, as kubelet would mount it."""
        return self.agents.token(node_name, namespace, service_account)

    def agent_kubeconfig(
        self, node_name: str, namespace: str = "imds-agent", service_account: str = "imds-agent"
    ) -> Path:
        """Write a kubeconfig with such a token in a file of its own; called again it rotates the token."""
        return self.agents.kubeconfig(node_name, namespace, service_account)

    def install(self, folder: Path = BASE, *, namespace: str = "imds-agent") -> str:
        """Apply a kustomize folder with our manifests, wait until its policy holds, and return what kubectl said."""
        return install(self, folder, namespace=namespace)

    def close(self) -> None:
        self.closing.close()

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
