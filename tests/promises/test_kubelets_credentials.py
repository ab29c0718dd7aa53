"""With kubelet's own credentials, under NodeRestriction: labels and cordons as ever; what is not allowed is said once, and left."""

from tests.promises.agents import DOMAIN, cordoned, labels, node_of, tended, wait_until
from tests.promises.neighbours import taint_keys

RACK = f"topology.{DOMAIN}/rack"
STARTUP = f"{DOMAIN}/startup"


def test_labels_and_cordons_need_no_more_than_kubelets_rights(plane):
    with node_of(plane) as node, tended(plane, node=node, kubeconfig=node.kubeconfig) as scene:
        scene.wait_for(lambda found: RACK in labels(found), "labelled")
        event_id = scene.event("Reboot")
        scene.wait_cordoned()
        wait_until(lambda: scene.told("NodeCordoned"), "told as a Kubernetes Event", scene.agent.tail)
        scene.over(event_id)
        scene.wait_released()
        assert [entry for entry in scene.agent.log if entry["level"] == "error"] == []


def test_what_kubelet_may_not_do_is_said_once_and_keeps_nothing_from_going_on(plane):
    taints = [{"key": STARTUP, "effect": "NoSchedule"}]
    everything = {
        "event_taint": "NoSchedule",
        "startup_taint": STARTUP,
        "approval": "when-drained",
        "drain_before": "20m",
        "drain_budget": "10%",
        "freeze_budget": "10%",
        "policy": "{Reboot: drain, Freeze: cordon}",
    }
    with (
        node_of(plane, taints=taints) as node,
        tended(plane, node=node, kubeconfig=node.kubeconfig, **everything) as scene,
    ):
        scene.wait_for(lambda found: RACK in labels(found), "labelled")
        refused = scene.agent.wait_said("taints.refused")
        assert "taint" in refused["error"]
        freeze = scene.event("Freeze")
        scene.wait_cordoned()
        reboot = scene.event("Reboot", NotBeforeSeconds=900)
        scene.wait_for(lambda found: reboot in found["metadata"]["annotations"][f"{DOMAIN}/events"], "marked")
        scene.agent.wait_said("drain.finished")
        scene.agent.wait_said("approval.unavailable")
        scene.polled(10)
        assert len(scene.agent.said("approval.unavailable")) == 1
        assert [each for each in scene.imds.requests() if each["method"] == "POST"] == []
        budgets = sorted(entry["budget"] for entry in scene.agent.said("budget.unavailable"))
        assert budgets == ["drain", "freeze"]
        assert len(scene.agent.said("taints.refused")) == 1
        assert STARTUP in taint_keys(scene.get())  # nobody may lift it with these rights: docs/host.md says so
        scene.over(freeze)
        scene.over(reboot)
        scene.wait_released()
        assert not cordoned(scene.get())
        assert len(scene.agent.said("node.refused")) == 0, scene.agent.said("node.refused")


def test_pods_of_the_own_node_may_be_asked_to_leave(plane):
    drains = {"policy": "{Reboot: drain}", "drain_before": "20m", "drain_unmanaged": "evict"}
    with node_of(plane) as node, tended(plane, node=node, kubeconfig=node.kubeconfig, **drains) as scene:
        scene.wait_for(lambda found: RACK in labels(found), "labelled")
        path = "/api/v1/namespaces/imds-agent/pods"
        spec = {
            "nodeName": node.name,
            "serviceAccountName": "imds-agent",
            "containers": [{"name": "work", "image": "work"}],
        }
        plane.admin.post(path, {"metadata": {"name": node.name}, "spec": spec})
        try:
            event_id = scene.event("Reboot")
            assert scene.agent.wait_said("drain.pod_evicted")["pod"] == f"imds-agent/{node.name}"
            assert len(scene.agent.said("drain.budgets_unknown")) == 1
        finally:
            plane.admin.raw("DELETE", f"{path}/{node.name}", gracePeriodSeconds=0)
        assert scene.agent.wait_said("drain.finished")["event_id"] == event_id
