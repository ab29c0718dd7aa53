"""What a VM remembers of its events: read back as it was written."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.document import DocumentError
from agent.core.events import ScheduledEvent
from agent.core.host_state import PHASES, HostEvent, HostState, Ran, read_state, state_text
from agent.core.mark import MarkedEvent
from tests.core.builders import NOW, event, marked_event

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
MAYBE = st.one_of(st.none(), TEXTS)
DATES = st.one_of(
    st.none(),
    st.datetimes(min_value=NOW.replace(tzinfo=None)).map(lambda at: at.replace(microsecond=0, tzinfo=NOW.tzinfo)),
)
RAN = st.builds(
    Ran,
    phase=st.sampled_from(PHASES),
    hook=TEXTS,
    outcome=st.sampled_from(["begun", "done", "failed", "late", "refused", "lost"]),
)


@st.composite
def host_events(draw) -> HostEvent:
    shown = draw(
        st.builds(
            ScheduledEvent,
            id=TEXTS,
            type=TEXTS,
            status=TEXTS,
            resources=st.lists(TEXTS, max_size=3).map(tuple),
            not_before=DATES,
            description=MAYBE,
            source=MAYBE,
            duration=st.one_of(st.none(), st.integers(0, 9999)),
        )
    )
    entry = MarkedEvent(
        id=shown.id,
        type=shown.type,
        do=draw(st.sampled_from(["notify", "cordon", "drain"])),
        started=draw(st.booleans()),
        approved=draw(MAYBE),
    )
    ran = tuple(draw(st.lists(RAN, max_size=4)))
    return HostEvent(event=shown, entry=entry, ran=ran, through=draw(st.frozensets(st.sampled_from(PHASES))))


STATES = st.builds(HostState, vm_id=MAYBE, events=st.lists(host_events(), max_size=3).map(tuple))


@given(STATES)
def test_a_state_is_read_back_as_it_was_written(state):
    assert read_state(state_text(state)) == state


@given(st.text())
def test_no_text_breaks_the_reader(text):
    with pytest.raises(DocumentError):
        read_state(text)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("v",), 2, "$.v: expected version 1, found 2"),
        (("events", 0, "do"), "dance", "$.events[0].do: expected one of notify, cordon, drain, found 'dance'"),
        (("events", 0, "through"), ["soon"], "$.events[0].through[0]: expected one of scheduled, started, gone"),
        (("events", 0, "ran", 0, "outcome"), None, "$.events[0].ran[0].outcome: expected one of begun, done"),
        (("events", 0, "ran", 0, "hook"), "", "$.events[0].ran[0].hook: expected a text"),
        (("events", 0, "event", "id"), None, "$.events[0].event.id: expected a text"),
    ],
)
def test_what_is_wrong_is_said_with_its_path(path, value, said):
    ran = (Ran(phase="scheduled", hook="10-a", outcome="done"),)
    text = state_text(HostState(events=(HostEvent(event=event(), entry=marked_event(), ran=ran),)))
    document = json.loads(text)
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(DocumentError) as wrong:
        read_state(json.dumps(document))
    assert str(wrong.value).startswith(said)
