from datetime import timedelta

import pytest

from agent.core.hearing import Hearing
from agent.core.judgement import AT_MOST, Limits, draining, judged, marked, overridden, own_events
from agent.core.maintenance import HELD, Cordon, Drain, Idle, Notify, Release, is_over, next_over, obstacle, plan
from agent.core.mark import Mark
from agent.core.policy import DEFAULT_RULES, Policy, Rule
from tests.core.builders import NAME, NOW, document, event, hearing, mark, marked_event, showing, vanished

POLICY = Policy()
LATER = {"not_before": NOW + timedelta(days=3)}


def planned(standing=None, heard_of=None, **more):
    given = {"vm_name": NAME, "ready": True, "cordoned_before": False, "policy": POLICY, "now": NOW}
    heard_of = heard_of or showing()
    return plan(mark=standing, hearing=heard_of, **{**given, "instant": heard_of.last_good or 0.0, **more})


# Is it ours (DESIGN 4.1)?


def test_only_events_that_name_this_vm_are_its_own():
    shown = showing(event("E1"), event("E2", resources=("web_1",)), event("E3", resources=("web_1", "_WEB_0")))
    assert [own.id for own in own_events(shown, NAME)] == ["E1", "E3"]


def test_of_very_many_own_events_those_count_that_come_first_so_that_the_mark_fits_into_an_annotation():
    events = [event(f"E{n:04}", not_before=NOW + timedelta(minutes=n)) for n in reversed(range(5000))]
    begun = event("F", status="Started")
    own = own_events(showing(*events, begun), NAME)
    assert [each.id for each in own] == ["F", *(f"E{n:04}" for n in range(AT_MOST - 1))]
    assert own_events(showing(*reversed(events), begun), NAME) == own


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
    assert marked(None, (event("E1"), event("e1", status="Started")), POLICY, Limits(), NOW) == (
        marked_event(started=True),
    )


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
    ({"taken_by": "kured"}, "kured is taking the node down"),
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


# Drain (4.4): when it begins, for how long, and what ends it.

DRAINING = Policy(rules={**DEFAULT_RULES, "Reboot": Rule(do="drain"), "Freeze": Rule(do="drain")})
SOON = {"not_before": NOW + timedelta(minutes=5)}


def drained(*events, **flags):
    return mark(*(events or (marked_event(do="drain"),)), **flags)


def test_an_event_that_is_to_be_drained_for_makes_a_drain_with_the_first_deadline():
    later = event("E2", not_before=NOW + timedelta(minutes=6))
    chosen = planned(None, showing(event("E1", **SOON), later), policy=Policy(rules=DRAINING.rules, drain_before=600))
    assert chosen == Drain(
        mark=mark(marked_event("E1", do="drain"), marked_event("E2", do="drain")),
        deadline=SOON["not_before"],
        keys=frozenset({"e1", "e2"}),
    )


def test_a_drain_without_a_time_has_no_deadline():
    assert planned(None, showing(event(not_before=None)), policy=DRAINING).deadline is None


def test_before_its_time_a_drain_is_a_cordon_and_the_pods_decide_when_that_is():
    shown = showing(event(not_before=NOW + timedelta(minutes=15)))
    assert planned(None, shown, policy=DRAINING) == Cordon(mark=mark())
    assert isinstance(planned(mark(), shown, policy=DRAINING, limits=Limits(drain_need=600)), Drain)
    assert isinstance(planned(mark(), shown, policy=DRAINING, limits=Limits(at_once=frozenset({"e1"}))), Drain)


def test_a_drain_that_began_goes_on_when_its_event_is_put_off():
    put_off = showing(event(not_before=NOW + timedelta(minutes=50)))
    standing = drained(marked_event(do="drain", drain="begun"))
    assert planned(standing, put_off, policy=DRAINING).mark == standing


def test_nothing_is_drained_once_the_event_has_started_and_an_unfinished_drain_has_failed():
    started = showing(event(status="Started"))
    for before, after in (("begun", "failed"), ("done", "done"), (None, None), ("failed", "failed")):
        standing = drained(marked_event(do="drain", drain=before))
        expected = drained(marked_event(do="drain", drain=after, started=True))
        assert planned(standing, started, policy=DRAINING) == Cordon(mark=expected)


@pytest.mark.parametrize(
    ("before", "after"), [("begun", "stopped"), ("done", "stopped"), ("failed", "failed"), (None, None)]
)
def test_a_drain_that_the_policy_no_longer_wants_is_stopped_and_the_cordon_stays(before, after):
    standing = drained(marked_event(do="drain", drain=before))
    assert planned(standing, showing(event(**SOON))) == Cordon(mark=mark(marked_event(drain=after)))


def test_a_policy_that_came_to_ignore_an_event_takes_no_cordon_back_and_marks_no_new_event():
    ignoring = Policy(rules={"Reboot": Rule(do="ignore"), "other": Rule(do="cordon")})
    assert planned(mark(), showing(event()), policy=ignoring) == Cordon(mark=mark())
    assert planned(None, showing(event()), policy=ignoring) == Idle()
    told = mark(marked_event(do="notify"))
    assert planned(told, showing(event()), policy=ignoring) == Notify(mark=told)


def test_an_override_stops_the_drain():
    assert overridden(drained(marked_event(do="drain", drain="begun"))) == drained(
        marked_event(do="drain", drain="stopped", overridden=True)
    )
    standing = drained(marked_event(do="drain", drain="stopped", overridden=True))
    assert planned(standing, showing(event(**SOON)), policy=DRAINING) == Notify(mark=standing)


def test_events_that_vanished_drain_nothing():
    standing = drained(marked_event(do="drain", drain="begun"))
    assert planned(standing, vanished(event(), until=30), policy=DRAINING) == Cordon(mark=standing)


def test_only_what_is_shown_scheduled_and_cordoned_for_drains():
    own = (event("E1"), event("E2", status="Started"), event("E3"), event("E4"))
    events = (
        marked_event("E1", do="drain"),
        marked_event("E2", do="drain"),
        marked_event("E3", do="drain", overridden=True),
        marked_event("E4", do="cordon"),
    )
    assert [each.id for each in draining(events, own, Limits())] == ["E1"]
    assert draining(events, own, Limits(drain="hold")) == ()
    assert draining(events, own, Limits(cordon="hold")) == ()


def test_what_another_version_wrote_into_the_mark_stays_through_every_plan():
    more = (("new", "1"),)
    standing = mark(more=more)
    assert planned(standing, showing(event())).mark.more == more
    assert planned(standing, vanished(event()), ready=False).mark.more == more
    told = mark(marked_event(do="notify"), more=more)
    assert planned(told, showing(event(**LATER))).mark.more == more
    both = mark(marked_event("E1"), marked_event("E2", do="notify"), more=more)
    shown = (event("E1"), event("E2", **LATER))
    known = hearing((0, document(*shown)), (1, document(shown[1])), (61, document(shown[1])))
    assert planned(both, known).mark.more == more


# The switch and the budget of freezes limit what the policy wants.


def test_with_cordons_on_hold_nothing_new_is_cordoned_for_and_nothing_is_given_back():
    hold = Limits(cordon="hold")
    assert planned(None, showing(event()), limits=hold) == Notify(mark=mark(marked_event(do="notify")))
    assert planned(mark(), vanished(event()), limits=hold) == Cordon(mark=mark(), waiting_for=HELD)
    both = planned(mark(), showing(event("E1"), event("E2")), limits=hold)
    assert both == Cordon(mark=mark(marked_event("E1"), marked_event("E2", do="notify")), waiting_for=HELD)
    told = mark(marked_event(do="notify"))
    assert planned(told, vanished(event()), limits=hold) == Release(mark=None, cordoned=False)
    assert planned(told, showing(event())) == Cordon(mark=mark())  # on again


def test_a_released_switch_takes_our_cordons_back_although_the_event_lasts():
    release = Limits(cordon="release")
    told = mark(marked_event(do="notify"))
    assert planned(mark(), showing(event()), limits=release) == Release(mark=told, cordoned=True)
    assert planned(mark(), showing(event()), limits=release, ready=False) == Release(mark=told, cordoned=True)
    assert planned(told, showing(event()), limits=release) == Notify(mark=told)
    assert planned(None, showing(event()), limits=release) == Notify(mark=told)
    assert planned(mark(), vanished(event()), limits=release) == Release(mark=None, cordoned=True)
    begun = drained(marked_event(do="drain", drain="begun"))
    after = Release(mark=mark(marked_event(do="notify", drain="stopped")), cordoned=True)
    assert planned(begun, showing(event()), limits=release, policy=DRAINING) == after


def test_a_drain_on_hold_waits_and_a_released_one_is_a_cordon():
    standing = drained(marked_event(do="drain", drain="begun"))
    shown = showing(event(**SOON))
    assert planned(standing, shown, policy=DRAINING, limits=Limits(drain="hold")) == Cordon(mark=standing)
    stopped = mark(marked_event(do="cordon", drain="stopped"))
    assert planned(standing, shown, policy=DRAINING, limits=Limits(drain="release")) == Cordon(mark=stopped)
    assert isinstance(planned(stopped, shown, policy=DRAINING), Drain)  # on again


def test_a_freeze_waits_for_its_place_and_keeps_the_cordon_that_it_has():
    freeze = event(kind="Freeze")
    full = Limits(freeze=False)
    told = mark(marked_event(kind="Freeze", do="notify"))
    assert planned(None, showing(freeze), limits=full) == Notify(mark=told)
    assert planned(told, showing(freeze)) == Cordon(mark=mark(marked_event(kind="Freeze")))
    standing = mark(marked_event(kind="Freeze"))
    assert planned(standing, showing(freeze), limits=full) == Cordon(mark=standing)
    assert planned(None, showing(event()), limits=full) == Cordon(mark=mark())


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        (Limits(cordon="hold"), "cordons are switched to hold"),
        (Limits(cordon="release"), "cordons are switched to release"),
        (Limits(drain="release"), "drains are switched off"),
        (Limits(freeze=False), "no place is free in the budget of freezes"),
    ],
)
def test_a_limit_is_named_where_the_decision_is_explained(limits, told):
    assert told in judged(event(kind="Freeze", **SOON), DRAINING, limits, NOW).because
    assert told not in judged(event(kind="Freeze", **SOON), DRAINING, Limits(), NOW).because


def test_a_switched_off_drain_ahead_is_not_promised():
    ahead = event(not_before=NOW + timedelta(minutes=30))
    decision = judged(ahead, DRAINING, Limits(drain="release"), NOW)
    assert (decision.do, decision.ultimately) == ("cordon", "cordon")
    days = judged(event(**LATER), DRAINING, Limits(drain="release"), NOW)
    assert (days.do, days.ultimately) == ("notify", "cordon")
