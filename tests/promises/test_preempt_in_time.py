"""A Preempt gives thirty seconds: the node is cordoned about a second after it can be seen, and all pods are asked at once."""

import time
from datetime import datetime

from tests.promises.agents import tended, wait_until
from tests.promises.moving import Pods, asked

GRACES = (0, 1, 5, 30, 120, 600)


def at(entry) -> datetime:
    return datetime.fromisoformat(entry["timestamp"].replace("Z", "+00:00"))


def test_thirty_pods_of_mixed_grace_are_all_asked_once_before_a_preempt_takes_the_vm(
    whole_drain_plane, record_property
):
    with tended(whole_drain_plane, policy="{Preempt: drain}", drain_unmanaged="evict", events_interval="1s") as scene:
        scene.wait_labelled()
        pods = Pods(whole_drain_plane, scene.node.name)
        for grace in GRACES:
            pods.add(5, grace=grace)
        begun = time.monotonic()
        event = scene.event("Preempt", NotBeforeSeconds=30)
        scene.wait_cordoned()
        wait_until(lambda: len(asked(scene)) == 30, "all asked", scene.agent.tail)
        record_property("seconds until all were asked", time.monotonic() - begun)
        print(f"\nPreempt visible to all 30 asked: at most {time.monotonic() - begun:.2f} s")
        assert len(set(asked(scene))) == 30
        [seen], [cordoned] = scene.agent.said("event.seen")[:1], scene.agent.said("node.cordoned")
        evicted = scene.agent.said("drain.pod_evicted")
        assert at(seen) <= at(cordoned) <= min(at(entry) for entry in evicted)
        deadline = datetime.fromisoformat(seen["not_before"])
        for entry in evicted:  # grace is cut to the time left: with no second to spare, and never to nothing
            assert at(entry) < deadline
            assert entry["grace"] in (0, 1, 5) or 1 <= entry["grace"] <= 30
        pods.close()
        scene.over(event)
        scene.wait_released()
