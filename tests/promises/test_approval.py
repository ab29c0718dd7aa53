"""An event is told to begin only when nobody is harmed, and once."""

import json
from contextlib import ExitStack

from agent.emulator import Emulator
from tests.controlplane.session import MERGE
from tests.promises.agents import EVENTS, INSTANCE, annotations, node_of, tended
from tests.promises.fleets import fleet
from tests.promises.moving import Pods

USERS = {"EventSource": "User", "NotBeforeSeconds": 900}
DRAIN = {"policy": "{Reboot: drain}", "drain_unmanaged": "evict", "drain_budget": "off"}


def posts(imds: Emulator) -> int:
    return sum(each["method"] == "POST" for each in imds.requests())


def test_a_users_own_restart_is_drained_and_approved_at_once_and_once(whole_drain_plane):
    with tended(whole_drain_plane, approval="own-user-events", **DRAIN) as scene:
        pods = Pods(whole_drain_plane, scene.node.name)
        pods.add(2)
        scene.event("Reboot", **USERS)
        scene.agent.wait_said("event.approved")
        assert not pods.staying()
        found = scene.wait_for(lambda node: '"started":true' in annotations(node)[EVENTS], "started")
        assert '"approved":"agent"' in annotations(found)[EVENTS]
        scene.agent.restart()
        scene.polled(8)
        assert posts(scene.imds) == 1
        pods.close()


def test_what_no_user_asked_for_or_what_others_share_is_not_approved_for_a_user(whole_drain_plane):
    with ExitStack() as scenes:
        platform, shared, busy = (
            scenes.enter_context(tended(whole_drain_plane, approval="own-user-events", drain_before="1h", **DRAIN))
            for _ in range(3)
        )
        pods = Pods(whole_drain_plane, busy.node.name)
        pods.add(1)
        pods.put_budget(1)
        platform.event("Reboot", EventSource="Platform", NotBeforeSeconds=900)
        name = shared.imds.add_event(EventType="Reboot", **USERS)["Resources"][0]
        shared.imds.add_event(EventType="Reboot", Resources=[name, "another"], **USERS)
        busy.event("Reboot", **USERS)
        platform.agent.wait_said("drain.finished")
        shared.agent.wait_said("event.approved")
        busy.agent.wait_said("drain.pod_refused")
        for scene in (platform, shared, busy):
            scene.polled(8)
        assert [posts(scene.imds) for scene in (platform, shared, busy)] == [0, 1, 0]  # the one of this VM alone
        pods.close()


def test_an_event_of_two_vms_is_approved_by_one_agent_when_both_are_drained(whole_drain_plane):
    settings = {"approval": "when-drained", "drain_before": "1h", **DRAIN}
    with fleet(whole_drain_plane, 2, group="g", address="127.0.12", **settings) as scenes:
        for scene in scenes:
            scene.wait_labelled()
        pods = Pods(whole_drain_plane, scenes[1].node.name)
        pods.add(1)
        pods.put_budget(1)
        names = [scene.vm for scene in scenes]
        scenes[0].event("Reboot", Resources=names, NotBeforeSeconds=900)
        scenes[0].agent.wait_said("drain.finished")
        scenes[1].agent.wait_said("drain.pod_refused")
        scenes[0].polled(8)
        assert posts(scenes[0].imds) == 0  # one of the two still works
        pods.put_budget(0)
        scenes[0].agent.wait_said("event.approved")
        for scene in scenes:
            scene.polled(6)
        assert posts(scenes[0].imds) == 1
        assert scenes[1].agent.said("event.approved") == []
        pods.close()


def test_a_vm_that_is_no_node_here_and_an_override_are_never_approved_over(whole_drain_plane):
    settings = {"approval": "when-drained", "drain_before": "1h", **DRAIN}
    with tended(whole_drain_plane, **settings) as stranger, tended(whole_drain_plane, **settings) as overridden:
        name = "aks-pool1-12345678-vmss_2"  # the emulator's default VM
        stranger.event("Reboot", Resources=[name, "zz-elsewhere"], NotBeforeSeconds=900)
        stranger.agent.wait_said("drain.finished")
        pods = Pods(whole_drain_plane, overridden.node.name)
        pods.add(1)
        pods.put_budget(1)
        overridden.event("Reboot", **USERS)
        overridden.agent.wait_said("drain.pod_refused")
        whole_drain_plane.kubectl("uncordon", overridden.node.name)
        overridden.agent.wait_said("cordon.overridden")
        pods.put_budget(0)
        for scene in (stranger, overridden):
            scene.polled(10)
            assert posts(scene.imds) == 0
        pods.close()


def test_a_node_that_only_says_it_is_the_other_vm_of_an_event_does_not_have_it_approved(whole_drain_plane):
    """Root on one node can write what its agent writes there: that it is another VM, and drained."""
    settings = {"approval": "when-drained", "drain_before": "1h", **DRAIN}
    with fleet(whole_drain_plane, 1, address="127.0.17", **settings) as [scene], node_of(whole_drain_plane) as liar:
        scene.wait_labelled()
        event_id = scene.event("Reboot", Resources=[scene.vm, "zz-elsewhere"], NotBeforeSeconds=900)
        token = whole_drain_plane.agent_token(liar.name)
        lie = {INSTANCE: '{"name":"zz-elsewhere","vmId":"x"}', EVENTS: drained(event_id)}
        with whole_drain_plane.new_session(token=token) as stolen:
            stolen.patch(liar.path, {"metadata": {"annotations": lie}, "spec": {"unschedulable": True}}, MERGE)
        scene.agent.wait_said("drain.finished")
        scene.polled(10)
        assert posts(scene.imds) == 0


def drained(event_id: str) -> str:
    return json.dumps({"v": 1, "events": {event_id: {"type": "Reboot", "do": "drain", "drain": "done"}}})


def test_an_approval_that_surely_failed_is_tried_again_and_one_that_may_have_arrived_is_not(whole_drain_plane):
    with ExitStack() as scenes:
        throttled, silent = (
            scenes.enter_context(tended(whole_drain_plane, approval="own-user-events", **DRAIN)) for _ in range(2)
        )
        throttled.imds.put_faults([{"kind": "status", "status": 429, "method": "POST", "times": 2}])
        silent.imds.put_faults([{"kind": "reset", "method": "POST", "times": 1}])
        for scene in (throttled, silent):
            scene.event("Reboot", **USERS)
        throttled.agent.wait_said("event.approved")
        assert throttled.agent.said("event.approval_failed")[0]["again"] is True
        assert silent.agent.wait_said("event.approval_failed")["again"] is False
        silent.polled(10)
        assert posts(silent.imds) == 1
        assert silent.agent.said("event.approved") == []
