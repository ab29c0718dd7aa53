"""Weakness 5 of peers: only the first event of a document is looked at, and only types that were known once."""

import json

from agent.emulator.events import document
from tests.promises.agents import EVENTS, annotations, cordoned, tended


def marked(node) -> dict[str, str]:
    """Return event id -> what the mark says is done about it."""
    text = annotations(node).get(EVENTS)
    return {key: entry["do"] for key, entry in json.loads(text)["events"].items()} if text else {}


def test_a_freeze_listed_first_does_not_hide_a_preempt(plane):
    with tended(plane) as scene:
        scene.wait_labelled()
        freeze = scene.event("Freeze", DurationInSeconds=5)
        found = scene.wait_for(lambda node: marked(node) == {freeze: "notify"}, "told of the freeze")
        assert not cordoned(found)  # five seconds are not worth a cordon
        preempt = scene.event("Preempt", NotBeforeSeconds=30)
        shown = [each["EventType"] for each in events_of(scene)]
        assert shown == ["Freeze", "Preempt"]
        assert marked(scene.wait_cordoned()) == {freeze: "notify", preempt: "cordon"}
        scene.over(preempt)
        found = scene.wait_for(lambda node: not cordoned(node), "schedulable while the freeze is still there")
        assert marked(found) == {freeze: "notify"}
        scene.over(freeze)
        scene.wait_released()


def test_the_node_stays_cordoned_until_the_last_of_several_events_is_gone(plane):
    with tended(plane) as scene:
        first, second, others = scene.event("Reboot"), scene.event("Redeploy"), scene.event("Preempt", Resources=["x"])
        assert marked(scene.wait_cordoned()).keys() == {first, second}
        scene.over(first)
        scene.wait_for(lambda node: marked(node) == {second: "cordon"}, "the first forgotten")
        assert cordoned(scene.get())
        scene.over(second)
        scene.wait_released()
        assert [each["EventId"] for each in events_of(scene)] == [others]


def test_an_unknown_type_cordons_and_so_does_a_freeze_of_unknown_length(plane):
    for kind in ("Defragment", "Freeze"):
        with tended(plane) as scene:
            scene.event(kind, DurationInSeconds=-1)
            scene.wait_cordoned()


def test_an_event_that_started_without_notice_cordons(plane):
    with tended(plane) as scene:
        scene.wait_labelled()
        event = scene.event("Reboot", EventStatus="Started")
        scene.wait_cordoned()
        scene.over(event)
        scene.wait_released()


def test_an_event_days_ahead_is_told_and_cordons_only_when_it_is_near(plane):
    with tended(plane, cordon_before="10m") as scene:
        event = scene.event("Redeploy", NotBeforeSeconds=5 * 86400)
        found = scene.wait_for(lambda node: marked(node) == {event: "notify"}, "told")
        assert not cordoned(found)
        scene.imds.world.change_event(None, event, {"NotBeforeSeconds": 300})
        assert marked(scene.wait_cordoned()) == {event: "cordon"}


def events_of(scene) -> list[dict[str, object]]:
    shown = document(scene.imds.world.schedule(None))["Events"]
    return list(shown)
