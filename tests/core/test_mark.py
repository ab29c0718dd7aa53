import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.mark import DEEPEST, Mark, MarkedEvent, mark_text, read_mark
from tests.core.builders import mark, marked_event

EVENTS = st.builds(
    MarkedEvent,
    id=st.text(max_size=40),
    type=st.sampled_from(["Reboot", "Freeze", "Odd type"]),
    do=st.sampled_from(["notify", "cordon"]),
    started=st.booleans(),
    overridden=st.booleans(),
)
MARKS = st.builds(
    lambda events, before: Mark(events=tuple(sorted(events, key=lambda event: event.id)), before=before),
    st.lists(EVENTS, min_size=1, max_size=5, unique_by=lambda event: event.id),
    st.booleans(),
)


def test_the_annotation_says_what_a_restarted_agent_must_know_and_no_time():
    standing = mark(
        marked_event("E2", started=True, overridden=True), marked_event("E1", "Freeze", "notify"), before=True
    )
    assert mark_text(standing) == (
        '{"before":true,"events":{"E1":{"do":"notify","type":"Freeze"},'
        '"E2":{"do":"cordon","overridden":true,"started":true,"type":"Reboot"}},"v":1}'
    )


@given(MARKS)
def test_every_mark_is_read_back_as_it_was_written(standing):
    assert read_mark(mark_text(standing)) == standing


@given(MARKS)
def test_the_same_mark_is_the_same_bytes_in_whatever_order_its_events_came(standing):
    backwards = Mark(events=standing.events[::-1], before=standing.before)
    assert mark_text(backwards) == mark_text(standing)


def test_no_annotation_is_no_mark():
    assert read_mark(None) is None


@pytest.mark.parametrize(
    "garbled",
    [
        "",
        "{",
        "null",
        "[]",
        '"E1"',
        "{}",
        '{"v":1}',
        '{"v":1,"events":{}}',
        '{"v":1,"events":[]}',
        "[" * 100_000,
        "\ud800",
    ],
)
def test_a_garbled_mark_is_a_broken_mark_that_cordons_and_never_no_mark(garbled):
    assert read_mark(garbled) == Mark(broken=True)
    assert read_mark(garbled).cordons


def test_a_broken_mark_without_events_is_still_broken_after_it_was_written():
    assert read_mark(mark_text(Mark(broken=True))) == Mark(broken=True)


def test_what_another_version_added_is_carried_along_as_it_came():
    newer = {"v": 2, "events": {"E1": {"type": "Reboot", "do": "drain", "place": {"b": 1, "a": [2]}}}, "new": 1}
    read = read_mark(json.dumps(newer))
    assert json.loads(mark_text(read)) == {**newer, "v": 1}
    assert read_mark(mark_text(read)) == read


def test_how_far_a_drain_has_come_and_who_approved_stand_in_the_mark():
    marked = mark(marked_event(do="drain", drain="done", approved="agent"))
    assert json.loads(mark_text(marked))["events"]["E1"] == {
        "type": "Reboot",
        "do": "drain",
        "drain": "done",
        "approved": "agent",
    }
    assert read_mark(mark_text(marked)) == marked


def test_a_word_that_this_version_does_not_know_is_no_reason_to_do_less():
    newer = {"v": 2, "events": {"E1": {"type": "Reboot", "do": "evacuate", "drain": "elsewhere", "approved": 7}}}
    [read] = read_mark(json.dumps(newer)).events
    assert (read.do, read.drain, read.approved) == ("cordon", None, None)


@pytest.mark.parametrize("entry", [None, 7, [], {}, {"do": 7, "started": "yes", "overridden": 1}])
def test_an_entry_that_says_little_is_an_event_that_cordons(entry):
    [read] = read_mark(json.dumps({"v": 1, "events": {"E1": entry}})).events
    assert (read.id, read.do, read.started, read.overridden) == ("E1", "cordon", False, False)


@pytest.mark.parametrize(
    ("events", "cordons"),
    [
        ([marked_event()], True),
        ([marked_event(do="notify")], False),
        ([marked_event(overridden=True)], False),
        ([marked_event(overridden=True), marked_event("E2")], True),
        ([marked_event(do="notify"), marked_event("E2", overridden=True)], False),
    ],
)
def test_a_mark_stands_for_a_cordon_while_one_event_cordons_and_is_not_overridden(events, cordons):
    assert Mark(events=tuple(events)).cordons is cordons
    assert not Mark().cordons


@pytest.mark.parametrize("deep", [DEEPEST + 1, 900, 990, 100_000])
def test_what_is_nested_without_end_is_a_broken_mark(deep):
    """`hdfs-sync`, and agents that approve, read what other nodes' agents wrote, or whoever has their tokens."""
    nested = "[" * deep + "]" * deep
    for text in (f'{{"events":{{"E1":{{"x":{nested}}}}}}}', f'{{"events":{{"E1":{{}}}},"x":{nested}}}'):
        assert read_mark(text) == Mark(broken=True)


def test_what_another_version_nests_a_little_is_carried_along():
    text = '{"events":{"E1":{"do":"cordon","type":"Reboot","x":' + "[" * 20 + "]" * 20 + '}},"v":1}'
    assert mark_text(read_mark(text)) == text
