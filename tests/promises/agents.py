"""The agent as its own process beside a node and an emulator of its own: what every promise is tried with.

Waits are short, so that a scenario takes seconds; rights, policy and token are those that we ship.
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import requests

from agent.emulator import Emulator
from tests.controlplane.cluster import Cluster
from tests.controlplane.nodes import NodeActor

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120.0  # seconds; nothing here takes a tenth of it on an idle machine
LOOK = 0.1  # seconds
DOMAIN = "imds-agent.github.io"
EVENTS, HOLD, INSTANCE, TAGS = (f"{DOMAIN}/{name}" for name in ("events", "hold", "instance", "tags"))
SHORT = {
    "release-after": "2s",
    "release-after-restart": "4s",
    "confirm-interval": "500ms",
    "instance-interval": "2s",
    "events-interval": "600ms",
    "node-interval": "3s",
    "start-jitter": "0s",
    "drain-budget": "off",  # nodes of many tests share the cluster, and so would share its places
    "freeze-budget": "off",
    "probe-address": "off",
    "log-format": "json",
}

Document = dict[str, Any]


class Agent:
    """One agent's process; started, killed and started again as a scenario likes, its log grows on."""

    def __init__(self, kubeconfig: Path, node: str, imds_url: str, environment: Mapping[str, str], **settings: str):
        given = {name.replace("_", "-"): value for name, value in settings.items()}
        own = {"pod-name": f"imds-agent-{node}"}  # the pod that its token is bound to, as the DaemonSet says it
        options = {"kubeconfig": kubeconfig, "node-name": node, "imds-url": imds_url, **own, **SHORT, **given}
        self.options = [f"--{name}={value}" for name, value in options.items()]
        self.environment = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(ROOT), **environment}
        self.log: list[Document] = []
        self.noise: list[str] = []  # what is no log event: a traceback, or a last word
        self.process: subprocess.Popen[str] | None = None
        self.reader: threading.Thread | None = None

    def command(self) -> list[str]:
        """Return how it is run, with the options of the moment."""
        return [sys.executable, "-m", "agent", "run", *self.options]

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd="/", env=self.environment
        )
        self.reader = threading.Thread(target=self._read, args=(self.process.stderr,), daemon=True)
        self.reader.start()

    def _read(self, stream: Any) -> None:
        for line in stream:
            try:
                self.log.append(json.loads(line))
            except ValueError:
                self.noise.append(line.rstrip("\n"))

    def send(self, number: int) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end; returns the exit code."""
        code = self.process.wait(PATIENCE)
        self.reader.join()
        self.process.stderr.close()
        self.process = None
        return code

    def kill(self) -> None:
        """SIGKILL: no word of farewell."""
        if self.process is not None:
            self.send(signal.SIGKILL)

    def terminate(self) -> int:
        """SIGTERM, as kubelet sends it; returns the exit code."""
        return self.send(signal.SIGTERM)

    def restart(self) -> None:
        self.kill()
        self.start()

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def said(self, event: str, since: int = 0) -> list[Document]:
        """Return the log events of a name, from a place in the log on."""
        return [entry for entry in self.log[since:] if entry["event"] == event]

    def wait_said(self, event: str, times: int = 1, since: int = 0) -> Document:
        """Wait until it was said so often, and return the last one."""
        wait_until(lambda: len(self.said(event, since)) >= times, f"{event} x {times}", self.tail)
        return self.said(event, since)[-1]

    def tail(self) -> str:
        """Return the end of the log, for a failure's text."""
        return "\n".join([*(json.dumps(entry) for entry in self.log[-30:]), *self.noise])


def wait_until(found: Callable[[], Any], what: str, why: Callable[[], str] = lambda: "") -> Any:
    """Poll until there is something true, and return it."""
    last = time.monotonic() + PATIENCE
    while not (value := found()):
        if time.monotonic() > last:
            raise AssertionError(f"did not come: {what}\n{why()}")
        time.sleep(LOOK)
    return value


class Tended:
    """A node, the IMDS of its VM, and the agent that tends it."""

    def __init__(self, plane: Cluster, node: NodeActor, imds: Emulator, agent: Agent, vm: str | None = None):
        self.plane, self.node, self.imds, self.agent = plane, node, imds, agent
        self.vm = vm  # its name in a fleet; None for an emulator of one VM
        self.admin = plane.admin  # a thread of its own takes a session of its own

    # What stands on the node

    def get(self) -> Document:
        return self.admin.get(self.node.path)

    def wait_for(self, predicate: Callable[[Document], Any], what: str) -> Document:
        """Wait until the node is so, and return it."""
        return wait_until(lambda: (found := self.get()) and predicate(found) and found, what, self._scene)

    def _scene(self) -> str:
        found = self.get()
        return f"{json.dumps({'metadata': found['metadata'], 'spec': found['spec']})}\n{self.agent.tail()}"

    def wait_labelled(self) -> Document:
        """Wait for facts and tags of the default VM, settled or not."""
        return self.wait_for(lambda node: INSTANCE in annotations(node) and TAGS in annotations(node), "labelled")

    def wait_cordoned(self) -> Document:
        return self.wait_for(lambda node: cordoned(node) and EVENTS in annotations(node), "cordoned by us")

    def wait_released(self) -> Document:
        return self.wait_for(lambda node: not cordoned(node) and EVENTS not in annotations(node), "schedulable again")

    def wait_withdrawn(self) -> Document:
        return self.wait_for(lambda node: EVENTS not in annotations(node), "our mark gone")

    # What IMDS says

    def event(self, kind: str = "Reboot", **fields: Any) -> str:
        """Schedule an event and return its id."""
        published: str = self.imds.add_event(vm=self.vm, EventType=kind, **fields)["EventId"]
        return published

    def over(self, event_id: str) -> None:
        self.imds.remove_event(event_id, vm=self.vm)

    def fault(self, kind: str, **fields: Any) -> None:
        """Let IMDS fail from now on, in one way only."""
        self.imds.put_faults([{"kind": kind, **fields}], vm=self.vm)

    def faults(self, *given: Document) -> None:
        """Let IMDS fail once in each of these ways, one after the other."""
        self.imds.put_faults([{**each, "times": 1} for each in given], vm=self.vm)

    def well(self) -> None:
        self.imds.clear_faults(vm=self.vm)

    def asked(self, path: str, times: int) -> None:
        """Wait until IMDS has answered so many more requests below a path of this VM."""
        before = self.imds.requests()
        since = before[-1]["n"] if before else 0

        def enough() -> bool:
            found = [each for each in self.imds.requests(since) if self.vm in (None, each["vm"])]
            return sum(each["path"].startswith(path) for each in found) >= times

        wait_until(enough, f"{times} more requests to {path}", self.agent.tail)

    def polled(self, times: int = 3) -> None:
        """Wait until the agent has asked so often for events, whatever the answer; the last answers are acted upon."""
        self.asked("/metadata/scheduledevents", times + 1)

    def long_enough(self) -> None:
        """Wait until an event that counted as over would have been released: 4 s after a restart, looked at each 5 s."""
        self.polled(14)

    # What the agent says of itself

    def told(self, reason: str | None = None, pod: str | None = None) -> list[Document]:
        """Return Kubernetes Events that agents wrote about this node, or about a pod."""
        found = self.admin.get("/api/v1/events", fieldSelector=f"involvedObject.name={pod or self.node.name}")["items"]
        ours = [event for event in found if event["reportingComponent"] == "imds-agent"]
        return [event for event in ours if reason in (None, event["reason"])]

    def metric(self, pattern: str) -> float:
        """Sum up the samples whose line begins with the pattern."""
        lines = requests.get(f"{self.probes}/metrics", timeout=30).text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if re.match(pattern, line))

    @property
    def probes(self) -> str:
        """Where the agent's probes answer."""
        address = next(option for option in self.agent.options if option.startswith("--probe-address="))
        return f"http://{address.partition('=')[2]}"


def cordoned(node: Document) -> bool:
    return node["spec"].get("unschedulable") is True


def labels(node: Document) -> dict[str, str]:
    return dict(node["metadata"].get("labels", {}))


def annotations(node: Document) -> dict[str, str]:
    return dict(node["metadata"].get("annotations", {}))


def ours(node: Document) -> dict[str, str]:
    """Return all labels and annotations of ours."""
    return {key: value for key, value in {**labels(node), **annotations(node)}.items() if DOMAIN in key}


def owners(node: Document, *path: str) -> set[str]:
    """Return the managers of a field of the node, such as `f:spec`, `f:unschedulable`."""
    found = set()
    for entry in node["metadata"].get("managedFields", []):
        fields = entry.get("fieldsV1", {})
        for step in path:
            fields = fields.get(step) if isinstance(fields, dict) else None
        if fields is not None:
            found.add(entry["manager"])
    return found


@contextmanager
def node_of(plane: Cluster, **given: Any) -> Iterator[NodeActor]:
    """Register a fresh node that is Ready, for as long as the block lasts."""
    actor = plane.register_node(f"node-{uuid.uuid4().hex[:8]}", **given)
    try:
        yield actor
    finally:
        actor.close()
        with suppress(requests.ConnectionError):  # a test that failed may have left the API server down
            actor.delete()


@contextmanager
def tended(
    plane: Cluster,
    *,
    node: NodeActor | None = None,
    start: bool = True,
    environment: Mapping[str, str] | None = None,
    instance: Document | None = None,
    kubeconfig: Path | None = None,
    **settings: str,
) -> Iterator[Tended]:
    """Give a node with its own IMDS and its own agent; what the agent says besides log events is a failure.

    Args:
        node: None registers a fresh one.
        start: False leaves it to the test to start the agent.
        instance: merge patch over the emulator's default VM.
        kubeconfig: None for the one of the DaemonSet's pod.
    """
    if node is None:
        with (
            node_of(plane) as fresh,
            tended(plane, node=fresh, start=start, environment=environment, instance=instance, **settings) as scene,
        ):
            yield scene
        return
    with Emulator() as imds:
        imds.patch_instance(instance or {})
        agent = Agent(
            kubeconfig or plane.agent_kubeconfig(node.name), node.name, imds.url, environment or {}, **settings
        )
        scene = Tended(plane, node, imds, agent)
        try:
            if start:
                agent.start()
            yield scene
        finally:
            agent.kill()
            if kubeconfig is None:
                with suppress(requests.ConnectionError):
                    plane.agents.end_pod(node.name)
        assert agent.noise == [], "the agent said something that is no log event"
