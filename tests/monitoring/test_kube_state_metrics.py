"""Alerts on what kube-state-metrics says: it, Prometheus, a control plane and an agent, all real; an alert's wait alone is cut to a second."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.addresses import free_address
from tests.controlplane.nodes import NodeActor
from tests.controlplane.plane import ControlPlane
from tests.controlplane.session import STRATEGIC
from tests.monitoring.server import Server, hastened, job, serving
from tests.monitoring.state import stating
from tests.monitoring.written import alerts
from tests.promises.agents import Tended, tended, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PODS = "/api/v1/namespaces/imds-agent/pods"
QUOTAS = "/api/v1/namespaces/imds-agent/resourcequotas"
# What a ServiceMonitor gives kube-state-metrics' own target.
OWN = {"namespace": "monitoring", "pod": "kube-state-metrics-0", "service": "kube-state-metrics"}
OF_STATE = sorted(name for name, rule in alerts().items() if "kube_" in rule["expr"])


@dataclass(frozen=True, kw_only=True)
class Watched:
    """Two nodes with their agents, and two Prometheus: one honours kube-state-metrics' labels, one renames them."""

    tended: Tended
    plane: ControlPlane
    honouring: Server
    renaming: Server

    def quiet(self) -> bool:
        return not any(self.honouring.firing(name) for name in OF_STATE)

    def wait_quiet(self) -> None:
        wait_until(self.quiet, "no alert", lambda: str({name: self.honouring.firing(name) for name in OF_STATE}))

    def wait_firing(self, name: str, labels: dict[str, str]) -> None:
        wait_until(lambda: self.honouring.firing(name) == [labels], f"{name} {labels}", self._said)

    def _said(self) -> str:
        return str({rule["name"]: (rule["alerts"], rule.get("lastError")) for rule in self.honouring.rules()})

    def pod_of(self, node: str) -> str | None:
        """Return the DaemonSet's pod for a node, also before it is bound to it."""
        for pod in self.plane.admin.get(PODS)["items"]:
            if pod["metadata"].get("ownerReferences") and node in str(pod["spec"].get("affinity")):
                return str(pod["metadata"]["name"])
        return None


@pytest.fixture(scope="module")
def watched(built_whole, prometheus, kube_state_metrics, tmp_path_factory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("state")
    rules = hastened(folder)
    with ControlPlane(scheduler=True, controller_manager=True) as plane:
        plane.install()
        plane.kubectl("delete", "pods", "--all", "-n", "imds-agent", "--force", "--grace-period=0")
        plane.play_pods("node-a", "node-b", "node-c", "node-d")
        with (
            tended(plane, node=plane.register_node("node-a"), probe_address=free_address()) as scene,
            tended(plane, node=plane.register_node("node-b"), probe_address=free_address()) as other,
            stating(kube_state_metrics, plane, folder) as at,
        ):
            agent = job("imds-agent", address(scene), node="node-a", namespace="imds-agent")
            agent["static_configs"] += job("", address(other), node="node-b", namespace="imds-agent")["static_configs"]
            honoured, renamed = (job("kube-state-metrics", at, honor_labels=honour, **OWN) for honour in (True, False))
            with (
                serving(prometheus, folder / "honouring", agent, honoured, rules=rules) as first,
                serving(prometheus, folder / "renaming", agent, renamed, rules=rules) as second,
            ):
                found = Watched(tended=scene, plane=plane, honouring=first, renaming=second)
                for server in (first, second):
                    wait_until(lambda server=server: len(server.ask("up == 1")) == 3, "all are scraped")
                yield found


def address(scene: Tended) -> str:
    return scene.probes.removeprefix("http://")


@contextmanager
def event(scene: Tended) -> Iterator[None]:
    """Schedule an event, for as long as the block lasts."""
    shown = scene.event("Reboot")
    scene.wait_cordoned()
    yield
    scene.over(shown)
    scene.wait_released()


def selected() -> list[str]:
    """Return what the alerts select of kube-state-metrics' series."""
    text = "\n".join(re.sub(r"#.*", "", alerts()[name]["expr"]) for name in OF_STATE)
    return sorted(set(re.findall(r"kube_\w+\{[^}]*\}", text)))


def test_each_series_is_there_with_the_labels_that_are_asked_for(watched):
    assert len(selected()) >= 5
    with event(watched.tended):
        for each in selected():
            wait_until(lambda each=each: watched.honouring.ask(each), each)


def test_where_labels_are_not_honoured_namespace_and_pod_are_those_of_kube_state_metrics(watched):
    asked = 'kube_pod_info{created_by_name="imds-agent", node="node-a"}'
    [honoured] = wait_until(lambda: watched.honouring.ask(asked), "the pod")
    [renamed] = wait_until(lambda: watched.renaming.ask(asked), "the pod")
    assert honoured["metric"]["namespace"] == renamed["metric"]["exported_namespace"] == "imds-agent"
    assert honoured["metric"]["pod"] == renamed["metric"]["exported_pod"] == watched.pod_of("node-a")
    assert renamed["metric"]["namespace"] == "monitoring"
    assert honoured["metric"]["node"] == renamed["metric"]["node"] == "node-a"


def test_a_mark_without_an_agent_is_told_while_its_vm_is_there_until_an_agent_is(watched):
    scene, name = watched.tended, "ImdsAgentMarkWithoutAgent"
    watched.wait_quiet()
    with event(scene):
        scene.agent.kill()
        watched.wait_firing(name, {"node": "node-a"})
        wait_until(lambda: watched.renaming.firing(name) == [{"node": "node-a"}], "with renamed labels too")
        down = {"job": "imds-agent", "instance": address(scene), "node": "node-a", "namespace": "imds-agent"}
        watched.wait_firing("ImdsAgentDown", down)
        scene.node.set_ready(False)  # the event has its VM
        watched.wait_quiet()
        scene.node.set_ready(True)
        watched.wait_firing(name, {"node": "node-a"})
        scene.agent.start()
        watched.wait_quiet()


def test_an_agent_that_is_not_ready_is_told_by_its_pod(watched):
    plane, name = watched.plane, "ImdsAgentNotReady"
    watched.wait_quiet()
    pod = watched.pod_of("node-a")
    report(plane, pod, ready=False)
    watched.wait_firing(name, {"namespace": "imds-agent", "pod": pod, "node": "node-a"})
    assert watched.renaming.firing(name) == [], "without honorLabels it is silent, as the page says"
    report(plane, pod, ready=True)
    watched.wait_quiet()


def report(plane: ControlPlane, pod: str, *, ready: bool) -> None:
    condition = {"type": "Ready", "status": str(ready)}
    plane.admin.patch(f"{PODS}/{pod}/status", {"status": {"conditions": [condition]}}, STRATEGIC)


def test_an_agent_whose_port_another_pod_has_is_told_before_it_has_a_node(watched):
    plane, name = watched.plane, "ImdsAgentNotReady"
    watched.wait_quiet()
    container = {"name": "x", "image": "x", "ports": [{"containerPort": 23169, "hostPort": 23169}]}
    spec = {"nodeName": "node-c", "containers": [container], "tolerations": [{"operator": "Exists"}]}
    spec["priorityClassName"] = "system-node-critical"  # a pod worth less would be moved away for ours
    blocker = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "blocker"}, "spec": spec}
    plane.admin.post("/api/v1/namespaces/default/pods", blocker)
    node = plane.register_node("node-c")
    pod = wait_until(lambda: watched.pod_of("node-c"), "a pod")
    watched.wait_firing(name, {"namespace": "imds-agent", "pod": pod})
    plane.kubectl("delete", "pod", "blocker", "--force", "--grace-period=0")
    watched.wait_quiet()
    wait_until(lambda: plane.admin.get(f"{PODS}/{pod}")["spec"].get("nodeName") == "node-c", "the pod has its node")
    remove(plane, node)


def test_a_daemonset_that_may_make_no_pod_is_told(watched):
    plane = watched.plane
    watched.wait_quiet()
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    plane.admin.post(QUOTAS, quota)
    wait_until(lambda: "hard" in plane.admin.get(f"{QUOTAS}/none")["status"], "the quota counts")
    node = plane.register_node("node-d")
    watched.wait_firing("ImdsAgentMissing", {"namespace": "imds-agent"})
    plane.admin.delete(f"{QUOTAS}/none")
    watched.wait_quiet()
    remove(plane, node)


def remove(plane: ControlPlane, node: NodeActor) -> None:
    """Scale a node in: the node goes, and its pod with it."""
    node.close()
    node.delete()
    plane.kubectl(
        "delete",
        "pods",
        "-n",
        "imds-agent",
        "--force",
        "--grace-period=0",
        f"--field-selector=spec.nodeName={node.name}",
    )
