"""What people see with `kubectl describe` of an event's whole life, on the node and on its pods, told once each."""

from tests.promises.agents import tended, wait_until
from tests.promises.moving import Pods

DRAIN = {"policy": "{Terminate: drain}", "drain_before": "1h", "drain_unmanaged": "evict", "drain_budget": "off"}
LIFE = ["ScheduledEventSeen", "NodeCordoned", "DrainStarted", "DrainDone", "NodeReleased"]


def test_an_events_life_can_be_read_on_the_node_and_on_the_pods_it_moved(whole_drain_plane):
    with tended(whole_drain_plane, **DRAIN) as scene:
        pods = Pods(whole_drain_plane, scene.node.name, ending=30)  # there until it was described
        pods.add(1, grace=30)
        pods.put_budget(1)
        [pod] = pods.all()
        name = pod["metadata"]["name"]
        event = scene.event("Terminate", NotBeforeSeconds=900)
        wait_until(lambda: scene.told("PodNotEvicted", name), "the refusal is told", scene.agent.tail)
        scene.polled(10)  # it is refused again and again, and told once
        [refused] = scene.told("PodNotEvicted", name)
        assert refused["type"] == "Warning"
        assert pods.app in refused["message"]
        pods.put_budget(0)
        wait_until(lambda: scene.told("PodEvicted", name), "the eviction is told", scene.agent.tail)
        described = whole_drain_plane.kubectl("describe", "pod", name)
        pods.kubelet.ending = 0.5
        assert "Evicted before an event that Azure has scheduled" in described
        scene.wait_for(lambda _: scene.told("DrainDone"), "the drain is told")
        scene.over(event)
        scene.wait_released()
        wait_until(lambda: scene.told("NodeReleased"), "the release is told", scene.agent.tail)
        described = whole_drain_plane.kubectl("describe", "node", scene.node.name)
        assert [reason for reason in LIFE if reason not in described] == []
        assert [len(scene.told(reason)) for reason in LIFE] == [1] * len(LIFE)
        pods.close()


def test_nothing_is_told_where_nobody_wants_it(plane):
    with tended(plane, kubernetes_events="off") as scene:
        event = scene.event("Reboot")
        scene.wait_cordoned()
        scene.over(event)
        scene.wait_released()
        scene.polled(2)
        assert scene.told() == []
