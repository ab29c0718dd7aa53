"""Pods on a node that is tended, and how the promises about drains look at them."""

import uuid
from typing import Any

from tests.controlplane.cluster import Cluster
from tests.controlplane.session import ApiSession
from tests.promises.agents import Tended, wait_until

Document = dict[str, Any]
PODS = "/api/v1/namespaces/default/pods"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"


class Pods:
    """Pods without a controller, bound to one node; the kubelet is played, the budget's controller is the real one."""

    def __init__(self, plane: Cluster, node: str, *, ending: float = 0.5) -> None:
        self.plane, self.node = plane, node
        self.app = f"app-{uuid.uuid4().hex[:8]}"
        self.admin: ApiSession = plane.admin
        self.kubelet = plane.play_pods(node, ending=ending)

    def add(self, count: int = 1, *, grace: int = 30, namespace: str = "default", **more: Any) -> list[str]:
        """Create pods and wait until they run; returns their uids."""
        found = []
        annotations = more.pop("annotations", {})
        for _ in range(count):
            metadata = {
                "name": f"{self.app}-{uuid.uuid4().hex[:6]}",
                "labels": {"app": self.app},
                "annotations": annotations,
            }
            metadata |= more.pop("metadata", {})
            spec = {
                "nodeName": self.node,
                "terminationGracePeriodSeconds": grace,
                "containers": [{"name": "c", "image": "c"}],
                **more,
            }
            body = self.admin.post(PODS.replace("default", namespace), {"metadata": metadata, "spec": spec})
            found.append(body["metadata"]["uid"])
        wait_until(lambda: all(pod["status"].get("phase") == "Running" for pod in self.all()), "pods run")
        return found

    def all(self) -> list[Document]:
        found = self.admin.get("/api/v1/pods", labelSelector=f"app={self.app}")["items"]
        return [pod for pod in found if pod["spec"].get("nodeName") == self.node]

    def staying(self) -> set[str]:
        """Return the uids of those that were not asked to leave."""
        return {pod["metadata"]["uid"] for pod in self.all() if "deletionTimestamp" not in pod["metadata"]}

    def leaving(self) -> set[str]:
        """Return those that were asked to leave and are still there, each as NAMESPACE/NAME."""
        found = [pod["metadata"] for pod in self.all() if "deletionTimestamp" in pod["metadata"]]
        return {f"{pod['namespace']}/{pod['name']}" for pod in found}

    def put_budget(self, at_least: int) -> None:
        """Have a disruption budget for all of them, and wait until its controller has seen them."""
        spec = {"minAvailable": at_least, "selector": {"matchLabels": {"app": self.app}}}
        body = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": self.app}, "spec": spec}
        self.admin.apply(f"{BUDGETS}/{self.app}", body, manager="test", force=True)

        def seen() -> bool:
            found = self.admin.get(f"{BUDGETS}/{self.app}")
            status = found.get("status", {})
            here = [pod for pod in self.all() if pod["metadata"]["namespace"] == "default"]
            staying = sum("deletionTimestamp" not in pod["metadata"] for pod in here)
            counted = status.get("currentHealthy") == staying
            return counted and status.get("observedGeneration") == found["metadata"]["generation"]

        wait_until(seen, "the budget's controller")

    def close(self) -> None:
        self.kubelet.close()
        for pod in self.all():
            path = f"{PODS.replace('default', pod['metadata']['namespace'])}/{pod['metadata']['name']}"
            if pod["metadata"].get("finalizers"):
                self.admin.patch(path, {"metadata": {"finalizers": None}})
            self.admin.raw("DELETE", path, {"gracePeriodSeconds": 0})


def asked(scene: Tended, since: int = 0) -> list[str]:
    """Return the pods that the agent asked to leave, as often as it did, from a place in its log on."""
    said = scene.agent.said("drain.pod_evicted", since) + scene.agent.said("drain.pod_deleted", since)
    return [entry["pod"] for entry in said]
