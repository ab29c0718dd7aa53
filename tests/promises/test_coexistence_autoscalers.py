"""cluster-autoscaler and Karpenter taint what they are about to delete, and take the taint back if they think better of it.

What they send: kubernetes/autoscaler cluster-autoscaler/utils/taints/taints.go (PUT of the whole node; the value is the time;
with --cordon-node-before-terminating the cordon comes and goes in the same request) and kubernetes-sigs/karpenter
pkg/controllers/state/statenode.go, `RequireNoScheduleTaint` (a merge patch with an optimistic lock).
"""

from contextlib import ExitStack

import pytest

from tests.promises.agents import cordoned, tended
from tests.promises.neighbours import neighbour, taint_keys, with_taint, without_taint

TO_BE_DELETED = "ToBeDeletedByClusterAutoscaler"
CANDIDATE = "DeletionCandidateOfClusterAutoscaler"
DISRUPTED = "karpenter.sh/disrupted"
NOW = "1795719600"


def taint_by_update(actor, change) -> None:
    actor.update(change)


def taint_by_patch(actor, change) -> None:
    actor.patch_locked(change)


DELETERS = {
    TO_BE_DELETED: ("cluster-autoscaler", taint_by_update, NOW),
    DISRUPTED: ("karpenter", taint_by_patch, ""),
}


@pytest.mark.parametrize("key", DELETERS)
def test_a_node_about_to_be_deleted_is_never_given_back_and_its_taint_never_touched(plane, key):
    name, write, value = DELETERS[key]
    with ExitStack() as scenes:
        before, during = (scenes.enter_context(tended(plane)) for _ in range(2))
        actors = {scene: scenes.enter_context(neighbour(scene, name)) for scene in (before, during)}
        before.wait_labelled()
        write(actors[before], with_taint(key, value=value))
        events = {scene: scene.event("Reboot") for scene in (before, during)}
        during.wait_cordoned()
        write(actors[during], with_taint(key, value=value))
        before.wait_cordoned()
        for scene in (before, during):
            scene.over(events[scene])
            assert key in scene.agent.wait_said("node.release_waiting")["because"]
            scene.polled(4)
            found = scene.get()
            assert cordoned(found)
            taint = {"key": key, "effect": "NoSchedule"} | ({"value": value} if value else {})
            assert taint in found["spec"]["taints"]
            write(actors[scene], without_taint(key))  # called off after all: nobody else would uncordon it
            scene.wait_released()


@pytest.mark.parametrize("key", DELETERS)
def test_a_deletion_that_was_called_off_during_our_event_holds_nothing(plane, key):
    name, write, value = DELETERS[key]
    with tended(plane) as scene, neighbour(scene, name) as actor:
        event = scene.event("Reboot")
        scene.wait_cordoned()
        write(actor, with_taint(key, value=value))
        scene.polled(6)
        write(actor, without_taint(key))
        assert cordoned(scene.get())
        scene.over(event)
        assert key not in taint_keys(scene.wait_released())


def test_a_mere_candidate_for_deletion_is_given_back_and_keeps_its_soft_taint(plane):
    soft = {"key": CANDIDATE, "effect": "PreferNoSchedule", "value": NOW}
    with tended(plane) as scene, neighbour(scene, "cluster-autoscaler") as autoscaler:
        event = scene.event("Reboot")
        scene.wait_cordoned()
        autoscaler.update(with_taint(CANDIDATE, "PreferNoSchedule", NOW))
        scene.over(event)
        assert soft in scene.wait_released()["spec"]["taints"]
        assert scene.agent.said("cordon.handed_over") == []
        second = scene.event("Preempt")
        scene.wait_cordoned()
        autoscaler.update(without_taint(CANDIDATE))  # it is needed after all
        scene.over(second)
        assert CANDIDATE not in taint_keys(scene.wait_released())


def test_an_autoscaler_that_cordons_and_gives_back_in_the_same_request_is_not_fought(plane):
    """--cordon-node-before-terminating: its roll-back makes the node schedulable under our mark, which is an override."""
    with tended(plane) as scene, neighbour(scene, "cluster-autoscaler") as autoscaler:
        event = scene.event("Reboot")
        scene.wait_cordoned()
        autoscaler.update(with_taint(TO_BE_DELETED, value=NOW, cordon=True))
        autoscaler.update(without_taint(TO_BE_DELETED, uncordon=True))
        scene.agent.wait_said("cordon.overridden")
        scene.polled(6)
        assert not cordoned(scene.get())
        scene.over(event)
        scene.wait_released()
