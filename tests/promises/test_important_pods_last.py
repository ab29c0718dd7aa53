"""A drain moves the least important pods first, and those that run the node's own services last of all."""

from tests.promises.agents import tended, wait_until
from tests.promises.moving import Pods, asked

DRAIN = {"policy": "{Terminate: drain}", "drain_before": "1h", "drain_unmanaged": "evict", "drain_budget": "off"}


def names(pods: Pods, uids) -> list[str]:
    found = {pod["metadata"]["uid"]: f"{pod['metadata']['namespace']}/{pod['metadata']['name']}" for pod in pods.all()}
    return [found[uid] for uid in uids]


def test_critical_pods_run_until_every_other_one_has_gone(whole_drain_plane):
    with tended(whole_drain_plane, **DRAIN) as scene:
        pods = Pods(whole_drain_plane, scene.node.name, ending=4)
        critical = pods.add(1, namespace="kube-system", priorityClassName="system-cluster-critical", grace=30)
        important = pods.add(1, priorityClassName="", grace=30)
        [critical_name], [other_name] = names(pods, critical), names(pods, important)
        pods.put_budget(1)  # of the default namespace's: the other one may not go
        event = scene.event("Terminate", NotBeforeSeconds=900)
        scene.agent.wait_said("drain.pod_refused")
        scene.polled(10)
        assert set(critical) <= pods.staying()  # although no budget is in its way
        pods.put_budget(0)
        wait_until(lambda: asked(scene) == [other_name, critical_name], "one after the other", scene.agent.tail)
        scene.over(event)
        scene.wait_released()
        pods.close()
