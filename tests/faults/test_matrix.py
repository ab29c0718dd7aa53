"""Every fault in every phase of an event: what must hold while it lasts, and that all comes right afterwards."""

import dataclasses
import re
from collections.abc import Iterator

import pytest

from agent.core.events import EventDocument
from tests.controlplane.cluster import Cluster as Plane
from tests.faults.cell import PHASES, Cell
from tests.faults.faulty_api import Fault, status
from tests.faults.table import DOCS, record

pytestmark = pytest.mark.slow

ROUNDS = 6  # a minute

IMDS = {
    "400": {"kind": "status", "status": 400},
    "404": {"kind": "status", "status": 404},
    "405": {"kind": "status", "status": 405},
    "410": {"kind": "status", "status": 410},
    "429": {"kind": "status", "status": 429},
    "500": {"kind": "status", "status": 500},
    "503": {"kind": "status", "status": 503},
    "hang": {"kind": "hang", "seconds": 0.5},
    "reset": {"kind": "reset"},
    "truncated": {"kind": "truncate"},
    "HTML with 200": {"kind": "html"},
    "empty 200": {"kind": "empty"},
    "partial document": {"kind": "partial"},
}
INCARNATIONS = ("incarnation repeats", "incarnation restarts")


def answers(
    code: int, reason: str, message: str, headers: dict[str, str] | None = None, methods: str = "", **more: object
) -> Fault:
    def fault(method: str, _path: str):
        if methods and method not in methods.split():
            return None
        return code, headers or {}, status(code, reason, message, **more)

    return fault


def admission(method: str, path: str):
    """Refuse every change as an admission policy does; evictions too."""
    if method == "GET":
        return None
    return (
        403,
        {},
        status(
            403, "Forbidden", f'nodes "x" is forbidden: ValidatingAdmissionPolicy "other" denied request: {path[:20]}'
        ),
    )


API: dict[str, Fault | None] = {
    "refused": None,
    "time-out": lambda _method, _path: (0, {}, b""),
    "401": answers(401, "Unauthorized", "Unauthorized"),
    "403": admission,
    "409": answers(409, "Conflict", "the object has been modified", methods="PATCH POST PUT"),
    "422": answers(422, "Invalid", "is invalid: spec: Invalid value", methods="PATCH POST PUT"),
    "429 with Retry-After": answers(429, "TooManyRequests", "try again", {"Retry-After": "1"}),
    "500": answers(500, "InternalError", "etcdserver: request timed out"),
    "away for ten minutes": None,
    "stale cache": None,
}


def stale(cell: Cell) -> Fault:
    """Answer what may come from the cache as it was at the beginning, harsher than the real one: that waits for the version asked for."""

    def fault(method: str, path: str):
        old = cell.api.recorded.get(path.partition("?")[0])
        return old if method == "GET" and "resourceVersion=" in path else None

    return fault


@pytest.fixture
def cell(whole_drain_plane: Plane) -> Iterator[Cell]:
    made = Cell(whole_drain_plane)
    try:
        yield made
    finally:
        made.close()


def holds(cell: Cell, phase: str, before: dict[str, str], asked: set[str] | None) -> None:
    """While something fails nothing is taken away, and nothing is moved that must not be."""
    story = cell.log.getvalue()[-3000:]
    after = cell.ours()
    assert before.items() <= after.items(), f"taken away: {set(before) - set(after)}: {story}"
    assert cell.cordoned() is (phase != "idle"), story
    assert cell.marked() is (phase != "idle"), story
    if asked is not None:
        assert cell.pods is not None
        assert cell.pods.staying() == asked, f"moved past its budget: {story}"


def staying(cell: Cell) -> set[str] | None:
    return cell.pods.staying() if cell.pods is not None else None


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("fault", IMDS)
def test_imds_fails(cell: Cell, fault: str, phase: str) -> None:
    cell.bring_to(phase)
    before, asked, place = cell.ours(), staying(cell), len(cell.log.getvalue())
    cell.imds.put_faults([IMDS[fault]])
    for number in range(ROUNDS):
        cell.round(instance=number == 0)  # its retries take their own time
        # A partial document says nothing wrong about events: their end may be believed.
        if not (fault == "partial document" and phase == "releasing"):
            holds(cell, phase, before, asked)
    record("imds", fault, phase, cell.said(place))
    cell.imds.clear_faults()
    cell.end()


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("fault", INCARNATIONS)
def test_incarnations_are_only_numbers(cell: Cell, fault: str, phase: str) -> None:
    cell.bring_to(phase)
    before, place = cell.ours(), len(cell.log.getvalue())
    real = cell.client.events
    number = 1 if fault == "incarnation repeats" else 0

    def odd():
        answer = real()
        document: EventDocument = dataclasses.replace(answer.value, incarnation=number)
        return dataclasses.replace(answer, value=document)

    class Odd:
        events = staticmethod(odd)
        instance = staticmethod(cell.client.instance)

    cell.events._imds = Odd()
    for _ in range(2):
        cell.round()
        holds(cell, phase, before, staying(cell))
    second = str(cell.imds.add_event(EventType="Preempt", NotBeforeSeconds=30)["EventId"])
    cell.round()
    assert cell.cordoned()
    record("imds", fault, phase, cell.said(place))
    cell.imds.remove_event(second)
    cell.end()


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("fault", API)
def test_the_api_server_fails(cell: Cell, fault: str, phase: str) -> None:
    cell.bring_to(phase)
    before, asked, place = cell.ours(), staying(cell), len(cell.log.getvalue())
    cell.api.fault = stale(cell) if fault == "stale cache" else API[fault]
    if cell.api.fault is None:
        cell.api.refuse()
    if phase == "idle":  # something to do, that cannot be done now
        cell.event = str(cell.imds.add_event(EventType="Redeploy", NotBeforeSeconds=3000)["EventId"])
    for _ in range(60 if fault == "away for ten minutes" else ROUNDS):
        cell.round(instance=False)
    if not (
        fault == "stale cache" and phase in ("idle", "releasing")
    ):  # writes arrive, and a release reads etcd itself
        holds(cell, phase, before, asked)
    record("api", fault, phase, cell.said(place))
    cell.api.fault = None
    if cell.api.closed:
        cell.api.open()
    if phase == "idle":
        cell.rounds(8)  # an hour of refusals would rest; what failed a minute is tried again by now
        assert cell.cordoned(), cell.log.getvalue()[-3000:]
    cell.end()


def test_the_document_has_a_row_for_each_fault_and_a_column_for_each_phase() -> None:
    text = DOCS.read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE))
    assert rows == {"IMDS", "The API server", *IMDS, *INCARNATIONS, *API}
    assert text.count("| " + " | ".join(PHASES) + " |") == 2
