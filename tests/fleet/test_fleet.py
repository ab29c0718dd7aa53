"""Fifty agents and one control plane: maintenance takes an update domain, the budget holds, and all nodes come back."""

import time

import pytest

from tests.promises.agents import cordoned, wait_until
from tests.promises.fleets import DOMAINS, fleet
from tests.promises.moving import Pods
from tests.promises.test_budget import Watch, tell_apart

AGENTS = 50
PLACES = 3
SETTINGS = {
    "policy": "{Redeploy: drain}",
    "drain_before": "1h",
    "drain_unmanaged": "evict",
    "drain_budget": str(PLACES),
    "drain_budget_per": "label:story",
    "events_interval": "2s",
    "instance_interval": "30s",
    "confirm_interval": "2s",
    "node_interval": "30s",
}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_maintenance_of_an_update_domain_moves_so_many_nodes_at_once_as_the_budget_allows(whole_drain_plane):
    begun = time.monotonic()
    with fleet(whole_drain_plane, AGENTS, group="g", address="127.0.20", **SETTINGS) as scenes:
        tell_apart(scenes, f"f{time.time_ns()}")
        for scene in scenes:
            scene.wait_labelled()
        print(f"\n{AGENTS} agents: all labelled after {time.monotonic() - begun:.0f} s")
        hit = [scene for number, scene in enumerate(scenes) if number % DOMAINS == 0]
        watch = Watch(whole_drain_plane, {scene.node.name for scene in scenes})
        watch.start()
        pods = [Pods(whole_drain_plane, scene.node.name, ending=0.5) for scene in hit]
        for each in pods:
            each.add(1)
        begun = time.monotonic()
        events = {scene.vm: scene.event("Redeploy", NotBeforeSeconds=3000) for scene in hit}
        for scene in hit:  # the cordon waits for nobody
            scene.wait_cordoned()
        print(f"{len(hit)} nodes cordoned after {time.monotonic() - begun:.1f} s")
        left = list(hit)
        while left:
            done = wait_until(
                lambda: [each for each in left if each.agent.said("drain.finished")], "a drain", left[0].agent.tail
            )
            for scene in done:
                scene.over(events[scene.vm])
                scene.wait_released()
                left.remove(scene)
        print(f"all given back after {time.monotonic() - begun:.0f} s; at most {len(watch.most)} places held at once")
        watch.stopping.set()
        watch.join()
        assert len(watch.most) <= PLACES
        assert watch.ever == {scene.node.name for scene in hit}
        assert not any(cordoned(scene.get()) for scene in scenes)
        for scene in scenes:
            assert scene.agent.noise == []
            assert scene.agent.said("budget.overridden") == []
        for each in pods:
            each.close()
