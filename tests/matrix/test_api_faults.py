"""Every fault of the API server in every phase of an event: what cannot be done now is done when it can be."""

import pytest

from tests.controlplane.cluster import Cluster as Plane
from tests.matrix.api_faults import API_FAULTS, RETRY_AFTER
from tests.matrix.cell import PATIENCE, Cell
from tests.matrix.phases import Watch, comes_right, in_each_phase
from tests.matrix.table import cell_text, check, words

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("fault", API_FAULTS)
def test_the_api_server_fails_and_everything_is_done_in_the_end(whole_drain_plane: Plane, fault: str) -> None:
    check("API server", fault, in_each_phase(whole_drain_plane, lambda cell, phase: fails(cell, phase, fault)))


def fails(cell: Cell, phase: str, name: str) -> str:
    fault, watch, since = API_FAULTS[name], Watch(cell, phase), cell.place()
    fault.begin(cell.way)
    cell.wait_for_api(fault.read_timeout)
    if phase == "releasing" and fault.blocks:
        watch.lift()
    if phase == "idle":  # something to do
        cell.event = str(cell.imds.add_event(EventType="Redeploy", NotBeforeSeconds=3000)["EventId"])
    for number in range(fault.rounds):
        half = number >= fault.rounds // 2
        open_way = not fault.blocks or (fault.mends and half)
        if number == fault.rounds // 2:
            fault.half(cell.way)
            if open_way:
                watch.lift()
        cell.round()
        watch.holds(blocked=not open_way)
        if name == "429 with Retry-After":
            assert cell.asked_pause >= RETRY_AFTER
    if fault.mends or not fault.blocks:
        assert cell.ours_stands() is (phase != "releasing" or fault.hides), cell.story()
        assert not cell.staying(), f"the drain stood still: {cell.story()}"
    if fault.says and phase == "idle":  # in the others there may be nothing to be refused
        assert any(entry["event"] == fault.says for entry in cell.said(since)), cell.story()
    elif phase == "idle" and not fault.unsure:
        assert cell.way.api.met, "no request met the fault"
    during = words(cell.said(since), free=cell.free())
    since = cell.place()
    cell.way.api.behave()
    cell.wait_for_api(PATIENCE)
    comes_right(cell, watch)
    return cell_text(during, words(cell.said(since), free=True))
