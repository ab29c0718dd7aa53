"""One cell of the matrix: a node with its loop, its IMDS and a way to its API server; time is a number that only the cell moves."""

import io
import json
import uuid
from dataclasses import replace
from datetime import datetime, timedelta, timezone

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
from tests.matrix.way import Way
from tests.promises.agents import DOMAIN, EVENTS, Document, annotations, cordoned, ours, wait_until
from tests.promises.fleets import session_of
from tests.promises.moving import Pods

BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)
STEP = 10.0  # seconds between two rounds
PATIENCE = 20.0  # seconds, real ones, that the agent gives an answer of IMDS or the API server; each is sure to come
RACK = "westeurope-1-fd0"  # of the emulator's VM


class Cell:
    """What stands on the node, what the agent said, and the hands to let time go by."""

    def __init__(self, plane: Plane) -> None:
        """Start the agent's loop on a fresh node."""
        self.plane = plane
        self.instant = 1000.0
        self.waited = 0.0  # seconds between the tries of one question: other threads' time goes its own way
        self.due = 0.0
        self.asked_pause = 0.0
        self.node = plane.register_node(f"cell-{uuid.uuid4().hex[:8]}")
        self.admin = session_of(plane)
        self.imds = Emulator(rate_limit=None, clock=lambda: self.utc().timestamp())
        self.imds.__enter__()
        self.way = Way(plane, self.node.name)
        self.pods: Pods | None = None
        self.log = io.StringIO()
        self.event = ""
        self._start()

    def _start(self) -> None:
        self.cluster = Cluster(Access(kubeconfig=self.way.kubeconfig, read_timeout=PATIENCE))
        self.client = Imds(
            self.imds.url,
            read_timeout=PATIENCE,
            first_events_timeout=PATIENCE,
            per_second=1_000_000,
            clock=lambda: self.instant + self.waited,
            sleep=self._wait,
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

    def utc(self) -> datetime:
        return BEGIN + timedelta(seconds=self.instant)

    def _wait(self, seconds: float) -> None:
        self.waited += seconds

    # -- patience: less only while something is silent, since a slow machine is, too --------------------------------

    def wait_for_api(self, seconds: float) -> None:
        """Give an answer of the API server so long from now on, in real time."""
        self.cluster._access = replace(self.cluster._access, read_timeout=seconds)

    def wait_for_imds(self, seconds: float) -> None:
        self.client._read_timeout = self.client._events_timeout = seconds

    # -- time ------------------------------------------------------------------------------------------------------

    def round(self, *, instance: bool = True) -> None:
        """Let ten seconds go by: IMDS is looked at, and the loop turns where there is news or its pause is over."""
        self.instant += STEP
        before = self.board.facts()
        self.events.look()
        if instance:
            self.instance.look()
        now = self.board.facts()
        news = now.hearing.document != before.hearing.document or now.sighting != before.sighting
        if news or self.instant >= self.due:
            self.asked_pause = self.loop.turn()
            self.due = self.instant + self.asked_pause

    def rounds(self, count: int) -> None:
        for _ in range(count):
            self.round()

    def end_pods(self) -> None:
        """Let those end that were asked to leave, and wait for the kubelet, whose time is real."""
        pods = self.pods
        if pods is None:
            return
        pods.kubelet.ending = 0.0
        wait_until(
            lambda: all("deletionTimestamp" not in pod["metadata"] for pod in pods.all()), "pods end", self.story
        )

    # -- what stands -----------------------------------------------------------------------------------------------

    def read(self) -> Document:
        return self.admin.get(self.node.path)

    def staying(self) -> set[str]:
        return self.pods.staying() if self.pods is not None else set()

    def drains(self) -> list[object]:
        """Return how far the drain of each marked event has come, as the mark says it."""
        text = annotations(self.read()).get(EVENTS)
        return [entry.get("drain") for entry in json.loads(text)["events"].values()] if text else []

    def ours_stands(self) -> bool:
        found = self.read()
        return cordoned(found) and EVENTS in annotations(found)

    def free(self) -> bool:
        """Whether neither cordon nor mark is left."""
        found = self.read()
        return not cordoned(found) and EVENTS not in annotations(found)

    def facts(self) -> dict[str, str]:
        """Return all that we wrote but the mark."""
        return {key: value for key, value in ours(self.read()).items() if key != EVENTS}

    def labelled(self) -> bool:
        return self.facts().get(f"topology.{DOMAIN}/rack") == RACK

    # -- what was said ---------------------------------------------------------------------------------------------

    def said(self, since: int = 0) -> list[Document]:
        """Return the log events since a place in the log."""
        return [json.loads(line) for line in self.log.getvalue()[since:].splitlines()]

    def place(self) -> int:
        return len(self.log.getvalue())

    def story(self) -> str:
        return self.log.getvalue()[-4000:]

    def close(self) -> None:
        self.way.api.behave()
        if self.pods is not None:
            self.pods.close()
        self.cluster.close()
        self.client.close()
        self.way.close()
        self.imds.__exit__(None, None, None)
        self.plane.agents.end_pod(self.node.name)
        self.node.close()
        self.node.delete()
        self.admin.close()
