import pytest

from agent.core.actions import ApplyGroup, ApplyMark, ClearCordon, HandOver, Sweep
from agent.core.hearing import Hearing
from agent.core.maintenance import Cordon, Idle, Release
from agent.core.node import HANDOVER, ORPHANED, Hold
from agent.core.switch import Switch
from tests.core.builders import (
    EVENTS_KEY,
    HOLD_KEY,
    RACK,
    VERSION,
    cordoned,
    document,
    event,
    hearing,
    labelled,
    managed,
    mark,
    marked_event,
    metadata_of,
    seen,
    showing,
    turn,
    uncordoned,
    vanished,
    wiped,
)

OVER = vanished(event())
WITHDRAW = ApplyMark(mark=None, cordon=False)
FORGET = Sweep(annotations=(EVENTS_KEY,))
KUBECTL = managed("kubectl-cordon", applied=False, cordon=True)
OVERRIDDEN = mark(marked_event(overridden=True))


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


def test_another_applier_that_wants_the_cordon_gets_it():
    handed, withdrawn = turn(seen(cordoned(None, managed("argocd", cordon=True))), OVER).actions
    assert isinstance(handed, HandOver)
    assert withdrawn == WITHDRAW


PASSING = {
    "cluster-autoscaler (taint ToBeDeletedByClusterAutoscaler)": {
        "taints": [{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]
    },
    "kured (annotation weave.works/kured-reboot-in-progress)": {
        "annotations": {"weave.works/kured-reboot-in-progress": "x"}
    },
}


@pytest.mark.parametrize("who", PASSING)
def test_while_another_agents_passing_mark_stands_the_node_waits_under_our_own(who):
    waiting = turn(seen(cordoned(**PASSING[who])), OVER)
    assert waiting.actions == ()
    assert waiting.plan == Cordon(mark=mark(), waiting_for=f"{who} is taking the node down")
    assert turn(seen(cordoned()), OVER).actions == (WITHDRAW,)  # the mark is gone: so is our cordon


def test_a_passing_mark_beside_a_hold_is_handed_over_like_the_hold():
    both = cordoned(annotations={**HELD, "weave.works/kured-reboot-in-progress": "x"})
    handed, withdrawn = turn(seen(both), OVER).actions
    assert isinstance(handed, HandOver)
    assert withdrawn == WITHDRAW


def test_a_switch_that_takes_cordons_back_leaves_a_passing_mark_its_cordon():
    taken = turn(seen(cordoned(**PASSING[next(iter(PASSING))])), OVER, switch=Switch(cordon="release"))
    assert [type(action) for action in taken.actions] == [HandOver, ApplyMark]


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
