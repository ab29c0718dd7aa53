"""What is said on a node about its DataNode, and who may rely on it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.hdfs_said import HdfsSaid, read_said, said_text, stepped_aside
from agent.core.hdfs_stops import words
from tests.core.test_hdfs_hosts import event, host, live

ASKED = '{"events":["E1"],"state":"asked","v":1}'


def said(state: str | None, *, settled: bool = True, standing: str | None = None) -> dict[str, str | None]:
    one = host(1, said=standing)
    nodes = [live(1, state)] if state else [live(1, live=False)]
    return words([one], nodes, {"vm-1": "10.0.0.1"}, {"vm-1": (event(),)}, settled=settled)


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ("In Service", "asked"),
        ("Entering Maintenance", "entering"),
        ("In Maintenance", "in-maintenance"),
        ("Decommission In Progress", "decommissioning"),
        ("Decommissioned", "decommissioned"),
        ("Something New", "asked"),
        (None, "no-datanode"),
    ],
)
def test_a_node_says_how_far_its_datanode_has_come(state, word):
    assert said(state) == {"vm-1": ASKED.replace("asked", word)}


def test_a_namenode_that_just_started_has_not_missed_anybody():
    assert said(None, settled=False) == {"vm-1": ASKED}


def test_what_stands_there_already_is_not_written_again_and_goes_with_the_event():
    assert said("In Service", standing=ASKED) == {}
    assert words([host(1, said=ASKED)], [live(1)], {"vm-1": "10.0.0.1"}, {}, settled=True) == {"vm-1": None}
    assert words([host(1)], [live(1)], {"vm-1": "10.0.0.1"}, {}, settled=True) == {}


@given(
    st.builds(
        HdfsSaid,
        state=st.sampled_from(["asked", "entering", "in-maintenance", "no-datanode"]),
        events=st.lists(st.text("ABC0-", min_size=1), unique=True).map(lambda ids: tuple(sorted(ids))),
    )
)
def test_what_is_said_reads_back(word):
    assert read_said(said_text(word)) == word


@pytest.mark.parametrize(
    "text", [None, "", "{", '{"state":"gone","events":["E1"]}', '{"events":["E1"]}', "[]", '{"state":3}']
)
def test_what_cannot_be_read_lets_nobody_go_ahead(text):
    assert read_said(text) is None
    assert not stepped_aside(read_said(text), "E1")


@pytest.mark.parametrize(
    ("state", "ready"),
    [("in-maintenance", True), ("decommissioned", True), ("no-datanode", True), ("asked", False), ("entering", False)],
)
def test_only_the_end_of_the_way_counts_and_only_for_its_own_events(state, ready):
    word = HdfsSaid(state=state, events=("e1",))
    assert stepped_aside(word, "E1") is ready
    assert not stepped_aside(word, "E2")
