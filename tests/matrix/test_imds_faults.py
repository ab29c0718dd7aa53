"""Every fault of IMDS in every phase of an event: an error is never "no events", and never a fact."""

import pytest

from tests.controlplane.cluster import Cluster as Plane
from tests.matrix.cell import PATIENCE, Cell
from tests.matrix.imds_faults import IMDS_FAULTS, INCARNATIONS, PARTIAL
from tests.matrix.phases import Watch, comes_right, finish_event, in_each_phase
from tests.matrix.table import cell_text, check, words

pytestmark = pytest.mark.slow
ROUNDS = 6  # a minute
HUNG = 0.2  # seconds that are given an IMDS that hangs


@pytest.mark.parametrize("fault", IMDS_FAULTS)
def test_imds_fails_and_nothing_is_taken_for_news(whole_drain_plane: Plane, fault: str) -> None:
    check("IMDS", fault, in_each_phase(whole_drain_plane, lambda cell, phase: fails(cell, phase, fault)))


def fails(cell: Cell, phase: str, fault: str) -> str:
    watch, since = Watch(cell, phase), cell.place()
    believed = fault == PARTIAL and phase == "releasing"  # that the event has gone is said as well as ever
    cell.imds.put_faults([IMDS_FAULTS[fault]])
    cell.wait_for_imds(HUNG if fault == "hang" else PATIENCE)
    for number in range(ROUNDS):
        if number == ROUNDS // 3:
            watch.lift()  # a drain goes on whatever IMDS says meanwhile; a release waits for what it says
        if number == ROUNDS - 2:
            cell.end_pods()
        cell.round(instance=number == 0 or fault == PARTIAL)  # where it fails one look has many tries
        watch.holds(blocked=not believed)
    if phase == "idle":
        watch.wrote_nothing()
        cell.event = new_event(cell)
        cell.round(instance=False)
        watch.holds(blocked=fault != PARTIAL)
    if phase == "draining":
        assert not cell.staying(), f"the drain stood still: {cell.story()}"
    during = words(cell.said(since), free=cell.free())
    since = cell.place()
    cell.imds.clear_faults()
    cell.wait_for_imds(PATIENCE)
    comes_right(cell, watch)
    return cell_text(during, words(cell.said(since), free=True))


def new_event(cell: Cell) -> str:
    return str(cell.imds.add_event(EventType="Redeploy", NotBeforeSeconds=3000)["EventId"])


@pytest.mark.parametrize("fault", INCARNATIONS)
def test_what_a_document_says_counts_and_not_its_number(whole_drain_plane: Plane, fault: str) -> None:
    anew = INCARNATIONS[fault]
    check("IMDS", fault, in_each_phase(whole_drain_plane, lambda cell, phase: misnumbered(cell, phase, anew=anew)))


def misnumbered(cell: Cell, phase: str, *, anew: bool) -> str:
    """A second event comes and goes, and the event itself ends, while the number stands still or is 1 again and again."""
    watch, since = Watch(cell, phase), cell.place()
    if phase == "releasing":
        watch.lift()
    number = 1 if anew else cell.client.events().value.incarnation
    second = str(cell.imds.add_event(EventType="Preempt", NotBeforeSeconds=300)["EventId"])
    cell.imds.world.put_incarnation(None, number)
    cell.rounds(2)
    assert cell.client.events().value.incarnation == number
    assert cell.ours_stands(), cell.story()
    watch.holds(blocked=False)
    during = words(cell.said(since), free=cell.free())
    since = cell.place()
    cell.imds.remove_event(second)
    if phase != "draining":
        finish_event(cell)
    cell.imds.world.put_incarnation(None, number)
    cell.rounds(2)
    assert cell.ours_stands(), f"given back at once: {cell.story()}"
    comes_right(cell, watch)
    return cell_text(during, words(cell.said(since), free=True))
