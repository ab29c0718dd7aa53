"""Any JSON of any shape in any place of IMDS's answers: the agent lives, says where it is wrong, and leaves the node alone."""

import json

import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.clients.imds_versions import INSTANCE_VERSIONS
from agent.core.document import DocumentError
from agent.core.instance import read_instance
from tests.core.test_document_laws import EVENTS, anything, places, replaced
from tests.matrix.cell import Cell
from tests.matrix.phases import state
from tests.promises.agents import cordoned

BROKEN = ["", "[", "nul", '{"compute":{"name":"a","name":"b"}}', "NaN", '"\\ud800"', "{}" * 2, "[" * 5000]


def bodies(document) -> st.SearchStrategy[str]:
    """Return answers that are the document with something else in one place, or no JSON at all.

    Another vmId is left out: it says that this is another VM, which is believed at once.
    """
    there = [path for path in places(document) if path != ("compute", "vmId")]
    changed = st.builds(
        lambda path, value: json.dumps(replaced(document, path, value)), st.sampled_from(there), anything
    )
    return changed | st.sampled_from(BROKEN)


def readable(body: str) -> bool:
    try:
        read_instance(body, INSTANCE_VERSIONS[0])
    except DocumentError:
        return False
    return True


def test_no_document_of_any_shape_kills_the_agent_or_takes_anything_from_the_node(plane):
    cell = Cell(plane)
    try:
        cell.rounds(4)
        assert cell.labelled(), cell.story()
        asked = {"params": {"api-version": INSTANCE_VERSIONS[0]}, "headers": {"Metadata": "true"}, "timeout": 5}
        whole = requests.get(f"{cell.imds.url}/metadata/instance", **asked).json()

        @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
        @given(bodies(whole), bodies(EVENTS))
        def any_answer(instance: str, events: str) -> None:
            stood, facts = state(cell), cell.facts()
            cell.imds.put_faults(
                [
                    {"kind": "status", "status": 200, "path": "/metadata/instance", "body": instance},
                    {"kind": "status", "status": 200, "path": "/metadata/scheduledevents", "body": events},
                ]
            )
            cell.round()  # one of each: what changes the node must have been said three times
            assert facts.items() <= cell.facts().items(), cell.story()  # a tag that is new may be added at once
            assert readable(instance) or state(cell) == stood, cell.story()
            assert not cordoned(cell.read()), cell.story()
            cell.imds.clear_faults()
            cell.round()

        any_answer()
        said = cell.said()
        assert not [entry for entry in said if entry["event"] == "agent.faulted"], cell.story()
        failed = [str(entry["error"]) for entry in said if entry["event"] in ("imds.failed", "events.unreadable")]
        assert any("$.compute" in error or "$.network" in error for error in failed), failed  # the place is named
        cell.rounds(3)
        assert cell.labelled()
    finally:
        cell.close()
