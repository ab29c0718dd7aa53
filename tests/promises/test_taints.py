"""Our two taints: one that a new node waits with until it has its labels, one that tells of an event; nobody else's is touched."""

from contextlib import ExitStack

from tests.promises.agents import DOMAIN, cordoned, labels, node_of, tended, wait_until
from tests.promises.neighbours import neighbour, taint_keys, with_taint

STARTUP, EVENT, RACK = f"{DOMAIN}/startup", f"{DOMAIN}/scheduled-event", f"topology.{DOMAIN}/rack"
OTHERS = [{"key": "example.com/gpu", "value": "a100", "effect": "NoSchedule"}]


def waiting(plane, opened: ExitStack):
    """Register a node as kubelet does with --register-with-taints, beside somebody else's taint."""
    return opened.enter_context(node_of(plane, taints=[{"key": STARTUP, "effect": "NoSchedule"}, *OTHERS]))


def test_a_new_node_is_open_once_its_topology_is_labelled_whatever_tags_and_events_do(plane):
    with ExitStack() as opened:
        scene = opened.enter_context(tended(plane, node=waiting(plane, opened), start=False, startup_taint=STARTUP))
        scene.fault("status", status=405, path="/metadata/scheduledevents")
        scene.agent.start()
        found = scene.wait_for(lambda node: STARTUP not in taint_keys(node), "the startup taint lifted")
        assert RACK in labels(found)  # never before: the scheduler would have been free to choose without it
        assert [taint for taint in found["spec"]["taints"] if taint["key"] == OTHERS[0]["key"]] == OTHERS
        assert scene.agent.wait_said("startup_taint.lifted")["key"] == STARTUP


def test_a_node_whose_imds_says_nothing_waits_and_is_open_in_the_end(plane):
    with ExitStack() as opened:
        given = {"startup_taint": STARTUP, "startup_taint_at_most": "8s"}
        scene = opened.enter_context(tended(plane, node=waiting(plane, opened), start=False, **given))
        scene.fault("status", status=503)
        scene.agent.start()
        scene.agent.wait_said("imds.failed")
        assert STARTUP in taint_keys(scene.get())
        found = scene.wait_for(lambda node: STARTUP not in taint_keys(node), "lifted without labels")
        assert RACK not in labels(found)
        assert OTHERS[0]["key"] in taint_keys(found)
        [event] = wait_until(lambda: scene.told("StartupTaintLifted"), "told")  # after the turn
        assert event["type"] == "Warning"
        scene.well()
        scene.wait_labelled()


def test_a_node_that_had_been_without_the_startup_taint_never_gets_it(plane):
    with tended(plane, startup_taint=STARTUP) as scene:
        scene.wait_labelled()
        scene.agent.restart()
        event = scene.event("Reboot")
        scene.wait_cordoned()
        scene.over(event)
        scene.wait_released()
        assert STARTUP not in taint_keys(scene.get())
        assert scene.agent.said("startup_taint.lifted") == []


def test_the_event_taint_stands_as_long_as_its_cordon_and_leaves_everybody_elses_alone(plane):
    with tended(plane, event_taint="PreferNoSchedule") as scene, neighbour(scene, "somebody") as somebody:
        scene.wait_labelled()
        event = scene.event("Redeploy")
        found = scene.wait_for(lambda node: EVENT in taint_keys(node), "the event taint")
        assert cordoned(found)
        [ours] = [taint for taint in found["spec"]["taints"] if taint["key"] == EVENT]
        assert (ours["value"], ours["effect"]) == ("redeploy", "PreferNoSchedule")
        somebody.update(with_taint("example.com/gpu", value="a100"))
        scene.agent.restart()
        scene.polled(4)
        assert {EVENT, "example.com/gpu"} <= taint_keys(scene.get())
        scene.over(event)
        found = scene.wait_for(lambda node: EVENT not in taint_keys(node), "the event taint gone")
        scene.wait_released()
        assert "example.com/gpu" in taint_keys(scene.get())


def test_an_event_taint_that_was_switched_off_meanwhile_does_not_stay(plane):
    with tended(plane, event_taint="NoSchedule") as scene:
        event = scene.event("Reboot")
        scene.wait_for(lambda node: EVENT in taint_keys(node), "the event taint")
        scene.agent.options.remove("--event-taint=NoSchedule")
        scene.agent.restart()
        scene.wait_for(lambda node: EVENT not in taint_keys(node), "the event taint gone")
        assert cordoned(scene.get())
        scene.over(event)
        scene.wait_released()


def test_where_the_policy_refuses_the_event_taint_the_cordon_stands_and_ends_all_the_same(plane):
    """NoExecute needs components/event-taint-no-execute."""
    with tended(plane, event_taint="NoExecute") as scene:
        scene.wait_labelled()
        event = scene.event("Reboot")
        scene.wait_cordoned()
        refused = scene.agent.wait_said("taints.refused")
        assert "no NoExecute taint" in refused["error"]
        scene.polled(3)
        assert EVENT not in taint_keys(scene.get())
        scene.over(event)
        scene.wait_released()
