"""Others act on the node while our own drain runs: nobody's pod is asked twice by us, nobody is fought, the node comes back."""

from contextlib import contextmanager

import pytest

from tests.promises.agents import EVENTS, annotations, cordoned, tended, wait_until
from tests.promises.moving import Pods, asked
from tests.promises.neighbours import neighbour, taint_keys, with_taint, without_taint
from tests.promises.test_coexistence_aks_remediator import TAINT
from tests.promises.test_coexistence_autoscalers import DELETERS
from tests.promises.test_coexistence_cloud_node_manager import ITS
from tests.promises.test_coexistence_kured import IN_PROGRESS, SINCE, note

DRAIN = {"policy": "{Redeploy: drain}", "drain_before": "1h", "drain_unmanaged": "evict", "drain_budget": "off"}


@contextmanager
def draining(plane, count: int = 2):
    """Give a node in the middle of our drain: a disruption budget refuses, and nothing has left yet."""
    with tended(plane, **DRAIN) as scene:
        scene.wait_labelled()
        pods = Pods(plane, scene.node.name)
        pods.add(count, grace=5)
        pods.put_budget(count)
        event = scene.event("Redeploy", NotBeforeSeconds=900)
        scene.agent.wait_said("drain.pod_refused", times=count)
        assert len(pods.staying()) == count
        try:
            yield scene, pods, event
        finally:
            pods.close()


def drained(scene) -> None:
    scene.wait_for(lambda node: '"drain":"done"' in annotations(node).get(EVENTS, ""), "drained")


def came_back(scene, event: str) -> None:
    scene.over(event)
    scene.wait_released()
    assert len(asked(scene)) == len(set(asked(scene)))


def test_a_person_who_drains_at_the_same_time_and_our_drain_ask_each_pod_once_and_end_together(whole_drain_plane):
    with draining(whole_drain_plane, 6) as (scene, pods, event):
        options = ("--ignore-daemonsets", "--force", f"--pod-selector=app={pods.app}", "--timeout=60s")
        pods.put_budget(0)
        said = str(whole_drain_plane.kubectl("drain", scene.node.name, *options, check=False))
        assert "already cordoned" in said
        drained(scene)
        wait_until(lambda: not pods.all(), "all have gone", scene.agent.tail)
        came_back(scene, event)
        assert scene.agent.said("cordon.overridden") == []


def test_a_remediator_that_cordons_and_drains_for_the_same_event_is_waited_for(whole_drain_plane):
    with draining(whole_drain_plane) as (scene, pods, event), neighbour(scene, "remediator") as remediator:
        remediator.update(with_taint(TAINT, cordon=True))
        for pod in pods.all():  # it evicts past no budget either; here the budget has just allowed it
            pods.put_budget(0)
            path = f"/api/v1/namespaces/default/pods/{pod['metadata']['name']}/eviction"
            eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod["metadata"]["name"]}}
            assert remediator.session.raw("POST", path, eviction).status_code in (201, 404, 409)
        drained(scene)
        scene.over(event)
        assert TAINT in scene.agent.wait_said("node.release_waiting")["because"]
        scene.polled(4)
        assert cordoned(scene.get())
        remediator.update(without_taint(TAINT))
        scene.wait_released()


def test_a_remediator_that_gives_the_node_back_stops_our_drain(whole_drain_plane):
    with draining(whole_drain_plane) as (scene, pods, event), neighbour(scene, "remediator") as remediator:
        remediator.update(with_taint(TAINT, cordon=True))
        remediator.update(without_taint(TAINT, uncordon=True))
        scene.agent.wait_said("cordon.overridden")
        scene.wait_for(lambda node: '"drain":"stopped"' in annotations(node)[EVENTS], "stopped")
        pods.put_budget(0)
        scene.polled(10)
        assert (len(pods.staying()), asked(scene)) == (2, [])
        came_back(scene, event)


@pytest.mark.parametrize("key", DELETERS)
def test_an_autoscaler_that_is_about_to_delete_the_node_changes_nothing_for_its_pods(whole_drain_plane, key):
    name, write, value = DELETERS[key]
    with draining(whole_drain_plane) as (scene, pods, event), neighbour(scene, name) as actor:
        write(actor, with_taint(key, value=value))
        pods.put_budget(0)
        drained(scene)
        assert sorted(set(asked(scene))) == sorted(asked(scene))
        assert len(asked(scene)) == 2
        scene.over(event)
        assert key in scene.agent.wait_said("node.release_waiting")["because"]
        assert cordoned(scene.get())
        write(actor, without_taint(key))
        found = scene.wait_released()
        assert key not in taint_keys(found)


def test_a_put_of_the_whole_node_in_the_middle_of_a_drain_costs_neither_side_anything(whole_drain_plane):
    with draining(whole_drain_plane) as (scene, pods, event), neighbour(scene, "cloud-node-manager") as manager:
        copy = manager.read()
        pods.put_budget(1)  # one may go
        wait_until(lambda: len(asked(scene)) == 1, "one is asked", scene.agent.tail)

        manager.update(lambda node: node["metadata"]["labels"].update(ITS), copy)
        pods.put_budget(0)
        drained(scene)
        assert cordoned(scene.get())
        assert len(asked(scene)) == 2
        came_back(scene, event)
        assert scene.agent.said("cordon.overridden") == []


def test_a_reboot_of_kureds_in_the_middle_of_a_drain_leaves_us_the_rest(whole_drain_plane):
    with draining(whole_drain_plane) as (scene, pods, event), neighbour(scene, "kured") as kured:
        kured.patch_whole(note(IN_PROGRESS, SINCE))
        pods.put_budget(0)
        drained(scene)
        kured.remove_annotation(IN_PROGRESS)
        came_back(scene, event)


def test_our_own_cordon_under_a_persons_drain_is_handed_to_nobody_but_kept_on_hold(whole_drain_plane):
    with draining(whole_drain_plane) as (scene, pods, event):
        whole_drain_plane.kubectl("annotate", "node", scene.node.name, "imds-agent.github.io/hold=new disk")
        pods.put_budget(0)
        drained(scene)
        scene.over(event)
        assert cordoned(scene.wait_withdrawn())
        assert len(asked(scene)) == 2
