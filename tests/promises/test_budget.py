"""At most so many nodes are away at once, held from the drain until the release; a deadline waits for nobody."""

import threading
import time
from contextlib import ExitStack

from tests.controlplane.cluster import Cluster
from tests.promises.agents import EVENTS, annotations, cordoned, wait_until
from tests.promises.fleets import fleet, session_of
from tests.promises.moving import Pods

LEASES = "/apis/coordination.k8s.io/v1/namespaces/imds-agent/leases"
DRAIN = {"policy": "{Terminate: drain}", "drain_before": "1h", "drain_unmanaged": "evict", "drain_budget": "1"}


class Watch(threading.Thread):
    """Counts the nodes that hold a place, all the time."""

    def __init__(self, plane: Cluster, nodes: set[str]) -> None:
        super().__init__(daemon=True)
        self.admin, self.nodes = session_of(plane), nodes
        self.most: set[str] = set()
        self.ever: set[str] = set()
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.wait(0.05):
            leases = self.admin.get(LEASES)["items"]
            held = {lease.get("spec", {}).get("holderIdentity") for lease in leases} & self.nodes
            self.ever |= held
            self.most = max(self.most, held, key=len)


def tell_apart(scenes, key: str) -> None:
    """Give the nodes of one test a label of their own, so that they share a budget with nobody else."""
    for scene in scenes:
        scene.admin.patch(scene.node.path, {"metadata": {"labels": {"story": key}}})


def test_three_nodes_go_one_after_the_other_and_each_keeps_its_place_until_it_is_back(whole_drain_plane):
    key = f"b{time.time_ns()}"
    with (
        fleet(whole_drain_plane, 3, address="127.0.13", drain_budget_per="label:story", **DRAIN) as scenes,
        ExitStack() as ending,
    ):
        tell_apart(scenes, key)
        for scene in scenes:
            scene.wait_labelled()
        watch = Watch(whole_drain_plane, {scene.node.name for scene in scenes})
        watch.start()
        ending.callback(watch.stopping.set)
        events = {scene.vm: scene.event("Terminate", NotBeforeSeconds=1800) for scene in scenes}
        left = list(scenes)
        while left:
            done = wait_until(lambda: [each for each in left if each.agent.said("drain.finished")], "a drain")
            assert len(done) == 1
            waiting = [each for each in left if each is not done[0]]
            for scene in waiting:  # cordoned at once, but not drained
                scene.wait_cordoned()
                assert scene.agent.said("drain.begun") == []
            done[0].over(events[done[0].vm])
            done[0].wait_released()
            left.remove(done[0])
        assert len(watch.most) == 1
        assert watch.ever == {scene.node.name for scene in scenes}


def test_a_node_whose_event_is_near_waits_for_nobody(whole_drain_plane):
    key = f"b{time.time_ns()}"
    with fleet(whole_drain_plane, 2, address="127.0.14", drain_budget_per="label:story", **DRAIN) as scenes:
        tell_apart(scenes, key)
        first, second = scenes
        for scene in scenes:
            scene.wait_labelled()
        first.event("Terminate", NotBeforeSeconds=1800)
        first.agent.wait_said("drain.finished")
        pods = Pods(whole_drain_plane, second.node.name)
        pods.add(1, grace=5)
        second.event("Terminate", NotBeforeSeconds=70)
        second.agent.wait_said("drain.finished")
        assert second.agent.said("budget.overridden")
        assert not pods.staying()
        pods.close()


def test_a_freeze_waits_for_its_place_and_what_stops_the_vm_does_not(whole_drain_plane):
    key = f"b{time.time_ns()}"
    settings = {"freeze_budget": "1", "freeze_budget_per": "label:story"}
    with fleet(whole_drain_plane, 3, address="127.0.15", **settings) as scenes:
        tell_apart(scenes, key)
        for scene in scenes:
            scene.wait_labelled()
        freezing = scenes[:2]
        events = {scene.vm: scene.event("Freeze", DurationInSeconds=-1, NotBeforeSeconds=900) for scene in freezing}
        stopped = scenes[2].event("Reboot")
        scenes[2].wait_cordoned()
        for scene in freezing:
            scene.wait_for(lambda node: EVENTS in annotations(node), "told")
        first = wait_until(lambda: [each for each in freezing if cordoned(each.get())], "one is cordoned")
        for scene in freezing:
            scene.polled(8)
        assert [scene.vm for scene in freezing if cordoned(scene.get())] == [first[0].vm]
        other = next(scene for scene in freezing if scene is not first[0])
        assert other.agent.said("budget.waiting")
        first[0].over(events[first[0].vm])
        first[0].wait_released()
        other.wait_cordoned()
        scenes[2].over(stopped)
        scenes[2].wait_released()


def test_without_the_right_to_leases_a_freeze_is_cordoned_for_and_the_want_is_said_once(whole_drain_plane):
    admin, path = whole_drain_plane.admin, "/apis/rbac.authorization.k8s.io/v1/namespaces/imds-agent/rolebindings"
    assert admin.get(path)["items"]  # where it is, and that there is one: what is below takes another namespace
    with fleet(whole_drain_plane, 1, address="127.0.16", namespace="default", freeze_budget="10%") as [scene]:
        event = scene.event("Freeze", DurationInSeconds=-1, NotBeforeSeconds=900)
        scene.wait_cordoned()
        scene.agent.wait_said("budget.unavailable")
        scene.polled(4)
        assert len(scene.agent.said("budget.unavailable")) == 1
        scene.over(event)
        scene.wait_released()
