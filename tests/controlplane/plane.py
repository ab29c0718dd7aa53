"""Upstream's own control plane on free loopback ports: started for a test or the demo, ended whatever happens."""

import shutil
import socket
import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import requests

from tests.controlplane.build import programs
from tests.controlplane.cluster import Cluster
from tests.controlplane.process import Process
from tests.controlplane.warden import Warden

if TYPE_CHECKING:
    from typing_extensions import Self

READY = 60.0  # seconds; about 4 on an idle machine
NAMESPACES = ("default", "kube-system", "kube-node-lease")  # made shortly after the server calls itself ready


class ControlPlane(Cluster):
    """etcd and kube-apiserver, on request also kube-scheduler and kube-controller-manager.

    `with ControlPlane() as plane:` gives everything that `Cluster` has. Between tests it is shared; who stops the
    API server takes one for himself.
    """

    def __init__(
        self, *, scheduler: bool = False, controller_manager: bool = False, workdir: Path | None = None
    ) -> None:
        """Prepare a control plane; nothing runs before it is entered.

        Args:
            workdir: keeps keys, data and logs and stays; None takes a temporary folder that goes.
        """
        self.temporary = workdir is None
        workdir = Path(tempfile.mkdtemp(prefix="controlplane-")) if workdir is None else workdir.resolve()
        workdir.mkdir(parents=True, exist_ok=True)
        self.sockets = [reserved_port() for _ in range(3)]
        self.api_port, self.etcd_port, self.peer_port = [one.getsockname()[1] for one in self.sockets]
        super().__init__(workdir, f"https://127.0.0.1:{self.api_port}", controller_manager=controller_manager)
        self.warden = Warden()
        if self.temporary:
            self.warden.say("remove", workdir)
        self.wanted = ["kube-scheduler"] * scheduler + ["kube-controller-manager"] * controller_manager
        self.processes: dict[str, Process] = {}

    def __enter__(self) -> "Self":
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the actors, then the programs, and remove the folder if it is ours."""
        super().close()
        for process in reversed(self.processes.values()):
            process.kill()
        for one in self.sockets:
            one.close()
        self.warden.close()
        if self.temporary:
            shutil.rmtree(self.workdir, ignore_errors=True)

    def stop_apiserver(self) -> None:
        """Take the API server away at once; nothing else gets its port meanwhile."""
        self.processes["kube-apiserver"].kill()

    def start_apiserver(self) -> None:
        """Start the API server, again on its port, and wait until it is ready."""
        server = self.processes["kube-apiserver"]
        server.start()
        server.wait_until(self._ready, READY)

    def _start(self) -> None:
        paths = programs("etcd", "kube-apiserver", "kubectl", *self.wanted)
        flags = {"etcd": self._etcd_flags, "kube-apiserver": self._apiserver_flags}
        flags |= {"kube-scheduler": self._scheduler_flags, "kube-controller-manager": self._controller_manager_flags}
        for name in ("etcd", "kube-apiserver", *self.wanted):
            self.processes[name] = Process(paths[name], flags[name](), workdir=self.workdir, warden=self.warden)
        etcd = self.processes["etcd"]
        etcd.start()
        etcd.wait_until(lambda: accepts(self.etcd_port), READY)
        self.start_apiserver()
        for name in self.wanted:
            self.processes[name].start()
        if self.controller_manager:
            self.processes["kube-controller-manager"].wait_until(self._has_default_account, READY)

    def _ready(self) -> bool:
        paths = ["/readyz", *(f"/api/v1/namespaces/{name}" for name in NAMESPACES)]
        try:
            return all(self.admin.raw("GET", path).ok for path in paths)
        except requests.RequestException:
            return False

    def _has_default_account(self) -> bool:
        path = "/api/v1/namespaces/default/serviceaccounts/default"
        return self.admin.raw("GET", path).ok

    def _etcd_flags(self) -> dict[str, object]:
        serving = self.identity("etcd")
        client, peer = f"https://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{self.peer_port}"
        return {
            "name": "test",
            "data-dir": self.workdir / "etcd",
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"test={peer}",
            "socket-reuse-port": "true",
            "cert-file": serving.certificate,
            "key-file": serving.key,
            "client-cert-auth": "true",
            "trusted-ca-file": self.ca_file,
            "unsafe-no-fsync": "true",  # its data are thrown away
            "log-level": "warn",
        }

    def _apiserver_flags(self) -> dict[str, object]:
        serving, to_etcd = self.identity("kube-apiserver"), self.identity("kube-apiserver-etcd-client")
        return {
            "bind-address": "127.0.0.1",
            "secure-port": self.api_port,
            "permit-port-sharing": "true",
            "etcd-servers": f"https://127.0.0.1:{self.etcd_port}",
            "etcd-cafile": self.ca_file,
            "etcd-certfile": to_etcd.certificate,
            "etcd-keyfile": to_etcd.key,
            "tls-cert-file": serving.certificate,
            "tls-private-key-file": serving.key,
            "client-ca-file": self.ca_file,
            "anonymous-auth": "false",
            "authorization-mode": "Node,RBAC",
            "enable-admission-plugins": "NodeRestriction",
            "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
            "service-account-key-file": self.authority.token_key(),
            "service-account-signing-key-file": self.authority.token_key(),
            "service-cluster-ip-range": "10.96.0.0/16",
            "endpoint-reconciler-type": "none",  # a loopback address may not be an endpoint
            "allow-privileged": "true",
            "profiling": "false",
        }

    def _scheduler_flags(self) -> dict[str, object]:
        config = self.kubeconfig("kube-scheduler", self.identity("system:kube-scheduler"))
        return {"kubeconfig": config, "leader-elect": "false", "secure-port": 0}

    def _controller_manager_flags(self) -> dict[str, object]:
        return {
            "kubeconfig": self.kubeconfig("kube-controller-manager", self.identity("system:kube-controller-manager")),
            "leader-elect": "false",
            "secure-port": 0,
            "use-service-account-credentials": "true",
            "service-account-private-key-file": self.authority.token_key(),
            "root-ca-file": self.ca_file,
        }


def reserved_port() -> socket.socket:
    """Bind a free loopback port without listening: who sets SO_REUSEPORT may listen there, nobody else gets it."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    one.bind(("127.0.0.1", 0))
    return one


def accepts(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
