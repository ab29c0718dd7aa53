from datetime import timedelta

import pytest

from agent.core.actions import ApplyGroup, ApplyMark, ClearCordon, HandOver, Sweep
from agent.core.hearing import Hearing
from agent.core.maintenance import Cordon, Idle, Notify, Release
from agent.core.mark import Mark, mark_text
from agent.core.node import EVENTS, HANDOVER, ORPHANED, Hold
from agent.core.reconcile import IDLE, WATCHFUL, Known, Rules, reconcile, standing_mark, vm_name
from agent.core.refusal import Refusal
from tests.core.builders import (
    EVENTS_KEY,
    HOLD_KEY,
    INSTANCE_KEY,
    NAME,
    NOW,
    RACK,
    SIZE,
    VERSION,
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
    vanished,
)

DONE = seen(labelled())
OVER = vanished(event())
FAR = {"not_before": NOW + timedelta(days=3)}
WITHDRAW = ApplyMark(mark=None, cordon=False)
FORGET = Sweep(annotations=(EVENTS_KEY,))
KUBECTL = managed("kubectl-cordon", applied=False, cordon=True)
OVERRIDDEN = mark(marked_event(overridden=True))


def wiped(standing=None, **more):
    """A node of ours after a PUT with `managedFields: []`: nobody owns anything."""
    sent = cordoned(standing, **more)
    sent["metadata"]["managedFields"] = []
    return sent


def uncordoned(standing=None, **more):
    """A node that carries our mark but not our cordon: somebody made it schedulable."""
    ours = managed(EVENTS, annotations=(EVENTS_KEY,))
    sent = cordoned(standing, cordoned=False, **more)
    sent["metadata"]["managedFields"][2] = ours
    return sent


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


def test_what_was_told_is_watched_closely_and_cordoned_for_when_its_hour_has_come():
    told = seen(uncordoned(mark(marked_event(do="notify"))))
    assert (turn(told, showing(event(**FAR))).actions, turn(told, showing(event(**FAR))).pause) == ((), WATCHFUL)
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


# Release.


def test_a_node_is_given_back_by_withdrawing_mark_and_cordon_at_once():
    done = turn(seen(cordoned()), OVER)
    assert (done.plan, done.actions) == (Release(mark=None, cordoned=True), (WITHDRAW,))


def test_a_release_is_decided_on_what_etcd_itself_says():
    assert turn(seen(metadata_of(cordoned()), quorum=False), OVER).look == "full"
    asked = turn(seen(cordoned(), quorum=False), OVER)
    assert (asked.plan, asked.look, asked.actions) == (None, "quorum", ())


@pytest.mark.parametrize("more", [{"ready": False}])
def test_a_release_waits_for_ready_and_labels_do_not(more):
    sent = cordoned(**more)
    del sent["metadata"]["labels"][RACK]
    [action] = turn(seen(sent), OVER).actions
    assert isinstance(action, ApplyGroup)


def test_a_release_waits_for_imds_to_be_heard_lately():
    assert turn(seen(cordoned()), OVER, instant=1000 + 16).actions == ()


def test_an_imds_that_never_answers_after_a_restart_keeps_the_cordon():
    assert turn(seen(cordoned()), Hearing(), silent=True, instant=9e9).actions == ()


def test_a_restarted_agent_waits_five_minutes_for_events_it_never_saw():
    early, late = (hearing((0, document()), (end, document())) for end in (299, 300))
    assert turn(seen(cordoned()), early).actions == ()
    assert turn(seen(cordoned()), late).actions == (WITHDRAW,)


def test_an_admins_cordon_made_before_ours_stays_when_we_withdraw():
    view = seen(cordoned(mark(before=True), KUBECTL))
    assert turn(view, OVER).actions == (WITHDRAW,)


def test_a_mark_that_stands_under_others_names_too_is_taken_away_by_name():
    view = seen(cordoned(mark(before=True), managed(ORPHANED, applied=False, annotations=[EVENTS_KEY])))
    assert turn(view, OVER).actions == (WITHDRAW, FORGET)


# Ownership lost (a PUT with `managedFields: []`).


def test_a_cordon_whose_ownership_was_wiped_is_still_ours_by_the_mark():
    assert turn(seen(wiped()), showing(event())).actions == ()
    assert turn(seen(wiped()), OVER).actions == (ClearCordon(resource_version=VERSION),)


def test_a_cordon_shared_with_orphaned_fields_is_cleared_by_name():
    orphaned = managed(ORPHANED, applied=False, annotations=[EVENTS_KEY], cordon=True)
    assert turn(seen(cordoned(None, orphaned)), OVER).actions == (ClearCordon(resource_version=VERSION),)


def test_an_old_copy_with_our_mark_that_somebody_put_back_after_the_event_is_cleared():
    restored = managed("restore", applied=False, annotations=[EVENTS_KEY], cordon=True)
    sent = wiped()
    sent["metadata"]["managedFields"] = [restored]
    assert turn(seen(sent), OVER).actions == (ClearCordon(resource_version=VERSION),)


def test_an_admins_cordon_made_before_ours_survives_the_loss_of_ownership():
    assert turn(seen(wiped(mark(before=True))), OVER).actions == (WITHDRAW, FORGET)


def test_a_cordon_that_somebody_else_owns_now_is_left_standing():
    sent = wiped()
    sent["metadata"]["managedFields"] = [KUBECTL]
    assert turn(seen(sent), OVER).actions == (WITHDRAW, FORGET)


def test_what_remains_of_the_mark_outlives_a_cordon_that_is_cleared():
    both = mark(marked_event("E1", overridden=True), marked_event("E2"))
    known = hearing((0, document(event("E1"), event("E2"))), (1, document(event("E1"))), (61, document(event("E1"))))
    assert turn(seen(wiped(both)), known).actions == (
        ClearCordon(resource_version=VERSION),
        ApplyMark(mark=OVERRIDDEN, cordon=False),
    )


# Holds.

HELD = {HOLD_KEY: "disk swap"}
ASKED = (Hold(who=f"annotation {HOLD_KEY}"),)


def test_a_held_node_is_handed_over_and_our_mark_withdrawn():
    held = turn(seen(cordoned(annotations=HELD)), OVER)
    assert (held.actions, held.holds) == ((HandOver(holds=ASKED), WITHDRAW), ASKED)


def test_a_hold_during_the_event_changes_nothing_yet_and_is_said():
    held = turn(seen(cordoned(annotations=HELD)), showing(event()))
    assert (held.actions, held.holds) == ((), ASKED)


def test_a_hold_set_before_the_event_does_not_keep_the_cordon_from_being_made():
    view = seen(labelled(annotations=HELD))
    assert turn(view, showing(event())).actions == (ApplyMark(mark=mark(), cordon=True),)


def test_a_hold_set_after_the_release_cordons_nothing():
    assert turn(seen(labelled(annotations=HELD)), OVER).actions == ()


def test_a_hold_that_was_taken_back_before_the_end_holds_nothing():
    assert turn(seen(cordoned()), OVER).actions == (WITHDRAW,)


@pytest.mark.parametrize(
    "sent",
    [
        cordoned(None, managed("argocd", cordon=True)),
        cordoned(taints=[{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]),
        cordoned(annotations={"weave.works/kured-reboot-in-progress": "x"}),
    ],
)
def test_another_agent_that_takes_the_node_down_keeps_it_cordoned(sent):
    handed, withdrawn = turn(seen(sent), OVER).actions
    assert isinstance(handed, HandOver)
    assert withdrawn == WITHDRAW


def test_an_agent_killed_between_handing_over_and_withdrawing_goes_on_where_it_stopped():
    view = seen(cordoned(None, managed(HANDOVER, cordon=True), annotations=HELD))
    assert turn(view, OVER).actions == (WITHDRAW,)


def test_a_hold_on_a_cordon_whose_ownership_was_lost_ends_in_a_hand_over_without_our_mark():
    assert turn(seen(wiped(annotations=HELD)), OVER).actions == (HandOver(holds=ASKED), WITHDRAW, FORGET)


def test_a_handed_over_node_is_idle_until_somebody_uncordons_it():
    view = seen(labelled(managed(HANDOVER, cordon=True), cordoned=True, annotations=HELD))
    assert (turn(view, OVER).plan, turn(view, OVER).actions) == (Idle(), ())


def test_another_event_on_a_handed_over_node_ends_with_the_hand_over_standing():
    handed = managed(HANDOVER, cordon=True)
    begun = turn(seen(labelled(handed, cordoned=True)), showing(event()))
    assert begun.actions == (ApplyMark(mark=mark(before=True), cordon=True),)
    assert turn(seen(cordoned(mark(before=True), handed)), OVER).actions == (WITHDRAW,)


def test_another_event_after_a_handed_over_node_was_uncordoned_is_like_the_first():
    view = seen(labelled())
    assert turn(view, showing(event())).actions == (ApplyMark(mark=mark(), cordon=True),)
    assert turn(seen(cordoned()), OVER).actions == (WITHDRAW,)


def test_a_held_overridden_node_is_not_cordoned_for_its_hold():
    assert turn(seen(uncordoned(annotations=HELD)), OVER).actions == (WITHDRAW,)


# Refusals.


def test_a_refusal_counts_until_its_half_hour_is_over():
    refusals = {"facts": Refusal(keys=frozenset({SIZE}), until=100.0)}
    known = Known(sighting=sighting(), hearing=showing(), refusals=refusals)
    [facts, _] = reconcile(known, seen(node()), Rules(), now=NOW, instant=99.0).actions
    assert SIZE not in facts.written.labels
    [facts, _] = reconcile(known, seen(node()), Rules(), now=NOW, instant=100.0).actions
    assert SIZE in facts.written.labels
