"""One cell of the matrix: a node brought into a phase, a fault for a while, then none; what must hold all the time, and in the end."""

import io
import json
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

from agent.clients.cluster import Access, Cluster
from agent.clients.imds import Imds
from agent.daemon.board import Board
from agent.daemon.clock import Clock
from agent.daemon.loop import Loop
from agent.daemon.metrics import Metrics
from agent.daemon.pollers import EventsPoller, InstancePoller
from agent.emulator import Emulator
from agent.log import set_up
from agent.policies import read_rules
from agent.settings import Settings
from tests.controlplane.cluster import Cluster as Plane
from tests.controlplane.kubeconfig import write_kubeconfig
from tests.faults.faulty_api import FaultyApi
from tests.promises.moving import Pods

P = "imds-agent.github.io"
BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)
PHASES = ("idle", "scheduled", "started", "draining", "releasing")
STEP = 10.0  # seconds between two rounds
QUIET = {"agent.started", "instance.seen", "labels.applied", "node.reconciled"}


class Cell:
    """One node with its loop, its IMDS and a proxy before its API server; time is a number."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self.instant = 1000.0
        self.node = plane.register_node(f"cell-{uuid.uuid4().hex[:8]}")
        self.imds = Emulator(rate_limit=None, clock=lambda: self.utc().timestamp())
        self.imds.__enter__()
        self.api = FaultyApi(plane.url, str(plane.ca_file))
        self.pods: Pods | None = None
        self.log = io.StringIO()
        self.event = ""
        self.start()

    def utc(self) -> datetime:
        return BEGIN + timedelta(seconds=self.instant)

    def sleep(self, seconds: float) -> None:
        self.instant += seconds

    def start(self) -> None:
        token = self.plane.workdir / f"imds-agent-imds-agent-{self.node.name}.token"
        self.plane.agent_kubeconfig(self.node.name)
        path = write_kubeconfig(
            self.plane.workdir / f"{self.node.name}-proxied.kubeconfig",
            self.api.url,
            self.plane.ca_file,
            {"tokenFile": str(token)},
        )
        self.cluster = Cluster(Access(kubeconfig=path, connect_timeout=0.3, read_timeout=0.3))
        self.client = Imds(
            self.imds.url,
            read_timeout=0.3,
            first_events_timeout=0.3,
            per_second=1_000_000,
            clock=lambda: self.instant,
            sleep=self.sleep,
        )
        self.board = Board(started=self.instant, at_most={}, needed=())
        settings = Settings(
            policy=read_rules("{Reboot: drain}"),
            drain_before=86_400.0,
            drain_unmanaged="evict",
            drain_budget=None,
            freeze_budget=None,
            pod_name=f"imds-agent-{self.node.name}",
        )
        log = set_up(level="info", form="json", stream=self.log)
        clock = Clock(monotonic=lambda: self.instant, utc=self.utc)
        self.loop = Loop(
            cluster=self.cluster,
            board=self.board,
            rules=settings.rules(),
            node=self.node.name,
            metrics=Metrics(),
            log=log,
            clock=clock,
        )
        self.events = EventsPoller(self.client, self.board, log, interval=1.0, clock=clock.monotonic, utc=self.utc)
        self.instance = InstancePoller(self.client, self.board, log, interval=300, confirm=10, clock=clock.monotonic)

    def round(self, *, instance: bool = True) -> None:
        """Let ten seconds go by: events are polled, the VM is looked at, the loop turns."""
        self.instant += STEP
        self.events.look()
        if instance:
            self.instance.look()
        self.loop.turn()

    def rounds(self, count: int) -> None:
        for _ in range(count):
            self.round()

    def bring_to(self, phase: str) -> None:
        """Bring the node into a phase, with nothing wrong."""
        self.rounds(4)
        if phase == "idle":
            return
        if phase == "draining":
            self.pods = Pods(self.plane, self.node.name, ending=0.1)
            self.pods.add(1)
            self.pods.put_budget(1000)
        kind = "Reboot" if phase == "draining" else "Redeploy"
        self.event = str(self.imds.add_event(EventType=kind, NotBeforeSeconds=3000)["EventId"])
        self.rounds(2)
        if phase == "started":
            self.imds.start_event(self.event)
            self.rounds(1)
        if phase == "releasing":
            self.imds.remove_event(self.event)
            self.rounds(3)
        assert self.marked() is (phase != "idle"), self.log.getvalue()[-2000:]

    def read(self) -> dict[str, Any]:
        return self.plane.admin.get(self.node.path)

    def cordoned(self) -> bool:
        return self.read()["spec"].get("unschedulable") is True

    def marked(self) -> bool:
        return f"{P}/events" in self.read()["metadata"].get("annotations", {})

    def ours(self) -> dict[str, str]:
        metadata = self.read()["metadata"]
        found = {**metadata.get("labels", {}), **metadata.get("annotations", {})}
        return {key: value for key, value in found.items() if P in key and not key.endswith("/events")}

    def said(self, since: int) -> list[str]:
        """Return the log events since a place in the log, each once."""
        lines = [json.loads(line) for line in self.log.getvalue()[since:].splitlines()]
        return sorted({line["event"] for line in lines} - QUIET)

    def end(self) -> None:
        """Let everything come right: no event, no refusing budget; then the node must be as it should be."""
        if self.event:
            live = {event.id for event in self.client.events().value.events}
            if self.event in live:
                self.imds.remove_event(self.event)
        for _ in range(12):
            self.round()
        story = self.log.getvalue()[-3000:]
        assert not self.cordoned(), f"not given back: {story}"
        assert not self.marked(), f"a mark is left: {story}"
        assert self.ours()[f"topology.{P}/rack"] == "westeurope-1-fd0", story

    def close(self) -> None:
        if self.pods is not None:
            self.pods.close()
        self.cluster.close()
        self.client.close()
        self.api.close()
        self.imds.__exit__(None, None, None)
        self.plane.agents.end_pod(self.node.name)
        self.node.close()
        self.node.delete()
