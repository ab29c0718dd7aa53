"""A person drains the node with kubectl while an event of ours stands, or before one; the scheduler and a ReplicaSet look on.

kubectl drain cordons (k8s.io/kubectl pkg/drain, `RunCordonOrUncordon`: nothing is sent to a node that is cordoned already) and
evicts. So a drain under our cordon leaves no trace, and the node is given back after our event unless somebody holds it.
"""

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.promises.agents import HOLD, Tended, cordoned, owners, tended, wait_until

REPLICAS = 3
KUBECTL = {"kubectl-cordon", "kubectl-drain", "kubectl"}  # field managers of its sub-commands


class Workload:
    """Pods that want this node and no other, kept at their number by a ReplicaSet."""

    def __init__(self, scene: Tended) -> None:
        self.scene = scene
        self.name = f"web-{uuid.uuid4().hex[:6]}"
        labels = {"app": self.name}
        pod = {
            "terminationGracePeriodSeconds": 5,
            "nodeSelector": {"kubernetes.io/hostname": scene.node.name},
            "containers": [{"name": "web", "image": "web"}],
        }
        body = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {"name": self.name},
            "spec": {
                "replicas": REPLICAS,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        }
        scene.admin.post("/apis/apps/v1/namespaces/default/replicasets", body)

    def pods(self, **status: str) -> list[dict[str, Any]]:
        found = self.scene.admin.get("/api/v1/namespaces/default/pods", labelSelector=f"app={self.name}")["items"]
        return [pod for pod in found if pod["status"].items() >= status.items() and not going(pod)]

    def wait_running(self) -> set[str]:
        """Wait until all run, on this node, and return their uids."""
        wait_until(lambda: len(self.pods(phase="Running")) == REPLICAS, "all run", self.scene.agent.tail)
        found = self.pods()
        assert {pod["spec"]["nodeName"] for pod in found} == {self.scene.node.name}
        return {pod["metadata"]["uid"] for pod in found}

    def wait_pending(self) -> None:
        """Wait until others have come in their place, and none of them has been given a node."""
        wait_until(lambda: len(self.pods(phase="Pending")) == REPLICAS, "all wait", self.scene.agent.tail)
        assert not any(pod["spec"].get("nodeName") for pod in self.pods())

    def drain(self) -> str:
        """Drain as a person would; the agent's own pod is no DaemonSet's here, so it is left out by name."""
        options = ("--ignore-daemonsets", f"--pod-selector=app={self.name}", "--timeout=60s")
        return str(self.scene.plane.kubectl("drain", self.scene.node.name, *options, check=False))

    def delete(self) -> None:
        path = f"/apis/apps/v1/namespaces/default/replicasets/{self.name}"
        self.scene.admin.delete(path, propagationPolicy="Background")


def going(pod: dict[str, Any]) -> bool:
    return "deletionTimestamp" in pod["metadata"]


@contextmanager
def busy(plane) -> Iterator[tuple[Tended, Workload]]:
    """Give a tended node with pods on it."""
    with ExitStack() as open_things:
        scene = open_things.enter_context(tended(plane))
        open_things.enter_context(plane.play_pods(scene.node.name, ending=0.5))
        scene.wait_labelled()
        work = Workload(scene)
        open_things.callback(work.delete)
        work.wait_running()
        yield scene, work


@pytest.fixture
def scene_and_work(whole_plane) -> Iterator[tuple[Tended, Workload]]:
    with busy(whole_plane) as found:
        yield found


def test_a_drain_under_our_cordon_empties_the_node_and_the_node_comes_back_with_its_pods(scene_and_work):
    scene, work = scene_and_work
    event = scene.event("Reboot")
    scene.wait_cordoned()
    before = work.wait_running()  # a cordon alone moves nobody
    said = work.drain()
    assert "already cordoned" in said
    assert said.count("evicted") == REPLICAS
    work.wait_pending()
    assert owners(scene.get(), "f:spec", "f:unschedulable") == {"imds-agent-events"}
    scene.over(event)
    scene.wait_released()
    assert not work.wait_running() & before
    assert scene.agent.said("cordon.overridden") == []


def test_a_drain_under_our_cordon_that_somebody_holds_outlasts_our_event(scene_and_work):
    scene, work = scene_and_work
    event = scene.event("Reboot")
    scene.wait_cordoned()
    work.drain()
    scene.plane.kubectl("annotate", "node", scene.node.name, f"{HOLD}=new disk")
    scene.over(event)
    assert cordoned(scene.wait_withdrawn())
    scene.polled(6)
    work.wait_pending()
    scene.plane.kubectl("annotate", "node", scene.node.name, f"{HOLD}-")
    scene.plane.kubectl("uncordon", scene.node.name)
    work.wait_running()


def test_a_drain_before_our_event_stays_in_force_after_it_until_its_person_uncordons(scene_and_work):
    scene, work = scene_and_work
    assert f"{scene.node.name} drained" in work.drain()
    work.wait_pending()
    assert owners(scene.get(), "f:spec", "f:unschedulable") & KUBECTL
    event = scene.event("Reboot")
    scene.wait_cordoned()
    scene.imds.start_event(event)
    scene.agent.restart()
    scene.polled()
    scene.over(event)
    assert cordoned(scene.wait_withdrawn())
    scene.polled(6)
    work.wait_pending()
    scene.plane.kubectl("uncordon", scene.node.name)
    work.wait_running()
