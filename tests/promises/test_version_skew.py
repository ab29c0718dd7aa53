"""Agents of two minor versions on one node, one after the other: what the other one wrote confuses neither."""

import json

from tests.promises.agents import DOMAIN, EVENTS, annotations, labels, tended, wait_until


def mark(node):
    return json.loads(annotations(node).get(EVENTS, "{}"))


def test_what_the_next_version_wrote_into_a_mark_is_carried_along_and_the_node_is_given_back(plane):
    with tended(plane, release_after="1s", release_after_restart="3s") as scene:
        scene.wait_labelled()
        first = scene.event("Redeploy")
        found = mark(scene.wait_cordoned())
        scene.agent.kill()
        newer = {**found, "v": 2, "places": {"zone": ["a", 1]}}
        newer["events"] = {first: {**found["events"][first], "do": "evacuate", "until": None, "steps": [1, 2]}}
        plane.kubectl("annotate", "node", scene.node.name, f"{EVENTS}={json.dumps(newer)}", "--overwrite")

        scene.agent.start()
        second = scene.event("Reboot")
        both = mark(scene.wait_for(lambda node: second in mark(node).get("events", {}), "both events in the mark"))
        assert both["places"] == {"zone": ["a", 1]}
        assert both["events"][first]["steps"] == [1, 2]
        assert scene.wait_cordoned(), "a word that it does not know is a cordon"
        for event in (first, second):
            scene.over(event)
        scene.wait_released()
        assert scene.agent.noise == []


def test_a_mark_without_what_this_version_writes_is_understood(plane):
    """An older one knew neither started nor drain, and wrote no version."""
    with tended(plane, release_after="1s", release_after_restart="3s") as scene:
        scene.wait_labelled()
        event = scene.event("Redeploy")
        scene.wait_cordoned()
        scene.agent.kill()
        older = {"events": {event: {"type": "Redeploy", "do": "cordon"}}}
        plane.kubectl("annotate", "node", scene.node.name, f"{EVENTS}={json.dumps(older)}", "--overwrite")
        scene.agent.start()
        scene.wait_for(lambda node: mark(node).get("v") == 1, "the mark as this version writes it")
        scene.over(event)
        scene.wait_released()


def test_a_label_that_only_the_other_version_knows_goes_and_no_other_is_touched(plane):
    with tended(plane) as scene:
        ours = {key: value for key, value in labels(scene.wait_labelled()).items() if DOMAIN in key}
        plane.kubectl("label", "node", scene.node.name, f"topology.{DOMAIN}/orbit=low", f"topology.{DOMAIN}/rack-")
        scene.agent.kill()
        scene.agent.start()

        def right() -> bool:
            return {key: value for key, value in labels(scene.get()).items() if DOMAIN in key} == ours

        wait_until(right, "our labels again, and theirs gone", scene.agent.tail)
