from datetime import timedelta

import pytest

from agent.core.actions import ApplyMark
from agent.core.hearing import Hearing
from agent.core.known import IDLE, Known, Rules
from agent.core.maintenance import Cordon, Idle, Notify, Release
from agent.core.mark import Mark, mark_text
from agent.core.marking import standing_mark, vm_name
from agent.core.node import EVENTS
from agent.core.reconcile import WATCHFUL, reconcile
from agent.core.refusal import Refusal
from tests.core.builders import (
    EVENTS_KEY,
    HOLD_KEY,
    INSTANCE_KEY,
    NAME,
    NOW,
    SIZE,
    P,
    cordoned,
    document,
    event,
    hearing,
    labelled,
    managed,
    mark,
    marked_event,
    metadata_of,
    node,
    seen,
    showing,
    sighting,
    turn,
    uncordoned,
    vanished,
)

DONE = seen(labelled())
OVER = vanished(event())
FAR = {"not_before": NOW + timedelta(days=3)}
WITHDRAW = ApplyMark(mark=None, cordon=False)
KUBECTL = managed("kubectl-cordon", applied=False, cordon=True)
OVERRIDDEN = mark(marked_event(overridden=True))


# Idle.


def test_a_node_that_is_as_it_should_be_is_not_written_to_and_looked_at_seldom():
    done = turn(DONE)
    assert (done.plan, done.actions, done.look, done.pause) == (Idle(), (), None, IDLE)


def test_metadata_alone_is_enough_for_an_idle_node():
    assert turn(seen(metadata_of(labelled()), quorum=False)).actions == ()


def test_the_pause_of_an_idle_node_is_a_setting():
    assert turn(DONE, rules=Rules(idle=60.0)).pause == 60.0


def test_an_admins_cordon_and_a_hold_without_an_event_are_not_ours_to_touch():
    view = seen(labelled(KUBECTL, cordoned=True, annotations={HOLD_KEY: "mine"}))
    assert turn(view).actions == ()


def test_before_imds_answered_nothing_is_written_even_on_a_bare_node():
    assert turn(seen(node()), Hearing(), silent=True).actions == ()
    assert turn(seen(node()), showing(event()), silent=True).actions == ()


# Who we are.


def test_the_name_is_what_imds_says():
    assert vm_name(sighting(1, name="web_7"), DONE, P) == "web_7"


@pytest.mark.parametrize("known", [None, sighting(0, name=None)])
def test_until_imds_has_said_the_name_it_is_what_the_node_says(known):
    assert vm_name(known, DONE, P) == NAME
    assert vm_name(known, seen(node()), P) is None
    assert vm_name(known, seen(node(annotations={INSTANCE_KEY: "garbled"})), P) is None


def test_a_restarted_agent_cordons_by_the_name_on_the_node_while_the_instance_document_is_silent():
    begun = turn(DONE, showing(event()), silent=True)
    assert begun.actions == (ApplyMark(mark=mark(), cordon=True),)


def test_nothing_is_released_while_nobody_says_who_we_are():
    view = seen(cordoned(annotations={INSTANCE_KEY: "garbled"}))
    waiting = turn(view, OVER, silent=True)
    assert waiting.actions == ()
    assert waiting.plan == Cordon(mark=mark(), waiting_for="the VM's name is not known yet")


# Cordon.


def test_an_event_is_marked_and_cordoned_for_in_one_request_before_labels():
    first, *rest = turn(seen(node()), showing(event())).actions
    assert first == ApplyMark(mark=mark(), cordon=True)
    assert [action.group for action in rest] == ["facts", "tags"]


def test_a_cordon_that_stands_is_not_applied_again_and_watched_closely():
    standing = turn(seen(cordoned()), showing(event()))
    assert (standing.actions, standing.pause, standing.plan) == ((), WATCHFUL, Cordon(mark=mark()))


def test_a_cordon_wants_a_full_view_and_no_quorum():
    asked = turn(seen(metadata_of(labelled()), quorum=False), showing(event()))
    assert (asked.plan, asked.look, asked.actions, asked.pause) == (None, "full", (), WATCHFUL)
    assert turn(seen(labelled(), quorum=False), showing(event())).actions == (ApplyMark(mark=mark(), cordon=True),)


def test_an_event_days_ahead_is_marked_without_a_cordon():
    told = turn(DONE, showing(event(**FAR)))
    assert told.actions == (ApplyMark(mark=mark(marked_event(do="notify")), cordon=False),)
    assert told.plan == Notify(mark=mark(marked_event(do="notify")))


def test_what_was_told_is_watched_idly_and_cordoned_for_when_its_hour_has_come():
    told = seen(uncordoned(mark(marked_event(do="notify"))))
    assert (turn(told, showing(event(**FAR))).actions, turn(told, showing(event(**FAR))).pause) == ((), Rules().idle)
    soon = {"not_before": NOW + timedelta(hours=1, seconds=40)}
    assert turn(told, showing(event(**soon))).pause == 40.0
    assert turn(told, showing(event(**FAR)), now=NOW + timedelta(days=3)).actions == (
        ApplyMark(mark=mark(), cordon=True),
    )


def test_an_admins_cordon_made_before_ours_is_noted_in_the_mark():
    view = seen(labelled(KUBECTL, cordoned=True))
    assert turn(view, showing(event())).actions == (ApplyMark(mark=mark(before=True), cordon=True),)


def test_a_told_event_leaves_an_admins_cordon_alone():
    view = seen(labelled(managed(EVENTS, annotations=[EVENTS_KEY]), KUBECTL, cordoned=True))
    assert turn(view, showing(event(**FAR))).actions == (ApplyMark(mark=mark(marked_event(do="notify")), cordon=False),)
    told = seen(uncordoned(mark(marked_event(do="notify"))) | {"spec": {"unschedulable": True}})
    assert turn(told, showing(event(**FAR))).actions == ()


def test_a_put_of_an_old_copy_that_took_mark_and_cordon_along_is_no_override():
    assert turn(DONE, showing(event())).actions == (ApplyMark(mark=mark(), cordon=True),)


# Marks that people spoilt.


def test_a_mark_that_was_taken_away_while_the_cordon_is_ours_is_written_again():
    sent = cordoned()
    del sent["metadata"]["annotations"][EVENTS_KEY]
    assert standing_mark(seen(sent), P) == Mark(broken=True)
    [mended] = turn(seen(sent), showing(event())).actions
    assert (mark_text(mended.mark), mended.cordon) == (mark_text(mark()), True)


def test_a_garbled_mark_is_mended_by_the_events_that_are_shown():
    sent = cordoned()
    sent["metadata"]["annotations"][EVENTS_KEY] = "oops"
    [mended] = turn(seen(sent), showing(event())).actions
    assert (mark_text(mended.mark), mended.cordon) == (mark_text(mark()), True)


def test_a_garbled_mark_without_events_is_given_back_after_five_minutes():
    sent = cordoned()
    sent["metadata"]["annotations"][EVENTS_KEY] = mark_text(Mark(broken=True))
    early, late = (hearing((0, document()), (end, document())) for end in (299, 300))
    assert turn(seen(sent), early).actions == ()
    assert turn(seen(sent), late).actions == (WITHDRAW,)


def test_a_mark_with_two_spellings_of_one_id_is_written_as_one():
    twice = cordoned(mark(marked_event("E1"), marked_event("e1")))
    [action] = turn(seen(twice), showing(event("E1"))).actions
    assert [each.id.casefold() for each in action.mark.events] == ["e1"]


def test_a_cordon_of_ours_under_a_mark_that_was_edited_to_tell_only_is_not_taken_for_an_admins():
    edited = seen(cordoned(mark(marked_event(do="notify"))))
    assert turn(edited, showing(event())).actions == (ApplyMark(mark=mark(), cordon=True),)


# Override.


def test_a_schedulable_node_under_our_mark_is_an_override_once_etcd_itself_says_so():
    asked = turn(seen(uncordoned(), quorum=False), showing(event()))
    assert (asked.plan, asked.look, asked.actions) == (None, "quorum", ())
    said = turn(seen(uncordoned()), showing(event()))
    assert said.override
    assert said.actions == (ApplyMark(mark=OVERRIDDEN, cordon=False),)


def test_an_override_is_said_once_and_stays():
    again = turn(seen(uncordoned(OVERRIDDEN)), showing(event(status="Scheduled")))
    assert (again.override, again.actions, again.plan) == (False, (), Notify(mark=OVERRIDDEN))


def test_an_override_is_known_after_a_restart():
    assert turn(seen(uncordoned(OVERRIDDEN)), Hearing()).actions == ()


def test_a_new_event_after_an_override_cordons_again():
    both = mark(marked_event("E1", overridden=True), marked_event("E2"))
    for standing in (None, OVERRIDDEN):
        shown = turn(seen(uncordoned(standing)), showing(event("E1"), event("E2")))
        assert shown.actions == (ApplyMark(mark=both, cordon=True),)


def test_when_the_later_event_is_over_the_overridden_one_keeps_nothing_cordoned():
    both = mark(marked_event("E1", overridden=True), marked_event("E2"))
    known = hearing((0, document(event("E1"), event("E2"))), (1, document(event("E1"))), (61, document(event("E1"))))
    assert turn(seen(cordoned(both)), known).actions == (ApplyMark(mark=OVERRIDDEN, cordon=False),)


def test_a_cordon_that_an_admin_makes_after_an_override_is_his():
    view = seen(labelled(managed(EVENTS, annotations=[EVENTS_KEY]), KUBECTL, cordoned=True, annotations={}))
    view.annotations[EVENTS_KEY] = seen(cordoned(OVERRIDDEN)).annotations[EVENTS_KEY]
    assert turn(view, showing(event())).actions == ()
    assert turn(view, OVER).actions == (WITHDRAW,)


def test_an_override_of_an_event_that_is_over_leaves_nothing_behind():
    done = turn(seen(uncordoned()), OVER)
    assert (done.override, done.actions, done.plan) == (False, (WITHDRAW,), Release(mark=None, cordoned=False))


# Refusals.


def test_a_refusal_counts_until_its_half_hour_is_over():
    refusals = {"facts": Refusal(keys=frozenset({SIZE}), until=100.0)}
    known = Known(sighting=sighting(), hearing=showing(), refusals=refusals)
    [facts, _] = reconcile(known, seen(node()), Rules(), now=NOW, instant=99.0).actions
    assert SIZE not in facts.written.labels
    [facts, _] = reconcile(known, seen(node()), Rules(), now=NOW, instant=100.0).actions
    assert SIZE in facts.written.labels
