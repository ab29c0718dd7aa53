"""The chapter about a drain: a Deployment on two nodes, a disruption budget that first refuses and then allows."""

from tests.demo.stage import NODE, Stage, StepFailed, wait_for

NODE_2 = "aks-pool1-12345678-vmss000003"
WEB = {"app": "web"}
REPLICAS = 3
NOTICE = 600  # seconds until the VM is terminated
APPS, POLICY = "/apis/apps/v1/namespaces/default", "/apis/policy/v1/namespaces/default"


def deployment() -> dict[str, object]:
    pod = {"terminationGracePeriodSeconds": 5, "containers": [{"name": "web", "image": "web"}]}
    spec = {
        "replicas": REPLICAS,
        "selector": {"matchLabels": WEB},
        "template": {"metadata": {"labels": WEB}, "spec": pod},
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


def budget(at_least: int) -> dict[str, object]:
    spec = {"minAvailable": at_least, "selector": {"matchLabels": WEB}}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"}, "spec": spec}


class Moving:
    """One drain from notice to release."""

    def __init__(self) -> None:
        self.event = ""

    def pods_on(self, stage: Stage, node: str) -> list[str]:
        """Return the names of the pods that run on a node and have not been asked to leave."""
        pods = stage.plane.admin.get("/api/v1/namespaces/default/pods", labelSelector="app=web")["items"]
        running = [
            pod
            for pod in pods
            if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]
        ]
        return [pod["metadata"]["name"] for pod in running if pod["spec"].get("nodeName") == node]

    def deployed(self, stage: Stage) -> float:
        """Three pods on our node, and a second node that has room for them."""
        admin = stage.plane.admin
        stage.plane.play_pods(NODE, NODE_2, ending=0.5)
        admin.post(f"{APPS}/deployments", deployment())
        admin.post(f"{POLICY}/poddisruptionbudgets", budget(REPLICAS))
        seconds = wait_for("three pods", lambda: len(self.pods_on(stage, NODE)) == REPLICAS)
        wait_for("the budget's status", lambda: self.allowed(stage) == 0)
        stage.plane.register_node(NODE_2)
        return seconds

    def allowed(self, stage: Stage) -> int:
        found = stage.plane.admin.get(f"{POLICY}/poddisruptionbudgets/web").get("status", {})
        return int(found["disruptionsAllowed"]) if found.get("currentHealthy") == REPLICAS else -1

    def refused(self, stage: Stage) -> float:
        """Cordoned, and the drain asks; the budget says no, so no pod moves."""
        self.event = stage.emulator.schedule("Terminate", NotBeforeSeconds=NOTICE)
        seconds = wait_for("the refusal", lambda: stage.agent.said("drain.pod_refused"))
        if len(self.pods_on(stage, NODE)) != REPLICAS or not stage.cordoned():
            raise StepFailed("a pod was moved past its budget")
        return seconds

    def moved(self, stage: Stage) -> float:
        """The budget is loosened: pod after pod moves to the other node."""
        stage.plane.admin.patch(f"{POLICY}/poddisruptionbudgets/web", {"spec": {"minAvailable": REPLICAS - 1}})
        seconds = wait_for("all pods on the other node", lambda: len(self.pods_on(stage, NODE_2)) == REPLICAS, limit=90)
        wait_for("the drain's end in the mark", lambda: stage.mark()[self.event].get("drain") == "done")
        return seconds

    def given_back(self, stage: Stage) -> float:
        stage.emulator.cancel(self.event)
        return wait_for("release", lambda: not stage.cordoned() and not stage.mark())
