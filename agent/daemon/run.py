"""The daemon put together: settings in, until a signal."""

from __future__ import annotations

import ctypes
import gc
import random
import signal
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from agent import __version__
from agent.clients.cluster import Cluster
from agent.clients.cluster_errors import ClusterError, ClusterRefused
from agent.clients.imds import DEADLINE
from agent.clients.switch_file import SwitchFile
from agent.core.health import Health, health
from agent.core.labels import own_key
from agent.core.node import read_node
from agent.daemon.board import Board
from agent.daemon.clock import Clock
from agent.daemon.loop import LATE, Loop
from agent.daemon.metrics import Ages, Metrics
from agent.daemon.partners import access, imds_client
from agent.daemon.pollers import EventsPoller, InstancePoller
from agent.daemon.probes import Probes
from agent.log import set_up
from agent.settings import Settings, own_node

if TYPE_CHECKING:
    import argparse
    from types import FrameType

    from agent.daemon.facts_server import FactsServer

POLICY = "own-node"  # in the name of the policy that we ship, and so in the words in which it refuses
SWITCH = 5.0  # seconds between two looks at the switch; kubelet itself takes a minute to bring a ConfigMap up to date
SELF_TEST = "imds-agent-self-test"  # field manager of the dry run; it never writes anything
TURN = 120.0  # seconds: longest turn, twelve requests at their time-outs


class Stopped(BaseException):
    """A signal asked us to leave; not an Exception, so that nothing on the way catches it."""


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise Stopped


def new_board(settings: Settings, now: float) -> Board:
    """Return an empty board with the longest silence that each loop may keep."""
    at_most = {
        "instance": max(settings.instance_interval, settings.confirm_interval) * 1.2 + DEADLINE + 30.0,
        "events": settings.first_events_timeout + settings.imds_connect_timeout + 2 * settings.events_interval + 10.0,
        "loop": settings.node_interval * 1.2 + LATE + TURN,
    }
    return Board(started=now, at_most=at_most, needed=("imds", "node"), events_on=settings.events)


def own_node_policy(cluster: Cluster, node: str) -> tuple[int, str]:
    """Ask, in a dry run, to write a foreign label on our node: 1 if that is refused, 0 if not, -1 if it cannot be told."""
    try:
        view = read_node(cluster.node(node, metadata_only=True, resource_version="0"))
        labels = {"example.com/imds-agent-self-test": "refuse-me"}
        body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node, "uid": view.uid, "labels": labels}}
        cluster.apply(node, body, manager=SELF_TEST, force=False, dry_run=True)
    except ClusterRefused as refusal:
        ours = POLICY in refusal.message
        return (1, refusal.message) if ours else (-1, str(refusal))
    except ClusterError as error:
        return -1, str(error)
    return 0, "a label outside our prefixes was accepted in a dry run"


def carries_our_labels(cluster: Cluster, node: str, domain: str) -> bool:
    """Return whether the node has been labelled before, so that there is time for jitter."""
    view = read_node(cluster.node(node, metadata_only=True, resource_version="0"))
    marked = f"{domain}/events" in view.annotations
    return not marked and any(own_key(key, domain) == "facts" for key in view.labels)


def give_back_memory() -> None:
    """Return to the system what start-up no longer needs: 0.4 MiB, and 3 MiB where bytecode had to be compiled."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; musl has none
    if trim is not None:
        trim(0)


class Daemon:
    """One process's threads and connections."""

    def __init__(self, settings: Settings, log: Any) -> None:
        """Connect and take the probe port.

        Raises:
            ClusterError: there are no usable credentials.
            AddressTaken: the probe port is taken, since another agent runs, or the one of facts.
        """
        self._settings = settings
        self._log = log
        self._metrics = Metrics()
        self._board = new_board(settings, time.monotonic())
        self._metrics.registry.register(Ages(self._ages))
        self._probes = self._listen()
        self._clock = Clock(monotonic=time.monotonic, utc=lambda: datetime.now(timezone.utc))
        self._facts = self._tell_facts()
        self._cluster = Cluster(access(settings), seen=self._count)
        self._imds = imds_client(settings, self._metrics)

    def _listen(self) -> Probes | None:
        if self._settings.probe_address == "off":
            return None
        return Probes(self._settings.probe_address, verdict=self._verdict, registry=self._metrics.registry)

    def _tell_facts(self) -> FactsServer | None:
        if self._settings.facts_listen == "off":
            return None
        from agent.daemon.facts_server import FactsServer  # noqa: PLC0415 - most agents are never asked

        return FactsServer.of(self._settings.facts_listen, self._board, self._settings.rules().events, self._clock)

    def _count(self, verb: str, code: int) -> None:
        self._metrics.api_requests.labels(verb, code).inc()

    def _verdict(self) -> Health:
        return health(self._board.signs(), time.monotonic())

    def _ages(self) -> dict[str, float | None]:
        now = time.monotonic()
        answers = self._board.signs().answers
        return {partner: None if instant is None else now - instant for partner, instant in answers.items()}

    def run(self) -> int:
        """Start the pollers and turn the loop until a signal; the node stays as it is."""
        settings, board = self._settings, self._board
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _stop)
        self._log.info("agent.started", version=__version__, node=settings.node_name, server=self._cluster.server)
        try:
            InstancePoller(
                self._imds,
                board,
                self._log,
                interval=settings.instance_interval,
                confirm=settings.confirm_interval,
                clock=time.monotonic,
                changed=self._metrics.user_data_changes.inc,
            ).start()
            EventsPoller(self._imds, board, self._log, interval=settings.events_interval, clock=time.monotonic).start()
            self._turn()
        except Stopped:
            self._log.info("agent.stopped", node=settings.node_name)
        finally:
            board.stopping.set()
            if self._probes:
                self._probes.close()
            if self._facts:
                self._facts.close()
        return 0

    def _turn(self) -> None:
        """Turn for ever; the policy's test comes after the first labels, so that it delays nothing."""
        settings, board = self._settings, self._board
        node = str(settings.node_name)
        loop = Loop(
            cluster=self._cluster,
            board=board,
            rules=settings.rules(),
            node=node,
            metrics=self._metrics,
            log=self._log,
            clock=self._clock,
            imds=self._imds,
            namespace=settings.namespace,
            switch_file=SwitchFile(settings.switch_file) if settings.switch_file else None,
            kubernetes_events=settings.kubernetes_events,
        )
        self._jitter(node)
        test_at, tested = 0.0, False
        while True:
            pause = loop.turn()
            facts = board.facts()
            calm = facts.sighting is not None and not facts.hearing.present()
            if not tested and calm and time.monotonic() >= test_at:
                tested, test_at = self._test_policy(node), time.monotonic() + settings.node_interval
                gc.collect()
                gc.freeze()  # what start-up made stays for ever: no collection need look at it again
                give_back_memory()
            # A turn in between asks nobody anything; it reads the switch.
            looks_at_switch = settings.switch_file is not None and not loop.failing
            board.wait(min(pause, SWITCH) if looks_at_switch else pause)

    def _jitter(self, node: str) -> None:
        """Wait a while on a node that has its labels already: a fleet that is rolled out must not march in step."""
        try:
            if not carries_our_labels(self._cluster, node, self._settings.domain):
                return
        except ClusterError:
            return
        until = time.monotonic() + random.uniform(0.0, self._settings.start_jitter)  # noqa: S311
        while (left := until - time.monotonic()) > 0 and not self._board.facts().hearing.present():
            self._board.wait(min(left, 10.0))
            self._board.attempted("loop", time.monotonic())

    def _test_policy(self, node: str) -> bool:
        enforced, because = own_node_policy(self._cluster, node)
        self._metrics.policy.set(enforced)
        if enforced == 0:
            self._log.warning("policy.not_enforced", node=node, because=because)
        elif enforced == 1:
            self._log.info("policy.enforced", node=node)
        return enforced >= 0


def run(settings: Settings, _arguments: argparse.Namespace) -> int:
    """Tend the node until stopped."""
    own_node(settings)
    settings.rules()
    return Daemon(settings, set_up(level=settings.log_level, form=settings.log_format)).run()
