"""The daemon put together: settings in, until a signal."""

from __future__ import annotations

import gc
import random
import time
from typing import TYPE_CHECKING, Any

from agent import __version__
from agent.clients.cluster import Cluster
from agent.clients.cluster_errors import ClusterError, ClusterRefused
from agent.clients.switch_file import SwitchFile
from agent.core.labels import own_key
from agent.core.node import read_node
from agent.daemon.loop import LATE, Loop
from agent.daemon.partners import access
from agent.daemon.watch import Watch, give_back_memory
from agent.log import set_up
from agent.settings import Settings, own_node

if TYPE_CHECKING:
    import argparse


POLICY = "own-node"  # in the name of the policy that we ship, and so in the words in which it refuses
SWITCH = 5.0  # seconds between two looks at the switch; kubelet itself takes a minute to bring a ConfigMap up to date
SELF_TEST = "imds-agent-self-test"  # field manager of the dry run; it never writes anything
TURN = 120.0  # seconds: longest turn, twelve requests at their time-outs


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


def loop_at_most(settings: Settings) -> float:
    """Return the seconds that may pass between two turns."""
    return settings.node_interval * 1.2 + LATE + TURN


class Daemon:
    """One process that tends a node."""

    def __init__(self, settings: Settings, log: Any) -> None:
        """Take the ports and connect.

        Raises:
            ClusterError: there are no usable credentials.
            AddressTaken: the probe port is taken, since another agent runs, or the one of facts.
        """
        self._settings, self._log = settings, log
        self._watch = Watch(settings, log, loop_at_most=loop_at_most(settings), needed=("imds", "node"))
        self._board, self._metrics = self._watch.board, self._watch.metrics
        self._cluster = Cluster(access(settings), seen=self._count)

    def _count(self, verb: str, code: int) -> None:
        self._metrics.api_requests.labels(verb, code).inc()

    def run(self) -> int:
        """Start the pollers and turn the loop until a signal; the node stays as it is."""
        node = self._settings.node_name
        with self._watch.until_stopped(node=node):
            self._log.info("agent.started", version=__version__, node=node, server=self._cluster.server)
            self._watch.start()
            self._turn()
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
            clock=self._watch.clock,
            imds=self._watch.imds,
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
