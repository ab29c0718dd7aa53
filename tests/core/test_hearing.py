import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.events import read_events
from agent.core.hearing import FORGET_AFTER, REMEMBERED, Hearing
from tests.core.builders import document, event, hearing, showing, vanished

ONE = document(event("E1"))
NONE = document()
BLIND = document(hidden=1, unreadable=("$.Events[0]: expected a text",))


def test_nothing_is_known_before_the_first_good_document():
    nothing = Hearing()
    assert nothing.present() == ()
    assert nothing.silent_for("E1") is None
    assert not nothing.ever_saw("E1")


def test_an_event_that_is_shown_is_not_silent():
    assert showing(event("E1")).silent_for("E1") is None


def test_one_document_without_an_event_is_a_silence_of_no_length():
    assert hearing((0, ONE), (5, NONE)).silent_for("E1") == 0


def test_silence_lasts_from_the_first_to_the_last_document_without_the_event():
    assert hearing((0, ONE), (5, NONE), (8, NONE), (65, NONE)).silent_for("E1") == 60


def test_time_alone_is_no_silence_without_documents():
    known = hearing((0, ONE), (5, NONE))
    assert known.silent_for("E1") == 0  # however late it is asked


def test_an_event_that_comes_back_is_silent_from_its_next_absence():
    known = hearing((0, ONE), (5, NONE), (50, NONE), (51, ONE), (60, NONE), (70, NONE))
    assert known.silent_for("E1") == 10


def test_an_event_that_was_never_seen_has_been_silent_since_the_first_document():
    known = hearing((7, NONE), (107, NONE))
    assert (known.silent_for("E9"), known.ever_saw("E9")) == (100, False)


def test_ids_in_different_case_are_one_event():
    known = hearing((0, document(event("aBc"))), (5, NONE), (9, NONE))
    assert known.ever_saw("ABC")
    assert known.silent_for("AbC") == 4
    assert hearing((0, ONE), (5, document(event("e1")))).silent_for("E1") is None


def test_an_event_is_first_seen_once():
    known = hearing((3, ONE), (5, NONE), (9, ONE))
    assert known.first_seen == {"e1": 3}


@pytest.mark.parametrize("status", ["Completed", "Canceled"])
def test_an_event_that_is_shown_as_over_is_absent(status):
    known = hearing((0, ONE), (5, document(event("E1", status=status))), (9, NONE))
    assert known.present() == ()
    assert known.silent_for("E1") == 4


def test_an_id_that_is_shown_both_over_and_lasting_lasts():
    twice = document(event("E1", status="Completed"), event("E1", status="Started"))
    assert hearing((0, twice)).silent_for("E1") is None


def test_a_document_with_an_event_that_cannot_be_read_begins_every_silence_anew():
    blinded = hearing((0, ONE), (5, NONE), (60, BLIND))
    assert blinded.silent_for("E1") is None
    assert blinded.silent_for("E9") is None
    again = hearing((0, ONE), (5, NONE), (60, BLIND), (61, NONE), (91, NONE))
    assert again.silent_for("E1") == 30
    assert again.silent_for("E9") == 30
    assert again.ever_saw("E1")


def test_what_can_be_read_beside_an_unreadable_event_counts():
    known = hearing((0, document(event("E1"), hidden=1)))
    assert [shown.id for shown in known.present()] == ["E1"]
    assert known.ever_saw("E1")


def test_a_date_or_incarnation_that_cannot_be_read_hides_no_event_and_stops_no_silence():
    odd = document(event("E2"), incarnation=-1, unreadable=("$.Events[0].NotBefore: expected a date",))
    known = hearing((0, ONE), (5, odd), (65, odd))
    assert known.silent_for("E1") == 60


def test_what_has_been_gone_for_a_day_is_forgotten():
    late = 5 + FORGET_AFTER
    assert hearing((0, ONE), (5, NONE), (late, NONE)).ever_saw("E1")
    forgotten = hearing((0, ONE), (5, NONE), (late + 1, NONE))
    assert not forgotten.ever_saw("E1")
    assert forgotten.absent_since == {}
    assert forgotten.silent_for("E1") == late + 1  # since the first good document: still gone, for whoever marked it


def test_the_incarnation_decides_nothing():
    known = hearing((0, document(event("E1"), incarnation=9)), (5, document(incarnation=2)), (65, document()))
    assert known.silent_for("E1") == 60


DOCUMENTS = st.sampled_from([ONE, NONE, BLIND, document(event("E2")), document(event("e1"), event("E2"))])


@given(st.lists(st.tuples(st.integers(1, 400), DOCUMENTS), min_size=1, max_size=20))
def test_silence_is_never_longer_than_the_time_since_the_event_was_last_shown(steps):
    now, last_shown, told = 0, None, []
    for seconds, said in steps:
        now += seconds
        told.append((now, said))
        if any(shown.id.casefold() == "e1" for shown in said.events):
            last_shown = now
        silence = hearing(*told).silent_for("E1")
        blind = said.hidden > 0
        assert (silence is None) == (blind or last_shown == now)
        if silence is not None and last_shown is not None:
            assert silence < now - last_shown


def test_an_event_gone_for_long_is_silent_to_the_last_document():
    assert vanished(event("E1"), since=1, until=301).silent_for("e1") == 300


def test_an_event_that_came_without_its_id_hides_whatever_it_was():
    gap = read_events(
        '{"DocumentIncarnation":2,"Events":[{"EventType":"Reboot","EventStatus":"Started","Resources":[]}]}'
    )
    odd = read_events('{"DocumentIncarnation":"?","Events":[]}')
    assert hearing((0, ONE), (5, NONE), (60, gap)).silent_for("E1") is None
    assert hearing((0, ONE), (5, odd), (65, odd)).silent_for("E1") == 60


def test_of_absent_events_only_the_last_thousand_are_remembered():
    """Who plays the service may send other events each second, and a day is long."""
    crowds = [document(*(event(f"E{second}-{n}") for n in range(300))) for second in range(10)]
    known = hearing(*enumerate(crowds, start=1), (11, NONE))
    assert len(known.first_seen) == len(known.absent_since) == REMEMBERED
    assert known.ever_saw("E9-0")
    assert not known.ever_saw("E1-0")
