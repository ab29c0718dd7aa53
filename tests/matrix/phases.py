"""The phases of an event: how a node comes into one, what must hold in it while something fails, and what must come of it."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from tests.controlplane.cluster import Cluster as Plane
from tests.matrix.cell import Cell
from tests.promises.agents import DOMAIN, EVENTS, annotations, cordoned, ours
from tests.promises.moving import Pods

PHASES = ("idle", "scheduled", "started", "draining", "releasing")
# What holds in each phase while nothing can be known or done; `holds` looks at it.
PROMISES = {
    "idle": "nothing on the node changes",
    "scheduled": "cordon and mark stand",
    "started": "cordon and mark stand",
    "draining": "cordon and mark stand, no pod goes past its budget, none is evicted twice",
    "releasing": "cordon and mark stand: not given back",
}
GRACE = 600.0  # seconds: nobody ends before a cell lets them
PATIENT = 20  # rounds in which all must have come right: release-after is six of them, the longest pause too


def bring_to(cell: Cell, phase: str) -> None:
    """Bring the node into a phase, with nothing wrong."""
    cell.rounds(4)  # three that agree, and one to see that they do
    assert cell.labelled(), cell.story()
    if phase == "idle":
        return
    if phase == "draining":
        cell.pods = Pods(cell.plane, cell.node.name, ending=GRACE)
        cell.pods.admin = cell.admin
        cell.pods.add(2, grace=int(GRACE))
        cell.pods.put_budget(1000)
    kind = "Reboot" if phase == "draining" else "Redeploy"
    cell.event = str(cell.imds.add_event(EventType=kind, NotBeforeSeconds=3000)["EventId"])
    cell.rounds(2)
    if phase == "started":
        cell.imds.start_event(cell.event)
        cell.rounds(1)
    if phase == "releasing":
        cell.node.set_ready(False)  # all that the node still waits for, once it has been silent for long enough
        finish_event(cell)
        cell.rounds(9)
    assert cell.ours_stands(), cell.story()
    assert len(cell.staying()) == (2 if phase == "draining" else 0)


def finish_event(cell: Cell) -> None:
    """End the event, if there is one."""
    if cell.event:
        cell.imds.remove_event(cell.event)
        cell.event = ""


class Watch:
    """What must hold all the time, against what stood on the node at the beginning."""

    def __init__(self, cell: Cell, phase: str) -> None:
        self.cell, self.phase = cell, phase
        self.facts, self.pods = cell.facts(), cell.staying()
        self.stood = state(cell)
        self.writes = cell.way.api.writes
        self.budget_refuses = True

    def holds(self, *, blocked: bool = True) -> None:
        """See whether it does.

        Args:
            blocked: nothing may come of anything; else an event may be answered, and one that is over given back.
        """
        cell, story = self.cell, self.cell.story()
        assert self.facts.items() <= cell.facts().items(), f"taken away: {story}"
        if blocked and self.phase == "idle":
            assert state(cell) == self.stood, story
        if self.phase in ("scheduled", "started", "draining") or (blocked and self.phase == "releasing"):
            assert cell.ours_stands(), story
        if self.budget_refuses:
            assert cell.staying() == self.pods, f"moved past their budget: {story}"
        assert all(times == 1 for times in cell.way.api.evicted.values()), f"{cell.way.api.evicted}: {story}"

    def wrote_nothing(self) -> None:
        assert self.cell.way.api.writes == self.writes, self.cell.story()

    def lift(self) -> None:
        """Take away what alone kept the agent from its next step: the budget refuses no more, the node is Ready."""
        if self.phase == "releasing":
            self.cell.node.set_ready(True)
        if self.cell.pods is not None:
            self.budget_refuses = False
            self.cell.pods.put_budget(0)


def state(cell: Cell) -> object:
    """Return all of the node that is ours to change."""
    found = cell.read()
    taints = [taint for taint in found["spec"].get("taints", []) if DOMAIN in taint["key"]]
    return ours(found), cordoned(found), taints


def comes_right(cell: Cell, watch: Watch) -> None:
    """With nothing wrong any more the event is answered, its pods go once each, and the node is given back."""
    if cell.event:
        until(cell, watch, cell.ours_stands, "cordoned")
    if watch.phase == "draining":
        if watch.budget_refuses:
            watch.lift()
        until(cell, watch, lambda: cell.drains() == ["done"], "drained")
        assert sorted(cell.way.api.evicted.values()) == [1, 1], cell.story()
    finish_event(cell)
    ends = Watch(cell, "releasing")
    ends.budget_refuses = False
    until(cell, ends, cell.free, "given back")
    assert cell.labelled(), cell.story()
    assert EVENTS not in annotations(cell.read())


def until(cell: Cell, watch: Watch, found: Callable[[], bool], what: str) -> None:
    """Let time go by until it is so, and nothing be lost meanwhile."""
    for _ in range(PATIENT):
        if found():
            return
        cell.round()
        cell.end_pods()
        watch.holds(blocked=False)
    raise AssertionError(f"did not come: {what}: {cell.story()}")


def in_each_phase(plane: Plane, work: Callable[[Cell, str], str]) -> Mapping[str, str]:
    """Do the same in all phases at once, each with a cell of its own; returns what it says of each."""

    def one(phase: str) -> str:
        cell = Cell(plane)
        try:
            bring_to(cell, phase)
            return work(cell, phase)
        except BaseException as error:
            error.args = (f"{phase}: {error}",)
            raise
        finally:
            cell.close()

    with ThreadPoolExecutor(len(PHASES)) as threads:
        found = {phase: threads.submit(one, phase) for phase in PHASES}
    return {phase: future.result() for phase, future in found.items()}
