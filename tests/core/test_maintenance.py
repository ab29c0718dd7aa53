from datetime import datetime, timedelta, timezone

import pytest

from agent.core.hearing import Hearing
from agent.core.maintenance import (
    Cordon,
    Decision,
    Idle,
    Notify,
    Policy,
    Release,
    decide,
    is_over,
    marked,
    next_over,
    obstacle,
    overridden,
    own_events,
    plan,
)
from agent.core.mark import Mark
from tests.core.builders import NAME, NOW, document, event, hearing, mark, marked_event, showing, vanished

POLICY = Policy()
LATER = {"not_before": NOW + timedelta(days=3)}


def planned(standing=None, heard_of=None, **more):
    given = {"vm_name": NAME, "ready": True, "cordoned_before": False, "policy": POLICY, "now": NOW}
    heard_of = heard_of or showing()
    return plan(mark=standing, hearing=heard_of, **{**given, "instant": heard_of.last_good or 0.0, **more})


# What an event is worth (DESIGN 4.2).


@pytest.mark.parametrize("kind", ["Reboot", "Redeploy", "Preempt", "Terminate"])
@pytest.mark.parametrize("status", ["Scheduled", "Started"])
def test_an_event_that_stops_the_vm_is_worth_a_cordon(kind, status):
    assert decide(event(kind=kind, status=status), POLICY, NOW) == Decision(do="cordon", because=f"{kind} stops the VM")


def test_an_unknown_type_is_worth_a_cordon():
    assert decide(event(kind="Relocate"), POLICY, NOW) == Decision(
        do="cordon", because="type 'Relocate' is not known: better safe"
    )


@pytest.mark.parametrize(
    ("duration", "do"), [(0, "notify"), (5, "notify"), (29, "notify"), (30, "cordon"), (None, "cordon")]
)
def test_a_freeze_known_to_be_shorter_than_thirty_seconds_is_told_and_any_other_cordoned_for(duration, do):
    assert decide(event(kind="Freeze", duration=duration), POLICY, NOW).do == do


def test_a_short_duration_excuses_no_other_type():
    assert decide(event(kind="Reboot", duration=1), POLICY, NOW).do == "cordon"


@pytest.mark.parametrize("status", ["Pondering", "Pending", ""])
def test_an_unknown_status_is_told(status):
    assert decide(event(status=status), POLICY, NOW) == Decision(do="notify", because=f"status {status!r} is not known")


@pytest.mark.parametrize(("minutes", "do"), [(59, "cordon"), (60, "cordon"), (61, "notify"), (4320, "notify")])
def test_an_event_is_cordoned_for_an_hour_ahead_and_only_told_before(minutes, do):
    assert decide(event(not_before=NOW + timedelta(minutes=minutes)), POLICY, NOW).do == do


def test_the_reason_names_the_time():
    because = decide(event(**LATER), POLICY, NOW).because
    assert because == "not before 2026-04-14 12:00:00Z: too early to cordon"


@pytest.mark.parametrize("more", [{"not_before": None}, {"status": "Started", **LATER}])
def test_an_event_without_a_date_or_already_started_is_due(more):
    assert decide(event(**more), POLICY, NOW).do == "cordon"


# Is it ours (DESIGN 4.1)?


def test_only_events_that_name_this_vm_are_its_own():
    shown = showing(event("E1"), event("E2", resources=("web_1",)), event("E3", resources=("web_1", "_WEB_0")))
    assert [own.id for own in own_events(shown, NAME)] == ["E1", "E3"]


def test_no_event_is_anybodys_own_while_the_name_is_not_known():
    assert own_events(showing(event()), None) == ()
    assert planned(None, showing(event()), vm_name=None) == Idle()


def test_events_of_others_and_events_that_are_over_leave_a_node_alone():
    assert planned(None, showing(event(resources=("web_1",)), event("E2", status="Completed"))) == Idle()


# From notice to cordon.


def test_an_own_event_is_marked_and_cordoned_for():
    assert planned(None, showing(event())) == Cordon(mark=mark())


def test_an_event_days_ahead_is_marked_and_told():
    assert planned(None, showing(event(**LATER))) == Notify(mark=mark(marked_event(do="notify")))


def test_a_cordon_begins_when_its_hour_has_come_although_nothing_else_changed():
    told, shown = mark(marked_event(do="notify")), showing(event(**LATER))
    assert isinstance(planned(told, shown, now=NOW + timedelta(days=2)), Notify)
    assert planned(told, shown, now=NOW + timedelta(days=3, hours=-1)) == Cordon(mark=mark())


def test_a_cordon_is_not_taken_back_when_its_event_is_put_off_or_turns_out_to_be_short():
    put_off = showing(event(**LATER), event("E2", kind="Freeze", duration=1), event("E3", status="Pondering"))
    standing = mark(*(marked_event(each, "Reboot" if each != "E2" else "Freeze") for each in ("E1", "E2", "E3")))
    assert planned(standing, put_off) == Cordon(mark=standing)


def test_what_was_seen_started_is_remembered():
    assert planned(mark(), showing(event(status="Started"))) == Cordon(mark=mark(marked_event(started=True)))
    assert planned(mark(marked_event(started=True)), showing(event())).mark.events[0].started


def test_a_changed_type_is_brought_up_to_date():
    assert planned(mark(), showing(event(kind="Redeploy"))).mark == mark(marked_event(kind="Redeploy"))


def test_an_id_in_another_case_is_the_same_event_and_keeps_the_marks_spelling():
    standing = mark(marked_event("e1", overridden=True))
    assert planned(standing, showing(event("E1"))) == Notify(mark=standing)


def test_an_id_that_is_repeated_is_one_event():
    assert marked(None, (event("E1"), event("e1", status="Started")), POLICY, NOW) == (marked_event(started=True),)


def test_the_mark_lists_events_in_a_stable_order():
    ids = [each.id for each in planned(None, showing(event("b"), event("C"), event("a"))).mark.events]
    assert ids == ["a", "b", "C"]


def test_a_cordon_made_by_somebody_else_before_is_remembered_from_the_first_cordon_on():
    assert planned(None, showing(event()), cordoned_before=True) == Cordon(mark=mark(before=True))
    assert planned(mark(before=True), showing(event()), cordoned_before=False) == Cordon(mark=mark(before=True))
    assert planned(mark(), showing(event()), cordoned_before=True) == Cordon(mark=mark())
    told = mark(marked_event(do="notify"))
    assert planned(told, showing(event()), cordoned_before=True) == Cordon(mark=mark(before=True))


# Hold through all events (4.5), release after the last (4.6).


def test_overlapping_events_hold_until_the_last_is_gone():
    both = mark(marked_event("E1"), marked_event("E2"))
    one_left = hearing(
        (0, document(event("E1"), event("E2"))), (1, document(event("E2"))), (900, document(event("E2")))
    )
    assert planned(both, one_left) == Cordon(mark=mark(marked_event("E2")))


def test_a_started_event_holds_however_long_it_lasts():
    lasting = hearing((0, document(event(status="Started"))), (9e4, document(event(status="Started"))))
    assert planned(mark(), lasting) == Cordon(mark=mark(marked_event(started=True)))


@pytest.mark.parametrize(("until", "over"), [(1, False), (60, False), (61, True)])
def test_an_event_is_over_when_good_documents_a_minute_apart_are_without_it(until, over):
    known = vanished(event(), since=1, until=until)
    assert is_over(marked_event(), known, POLICY) is over
    assert isinstance(planned(mark(), known), Release) is over


@pytest.mark.parametrize(("until", "over"), [(299, False), (300, True)])
def test_an_event_that_this_process_never_saw_is_over_after_five_minutes(until, over):
    assert is_over(marked_event(), hearing((0, document()), (until, document())), POLICY) is over


def test_an_event_that_a_restarted_agent_saw_again_needs_a_minute_only():
    restarted = hearing((0, document()), (10, document(event())), (11, document()), (71, document()))
    assert planned(mark(), restarted) == Release(mark=None, cordoned=True)


def test_an_event_that_never_started_is_over_when_it_is_gone_just_like_one_that_did():
    for started in (False, True):
        assert is_over(marked_event(started=started), vanished(event()), POLICY)


def test_without_one_good_document_no_event_is_over():
    assert planned(mark(), Hearing()) == Cordon(mark=mark())


def test_while_an_event_cannot_be_read_nothing_is_over():
    hidden = hearing((0, document(event())), (1, document()), (900, document(hidden=1)))
    reason = "IMDS shows an event that cannot be read: it may be ours"
    assert planned(mark(), hidden) == Cordon(mark=mark(), waiting_for=reason)


OBSTACLES = [
    ({"vm_name": None}, "the VM's name is not known yet"),
    ({"instant": 1015.1}, "IMDS has not said lately that no event is left"),
    ({"ready": False}, "the node is not Ready"),
]


@pytest.mark.parametrize(("more", "why"), OBSTACLES)
def test_a_node_is_not_given_back_while_something_stands_in_the_way(more, why):
    standing = mark(before=True)
    assert planned(standing, vanished(event(), until=1000), **more) == Cordon(mark=standing, waiting_for=why)


def test_fifteen_seconds_of_silence_from_imds_are_no_obstacle():
    known = vanished(event(), until=1000)
    assert obstacle(known, POLICY, 1015.0, ready=True, vm_name=NAME) is None
    assert obstacle(Hearing(), POLICY, 0.0, ready=True, vm_name=NAME) == OBSTACLES[1][1]


def test_an_event_that_is_only_told_survives_the_release_of_another():
    both = mark(marked_event("E1"), marked_event("E2", do="notify"))
    shown = (event("E1"), event("E2", **LATER))
    known = hearing((0, document(*shown)), (1, document(shown[1])), (61, document(shown[1])))
    assert planned(both, known) == Release(mark=mark(marked_event("E2", do="notify")), cordoned=True)


def test_what_was_only_told_is_unmarked_when_it_is_over_ready_or_not():
    told = mark(marked_event(do="notify"))
    assert planned(told, vanished(event()), ready=False) == Release(mark=None, cordoned=False)


# Override.


def test_an_override_is_of_the_events_that_cordon_now_and_keeps_what_was_before():
    standing = mark(marked_event("E1"), marked_event("E2", do="notify"), before=True)
    assert overridden(standing) == mark(
        marked_event("E1", overridden=True), marked_event("E2", do="notify"), before=True
    )


def test_an_overridden_event_cordons_no_more_whatever_becomes_of_it():
    standing = mark(marked_event(overridden=True))
    assert planned(standing, showing(event(status="Started"))) == Notify(
        mark=mark(marked_event(overridden=True, started=True))
    )


def test_a_new_event_cordons_although_an_older_one_was_overridden():
    standing = mark(marked_event("E1", overridden=True))
    assert planned(standing, showing(event("E1"), event("E2"))) == Cordon(
        mark=mark(marked_event("E1", overridden=True), marked_event("E2"))
    )


# A broken mark.


def test_a_broken_mark_cordons_until_five_minutes_of_good_documents_show_nothing():
    broken = Mark(broken=True)
    assert planned(broken, Hearing()) == Cordon(mark=broken)
    assert planned(broken, hearing((0, document()), (299, document()))) == Cordon(mark=broken)
    assert planned(broken, hearing((0, document()), (300, document()))) == Release(mark=None, cordoned=True)


def test_a_broken_mark_is_mended_by_the_event_that_is_shown():
    assert planned(Mark(broken=True), hearing((0, document(event())), (300, document(event())))) == Cordon(mark=mark())


def test_a_broken_mark_waits_for_the_node_like_any_other():
    known = hearing((0, document()), (300, document()))
    assert planned(Mark(broken=True), known, ready=False) == Cordon(
        mark=Mark(broken=True), waiting_for="the node is not Ready"
    )


def test_a_broken_mark_may_be_of_any_event_that_was_shown_lately():
    known = [(0, document(event())), (900, document())]
    assert planned(Mark(broken=True), hearing(*known, (959, document()))) == Cordon(mark=Mark(broken=True))
    assert isinstance(planned(Mark(broken=True), hearing(*known, (960, document()))), Release)


def test_the_next_end_is_told_in_seconds_and_only_of_events_that_are_absent_and_not_over():
    known = hearing((0, document(event("E1"), event("E2"))), (1, document(event("E2"))), (31, document(event("E2"))))
    both = mark(marked_event("E1"), marked_event("E2"))
    assert next_over(both, known, Policy()) == 30.0
    assert next_over(mark(marked_event("E2")), known, Policy()) is None
    later = hearing((0, document(event("E1"))), (1, document()), (62, document()))
    assert next_over(mark(marked_event("E1")), later, Policy()) is None


@pytest.mark.parametrize("year", [1, 9999])
def test_a_date_at_the_end_of_the_calendar_is_no_fault(year):
    far = event(not_before=datetime(year, 1, 1, tzinfo=timezone.utc))
    assert decide(far, POLICY, NOW).do == ("cordon" if year == 1 else "notify")


def test_a_preempt_is_never_too_early_to_cordon_for():
    assert decide(event(kind="Preempt", **LATER), POLICY, NOW).do == "cordon"
