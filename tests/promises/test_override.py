"""Weakness 13 of peers: they go on against an admin who made the node schedulable again. Ours does not fight."""

import json

from tests.promises.agents import EVENTS, annotations, cordoned, tended


def overridden(node) -> list[str]:
    events = json.loads(annotations(node)[EVENTS])["events"]
    return [key for key, entry in events.items() if entry.get("overridden")]


def test_an_uncordon_during_an_event_is_respected_said_once_and_only_for_that_event(plane):
    with tended(plane) as scene:
        first = scene.event("Redeploy")
        scene.wait_cordoned()
        plane.kubectl("uncordon", scene.node.name)
        scene.wait_for(lambda node: EVENTS in annotations(node) and overridden(node) == [first], "override noted")
        version = scene.get()["metadata"]["resourceVersion"]
        scene.imds.start_event(first)
        scene.wait_for(lambda node: '"started":true' in annotations(node)[EVENTS], "seen Started")
        scene.agent.restart()
        scene.polled(6)
        found = scene.get()
        assert not cordoned(found)
        assert int(found["metadata"]["resourceVersion"]) > int(version)  # Started was noted, and nothing else since
        assert len(scene.agent.said("cordon.overridden")) == 1

        second = scene.event("Preempt")
        found = scene.wait_cordoned()
        assert set(json.loads(annotations(found)[EVENTS])["events"]) == {first, second}
        scene.over(second)
        scene.wait_for(lambda node: not cordoned(node), "schedulable, although the first event still lasts")
        assert overridden(scene.get()) == [first]
        scene.over(first)
        scene.wait_released()
        assert len(scene.agent.said("cordon.overridden")) == 1
