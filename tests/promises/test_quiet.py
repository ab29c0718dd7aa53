"""An idle node writes nothing, ever: no PATCH, not even one without effect, and at most a small GET each interval."""

import re

from tests.addresses import free_address
from tests.promises.agents import DOMAIN, tended

REQUESTS = "imds_agent_api_requests_total"


def server_counted(plane) -> dict[str, float]:
    """Return the API server's own count of requests about nodes, by verb."""
    text = plane.admin.raw("GET", "/metrics").text
    found: dict[str, float] = {}
    for line in text.splitlines():
        if line.startswith("apiserver_request_total{") and 'resource="nodes"' in line:
            verb = re.search(r'verb="(\w+)"', line)[1]
            found[verb] = found.get(verb, 0.0) + float(line.rpartition(" ")[2])
    return found


def test_an_idle_agent_sends_no_patch_and_at_most_a_small_get_each_interval(own_plane):
    """Counted by the agent and, independently, by the API server: nobody else asks for nodes here meanwhile."""
    with tended(own_plane, probe_address=free_address()) as scene:
        scene.agent.wait_said("policy.enforced")
        scene.asked("/metadata/instance", 4)
        scene.polled()
        gets, patches = (scene.metric(f'{REQUESTS}{{.*verb="{verb}"') for verb in ("GET", "PATCH"))
        before, version = server_counted(own_plane), scene.get()["metadata"]["resourceVersion"]
        scene.asked("/metadata/scheduledevents", 25)  # about 15 s: five node intervals of 3 s
        after = server_counted(own_plane)
        assert after.get("PATCH", 0) == before.get("PATCH", 0)
        assert after.get("APPLY", 0) == before.get("APPLY", 0)
        seen = after["GET"] - before["GET"] - 1  # our own look at the version
        assert 1 <= seen <= 9  # 5 expected; a slow machine takes longer for the polls
        assert scene.metric(f'{REQUESTS}{{.*verb="PATCH"') == patches
        assert scene.metric(f'{REQUESTS}{{.*verb="GET"') - gets >= seen
        assert scene.get()["metadata"]["resourceVersion"] == version


def test_a_restart_on_a_node_that_is_right_already_writes_nothing(own_plane):
    with tended(own_plane, probe_address=free_address()) as scene:
        scene.agent.wait_said("policy.enforced")
        scene.asked("/metadata/instance", 4)
        version = scene.get()["metadata"]["resourceVersion"]
        before = server_counted(own_plane)
        scene.agent.restart()
        scene.agent.wait_said("policy.enforced", times=2)
        scene.asked("/metadata/instance", 4)
        after = server_counted(own_plane)
        assert scene.get()["metadata"]["resourceVersion"] == version
        writes = sum(after.get(verb, 0) - before.get(verb, 0) for verb in ("PATCH", "APPLY"))
        assert writes == 1  # the dry run by which the agent tries the own-node policy
        assert f"{DOMAIN}/self-test" not in str(scene.get())


def test_an_event_that_lasts_costs_one_write_and_no_more(own_plane):
    with tended(own_plane, probe_address=free_address()) as scene:
        scene.agent.wait_said("policy.enforced")
        scene.asked("/metadata/instance", 4)
        before = server_counted(own_plane)
        event = scene.event("Reboot")
        scene.wait_cordoned()
        scene.polled(10)
        after = server_counted(own_plane)
        assert sum(after.get(verb, 0) - before.get(verb, 0) for verb in ("PATCH", "APPLY")) == 1
        scene.over(event)
        scene.wait_released()
        scene.polled()
        last = server_counted(own_plane)
        assert sum(last.get(verb, 0) - after.get(verb, 0) for verb in ("PATCH", "APPLY")) == 1
