"""Weakness 3 of peers: after one event they stop for good. Ours watches on, and gives the node back each time."""

from tests.promises.agents import tended


def test_a_second_event_cordons_again_after_the_first_was_released(plane):
    with tended(plane, release_after="6s") as scene:  # more than the five seconds between two looks: one look waits
        before = scene.wait_labelled()
        for kind in ("Freeze", "Redeploy"):
            event = scene.event(kind)
            scene.wait_cordoned()
            scene.over(event)
            assert scene.wait_released()["spec"] == before["spec"]
        assert len(scene.agent.said("node.cordoned")) == 2
