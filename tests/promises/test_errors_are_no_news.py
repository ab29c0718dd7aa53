"""Weaknesses 4, 7 and 8 of peers: an error of IMDS decodes to "no events", or ends the process.

Ours never takes an answer that is not good for news: the node stays as it is, cordoned or not.
"""

from tests.promises.agents import cordoned, tended, wait_until

EVENTS = "/metadata/scheduledevents"
# Each of them is read by some peer as a document without events; 429 last, since it halves the rate for a minute.
FAULTS = (
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 404},
    {"kind": "status", "status": 410},
    {"kind": "status", "status": 503, "body": '{"DocumentIncarnation":7,"Events":[]}'},
    {"kind": "status", "status": 200, "body": "{}"},
    {"kind": "status", "status": 200, "body": '{"DocumentIncarnation":7,"Events":null}'},
    {"kind": "html"},
    {"kind": "empty"},
    {"kind": "garbage"},
    {"kind": "truncate"},
    {"kind": "reset"},
    {"kind": "status", "status": 429},
)


def test_no_error_gives_a_node_back_and_none_cordons_one(plane):
    """With release-after 0 a single answer taken for "no events" would give the node back at once."""
    eager = {"release_after": "0s", "release_after_restart": "0s"}
    with tended(plane, **eager) as struck, tended(plane, **eager) as idle:
        event = struck.event("Reboot")
        struck.wait_cordoned()
        idle.wait_labelled()
        idle.asked("/metadata/instance", 3)  # its facts are settled
        scenes = (struck, idle)
        versions = [scene.get()["metadata"]["resourceVersion"] for scene in scenes]
        for scene in scenes:
            scene.faults(*({**fault, "path": EVENTS} for fault in FAULTS))
        for scene in scenes:
            wait_until(lambda scene=scene: met(scene) >= len(FAULTS), "all faults met", scene.agent.tail)
        assert [scene.get()["metadata"]["resourceVersion"] for scene in scenes] == versions
        assert [bool(scene.agent.said("imds.failed")) for scene in scenes] == [True, True]
        assert idle.agent.running
        struck.over(event)
        struck.wait_released()


def met(scene) -> int:
    """Return how many faults IMDS has served."""
    return sum(each["fault"] is not None for each in scene.imds.requests())


def test_an_event_that_ended_during_errors_is_only_over_when_a_good_document_says_so(plane):
    with tended(plane) as scene:
        event = scene.event("Redeploy")
        scene.wait_cordoned()
        scene.fault("status", status=500, path=EVENTS)
        scene.over(event)
        scene.polled(5)  # longer than release-after
        assert cordoned(scene.get())
        scene.well()
        scene.wait_released()


def test_an_agent_restarted_into_errors_keeps_the_cordon(plane):
    with tended(plane, release_after="0s", release_after_restart="0s") as scene:
        event = scene.event("Reboot")
        scene.wait_cordoned()
        scene.agent.kill()
        scene.fault("status", status=500)
        scene.agent.start()
        scene.polled()
        assert cordoned(scene.get())
        scene.well()
        scene.over(event)
        scene.wait_released()
