"""Weakness 1 of peers: an event counts as handled before the API server has heard of it.

Ours counts when the API server has confirmed the cordon; until then it tries again, through any outage.
"""

from tests.addresses import free_address
from tests.promises.agents import cordoned, tended


def test_an_event_that_comes_while_the_api_server_is_away_cordons_when_it_is_back(own_plane):
    with tended(own_plane) as scene:
        scene.wait_labelled()
        own_plane.stop_apiserver()
        event = scene.event("Preempt", NotBeforeSeconds=30)
        scene.agent.wait_said("cluster.unavailable")
        scene.polled()
        assert scene.agent.said("node.cordoned") == []
        own_plane.start_apiserver()
        scene.wait_cordoned()
        assert scene.agent.wait_said("node.cordoned")["event_id"] == event
        scene.agent.wait_said("cluster.recovered")


def test_an_event_that_ends_while_the_api_server_is_away_still_gives_the_node_back(own_plane):
    with tended(own_plane) as scene:
        event = scene.event("Reboot")
        scene.wait_cordoned()
        own_plane.stop_apiserver()
        scene.over(event)
        scene.agent.wait_said("cluster.unavailable")
        scene.polled()
        own_plane.start_apiserver()
        assert not cordoned(scene.wait_released())


def test_an_event_that_came_and_went_while_the_api_server_was_away_leaves_nothing(own_plane):
    with tended(own_plane) as scene:
        before = scene.wait_labelled()
        own_plane.stop_apiserver()
        event = scene.event("Reboot")
        scene.polled()
        scene.over(event)
        scene.polled()
        own_plane.start_apiserver()
        scene.agent.wait_said("cluster.recovered")
        after = scene.wait_released()
        assert after["spec"] == before["spec"]


def test_the_api_server_s_refusals_leave_a_cordon_unconfirmed_and_its_leave_confirms_it(own_plane):
    with tended(own_plane, probe_address=free_address()) as scene:
        scene.wait_labelled()
        scene.agent.wait_said("policy.enforced")
        assert scene.metric("imds_agent_cordons_unconfirmed") == 0
        own_plane.kubectl("delete", "clusterrolebinding", "imds-agent")
        scene.polled(2)
        scene.event("Reboot")
        scene.polled(1)  # heard: a look before it is refused, too, and says so
        scene.agent.wait_said("node.refused")
        assert scene.metric("imds_agent_cordons_unconfirmed") == 1
        own_plane.install()
        scene.wait_cordoned()
        scene.agent.wait_said("node.cordoned")
        scene.polled(3)
        assert scene.metric("imds_agent_cordons_unconfirmed") == 0
