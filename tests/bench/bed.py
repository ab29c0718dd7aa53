"""The test bed: a real control plane that keeps an audit log, and for each agent a node and an emulator of its own."""

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import requests

from tests.addresses import free_port
from tests.bench.runtime import ROOT, Runtime, Unmeasurable
from tests.controlplane.cluster import Cluster
from tests.controlplane.nodes import NodeActor
from tests.controlplane.plane import ControlPlane

ACCOUNT = "system:serviceaccount:imds-agent:imds-agent"
PATIENCE = 60.0  # seconds until something that must happen is called missing


class AuditedPlane(ControlPlane):
    """A control plane whose API server writes down each request of agents: the second witness besides their metrics."""

    @property
    def audit_log(self) -> Path:
        """The log, a line of JSON for each answered request."""
        return self.workdir / "audit.log"

    def _apiserver_flags(self) -> dict[str, object]:
        policy = self.workdir / "audit-policy.json"
        rules = [{"level": "Metadata", "users": [ACCOUNT], "omitStages": ["RequestReceived"]}, {"level": "None"}]
        policy.write_text(json.dumps({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules}))
        return super()._apiserver_flags() | {"audit-policy-file": policy, "audit-log-path": self.audit_log}

    def requests_of(self, node: str) -> list[dict[str, Any]]:
        """Return the audit entries of agents about one node, oldest first."""
        lines = self.audit_log.read_text().splitlines() if self.audit_log.exists() else []
        entries = [json.loads(line) for line in lines]
        return [entry for entry in entries if entry.get("objectRef", {}).get("name") == node]


@dataclass(kw_only=True)
class Imds:
    """An emulator in a process of its own, and its admin side."""

    url: str
    admin: str
    session: requests.Session = field(default_factory=requests.Session)

    def add_event(self) -> str:
        """Publish a Reboot; returns its id."""
        answer = self.session.post(f"{self.admin}/events", json={"EventType": "Reboot"}, timeout=10)
        answer.raise_for_status()
        return str(answer.json()["EventId"])

    def remove_event(self, event_id: str) -> None:
        """Take the event away."""
        self.session.delete(f"{self.admin}/events/{event_id}", timeout=10).raise_for_status()


@dataclass(kw_only=True)
class Agent:
    """A running agent."""

    process: "subprocess.Popen[bytes]"
    log: Path
    probes: str

    def check(self) -> None:
        """Raise if it ended."""
        if self.process.poll() is not None:
            raise Unmeasurable(f"the agent ended with {self.process.returncode}:\n{self.log.read_text()[-2000:]}")

    def metrics(self) -> str:
        """Return what /metrics says."""
        answer = requests.get(f"{self.probes}/metrics", timeout=10)
        answer.raise_for_status()
        return answer.text


class Bed:
    """Starts emulators, nodes and agents, and ends them all."""

    def __init__(self, plane: AuditedPlane) -> None:
        self.plane = plane

    @contextmanager
    def node(self) -> Iterator[NodeActor]:
        """A fresh node that is Ready."""
        actor = self.plane.register_node(f"bench-{uuid.uuid4().hex[:8]}")
        try:
            yield actor
        finally:
            actor.close()
            actor.delete()

    @contextmanager
    def imds(self, *flags: str) -> Iterator[Imds]:
        """An emulator with the default VM."""
        command = [sys.executable, "-m", "agent", "emulate", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
        with ended(
            subprocess.Popen([*command, "--output", "json", *flags], stdout=subprocess.PIPE, cwd=ROOT)
        ) as process:
            assert process.stdout is not None
            with process.stdout as said:
                ready = json.loads(said.readline())
                imds = Imds(url=ready["listen"], admin=ready["admin"])
                imds.session.trust_env = False
                with imds.session:
                    yield imds

    def command(self, runtime: Runtime, node: NodeActor, imds: Imds, port: int, *flags: str) -> list[str]:
        """Return how to start an agent with its pod's own token."""
        kubeconfig = self.plane.agent_kubeconfig(node.name)
        given = {"node-name": node.name, "kubeconfig": kubeconfig, "imds-url": imds.url}
        given |= {"probe-address": f"127.0.0.1:{port}", "log-format": "json"}
        return [
            str(runtime.python),
            "-m",
            "agent",
            "run",
            *(f"--{key}={value}" for key, value in given.items()),
            *flags,
        ]

    @contextmanager
    def agent(self, runtime: Runtime, node: NodeActor, imds: Imds, *flags: str) -> Iterator[Agent]:
        """An agent as its own process."""
        port = free_port()
        command = self.command(runtime, node, imds, port, *flags)
        path = self.plane.workdir / f"{node.name}.log"
        with path.open("wb") as log, ended(started(command, runtime, log)) as process:
            yield Agent(process=process, log=path, probes=f"http://127.0.0.1:{port}")


def started(command: list[str], runtime: Runtime, log: IO[bytes]) -> "subprocess.Popen[bytes]":
    """Start a process of the runtime in an empty place."""
    return subprocess.Popen(command, stdout=log, stderr=log, env=runtime.environment(), cwd="/")


@contextmanager
def ended(process: "subprocess.Popen[bytes]") -> Iterator["subprocess.Popen[bytes]"]:
    """End the process afterwards."""
    with process:
        try:
            yield process
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()


@contextmanager
def bed() -> Iterator[Bed]:
    """A control plane with our manifests."""
    with ExitStack() as stack:
        plane = stack.enter_context(AuditedPlane())
        plane.install()
        yield Bed(plane)


def wait_until(what: str, done: Callable[[], bool], agent: Agent | None = None, patience: float = PATIENCE) -> None:
    """Look every few milliseconds until it is done.

    Raises:
        Unmeasurable: it did not happen, or the agent ended.
    """
    last = time.monotonic() + patience
    while not done():
        if agent:
            agent.check()
        if time.monotonic() > last:
            raise Unmeasurable(f"{what}: not within {patience:g} s")
        time.sleep(0.02)


def node_of(cluster: Cluster, name: str) -> dict[str, Any]:
    """Return the node as the API server's cache has it."""
    return cluster.admin.get(f"/api/v1/nodes/{name}", resourceVersion="0")
