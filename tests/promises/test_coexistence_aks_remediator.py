"""AKS's own node auto-drain acts on the same events: it taints and cordons, and takes both back when it is done.

Its code is not public; what it writes stands in the documentation (MicrosoftDocs/azure-aks-docs, node-auto-drain): cordon and
drain for Redeploy and Preempt, and the taint `remediator.kubernetes.azure.com/unschedulable`.
"""

from contextlib import ExitStack

from tests.promises.agents import cordoned, owners, tended
from tests.promises.neighbours import neighbour, taint_keys, with_taint, without_taint

TAINT = "remediator.kubernetes.azure.com/unschedulable"
UNSCHEDULABLE = ("f:spec", "f:unschedulable")


def test_what_the_remediator_began_before_our_event_stays_until_the_remediator_ends_it(plane):
    with tended(plane) as scene, neighbour(scene, "remediator") as remediator:
        scene.wait_labelled()
        remediator.update(with_taint(TAINT, cordon=True))
        event = scene.event("Redeploy")
        scene.wait_cordoned()
        scene.over(event)
        assert TAINT in scene.agent.wait_said("node.release_waiting")["because"]
        scene.polled(4)
        found = scene.get()
        assert cordoned(found)
        assert TAINT in taint_keys(found)

        remediator.update(without_taint(TAINT, uncordon=True))
        found = scene.wait_withdrawn()
        assert not cordoned(found)
        version = found["metadata"]["resourceVersion"]
        scene.polled(6)
        found = scene.get()
        assert not cordoned(found)
        assert found["metadata"]["resourceVersion"] == version  # nobody fights for it
        assert owners(found, *UNSCHEDULABLE) == set()

        second = scene.event("Preempt")
        scene.wait_cordoned()
        scene.over(second)
        scene.wait_released()


def test_what_came_and_went_during_our_event_costs_the_node_nothing(plane):
    with tended(plane) as scene, neighbour(scene, "remediator") as remediator:
        event = scene.event("Redeploy")
        scene.wait_cordoned()
        remediator.update(with_taint(TAINT, cordon=True))
        scene.polled(6)
        remediator.update(without_taint(TAINT))  # it was cordoned already: not the remediator's to take back
        assert cordoned(scene.get())
        scene.over(event)
        found = scene.wait_released()
        assert TAINT not in taint_keys(found)
        assert scene.agent.said("cordon.overridden") == []


def test_a_remediator_that_gives_the_node_back_during_our_event_is_not_fought(plane):
    """It acts on the same events, so its word that the node may be used is somebody's word: an override."""
    with tended(plane) as scene, neighbour(scene, "remediator") as remediator:
        event = scene.event("Redeploy")
        scene.wait_cordoned()
        remediator.update(with_taint(TAINT, cordon=True))
        remediator.update(without_taint(TAINT, uncordon=True))
        scene.agent.wait_said("cordon.overridden")
        scene.polled(6)
        assert not cordoned(scene.get())
        assert len(scene.agent.said("cordon.overridden")) == 1
        scene.over(event)
        scene.wait_released()


def test_a_taint_that_comes_after_our_event_or_without_one_is_none_of_our_business(plane):
    with ExitStack() as scenes:
        after, without = (scenes.enter_context(tended(plane)) for _ in range(2))
        event = after.event("Redeploy")
        after.wait_cordoned()
        after.over(event)
        after.wait_released()
        without.wait_labelled()
        for scene in (after, without):
            scene.asked("/metadata/instance", 4)  # what labels there are to write has been written
            remediator = scenes.enter_context(neighbour(scene, "remediator"))
            stands = remediator.update(with_taint(TAINT, cordon=True))
            scene.polled(6)
            scene.agent.restart()
            scene.polled(6)
            assert scene.get()["metadata"]["resourceVersion"] == stands["metadata"]["resourceVersion"]
