"""One run for each fault with the agent as a process, all at once: an event that comes and goes, and time scaled down.

What the injected clock cannot show: threads, real time-outs, sockets that break, and a process that lives through it.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from agent.emulator import Emulator
from tests.controlplane.cluster import Cluster as Plane
from tests.matrix.api_faults import API_FAULTS
from tests.matrix.imds_faults import IMDS_FAULTS, INCARNATIONS, PARTIAL
from tests.matrix.table import END_TO_END, cell_text, check, words
from tests.matrix.way import Way
from tests.promises.agents import EVENTS, Agent, Tended, annotations, cordoned, node_of, ours
from tests.promises.fleets import session_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LASTS = 8.0  # seconds for a minute: longer than release-after (2 s), and than IMDS's and the agent's own time-outs
LONG = 15.0  # seconds for ten minutes: the agent's pauses have grown to their longest
AT_ONCE = 8  # agents that start at the same time on two cores
PAST = 3.0  # seconds in which whoever took an error for news would have acted


class Run:
    """One node with its agent as a process, whose way to the API server leads through a proxy."""

    def __init__(self, scene: Tended, way: Way) -> None:
        self.scene, self.way = scene, way
        self.facts: dict[str, str] = {}
        self.since = 0

    def settle(self) -> None:
        """Wait for labels that no further answer will change."""
        self.scene.wait_labelled()
        self.scene.asked("/metadata/instance", 3)
        self.scene.agent.wait_said("policy.enforced")  # the last that it says of a start
        self.facts = self._facts()

    def _facts(self) -> dict[str, str]:
        return {key: value for key, value in ours(self.scene.get()).items() if key != EVENTS}

    def during(self, seconds: float, expected: Callable[[], bool]) -> None:
        """Look for a while whether it is so all the time."""
        last = time.monotonic() + seconds
        while time.monotonic() < last:
            assert expected(), self.scene.agent.tail()
            assert self._facts() == self.facts, self.scene.agent.tail()
            time.sleep(0.3)

    def ours_stands(self) -> bool:
        found = self.scene.get()
        return cordoned(found) and EVENTS in annotations(found)

    def free(self) -> bool:
        found = self.scene.get()
        return not cordoned(found) and EVENTS not in annotations(found)

    def said(self, *names: str, unsure: bool = False) -> str:
        """Wait until all of these were said, and return in words what was said since the last time.

        Args:
            unsure: whether it was noticed that the API server was away may be so or not.
        """
        for name in names:
            self.scene.agent.wait_said(name, since=self.since)
        entries = self.scene.agent.log[self.since :]
        self.since += len(entries)
        left_out = ("cluster.unavailable", "cluster.recovered") if unsure else ()
        return words([entry for entry in entries if entry["event"] not in left_out], free=self.free())

    def ends(self) -> None:
        """The node is as before, and the agent lives."""
        self.scene.wait_released()
        assert self._facts() == self.facts
        assert self.scene.agent.running
        assert self.scene.agent.said("agent.faulted") == []


@contextmanager
def run_of(plane: Plane) -> Iterator[Run]:
    with ExitStack() as opened:
        node = opened.enter_context(node_of(plane))
        imds = opened.enter_context(Emulator())
        way = Way(plane, node.name)
        opened.callback(way.close)
        agent = Agent(way.kubeconfig, node.name, imds.url, {}, drain_budget="off", freeze_budget="off")
        opened.callback(agent.kill)
        scene = Tended(plane, node, imds, agent)
        scene.admin = opened.enter_context(session_of(plane))
        agent.start()
        run = Run(scene, way)
        run.settle()
        run.since = len(agent.log)
        yield run
        assert agent.noise == []


def all_at_once(plane: Plane, partner: str, faults: Iterable[str], tell: Callable[[Run, str], str]) -> None:
    """Tell the same tale of each fault, and compare what the agents did with the document."""

    def one(fault: str) -> str:
        with run_of(plane) as run:
            return tell(run, fault)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        runs = {fault: threads.submit(one, fault) for fault in faults}
    failed = {fault: error for fault, future in runs.items() if (error := future.exception())}
    assert failed == {}
    for fault, future in runs.items():
        check(partner, fault, {END_TO_END: future.result()})


def test_an_event_that_ends_while_imds_fails_is_over_when_imds_says_so(whole_drain_plane: Plane) -> None:
    all_at_once(whole_drain_plane, "IMDS", IMDS_FAULTS, imds_fails)


def imds_fails(run: Run, fault: str) -> str:
    scene = run.scene
    event = scene.event("Redeploy")
    scene.wait_cordoned()
    run.said("node.cordoned")
    scene.imds.put_faults([IMDS_FAULTS[fault]])
    scene.polled(1)
    if fault == PARTIAL:
        run.during(LASTS, run.ours_stands)
        scene.over(event)
        scene.wait_released()
        during = run.said("instance.changed", "node.release_wanted")
        scene.well()
        run.ends()
        return cell_text(during, run.said("instance.changed"))
    scene.over(event)
    run.during(LASTS, run.ours_stands)
    during = run.said("imds.failed")
    scene.well()
    run.ends()
    return cell_text(during, run.said("imds.recovered", "node.release_wanted"))


def test_a_document_with_an_odd_number_is_acted_upon(whole_drain_plane: Plane) -> None:
    all_at_once(whole_drain_plane, "IMDS", INCARNATIONS, misnumbered)


def misnumbered(run: Run, fault: str) -> str:
    scene = run.scene
    number = 1 if INCARNATIONS[fault] else 7
    scene.imds.world.put_incarnation(None, number)
    scene.polled(1)
    event = scene.event("Redeploy")
    scene.imds.world.put_incarnation(None, number)
    scene.wait_cordoned()
    during = run.said("node.cordoned")
    scene.over(event)
    scene.imds.world.put_incarnation(None, number)
    run.ends()
    return cell_text(during, run.said("node.release_wanted"))


def test_an_event_that_comes_while_the_api_server_fails_is_answered_as_soon_as_can_be(whole_drain_plane: Plane) -> None:
    all_at_once(whole_drain_plane, "API server", API_FAULTS, api_fails)


def api_fails(run: Run, name: str) -> str:
    fault, scene = API_FAULTS[name], run.scene
    says = [fault.says] if fault.says else []
    fault.begin(run.way)
    event = scene.event("Redeploy")
    if fault.blocks:
        run.during(LASTS if fault.rounds == 6 else LONG, run.free)
    if fault.mends:
        fault.half(run.way)
    if fault.mends or not fault.blocks:
        scene.wait_cordoned()
        goes_on = ["cluster.recovered"] if says else []  # said last in the turn, a moment after the cordon
        during = run.said(*says, "node.cordoned", *goes_on, unsure=fault.unsure)
        run.way.api.behave()
    else:
        during = run.said(*says)
        run.way.api.behave()
        scene.wait_cordoned()
    scene.over(event)
    run.ends()
    return cell_text(during, run.said("node.release_wanted", unsure=fault.unsure))
