"""A scene for stolen tokens: two nodes with pods, and sessions with the token of the first node's agent."""

import json
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from requests import Response

from tests.controlplane.cluster import Cluster
from tests.controlplane.installed import BASE
from tests.controlplane.nodes import NodeActor
from tests.controlplane.pods import running
from tests.controlplane.session import MERGE, STRATEGIC, ApiSession
from tests.promises.agents import wait_until

OVERLAYS = BASE.parent / "overlays"
COMPONENTS = BASE.parent / "components"
POLICIES = ("imds-agent-own-node", "imds-agent-own-events", "imds-agent-own-place", "imds-agent-own-pods")
LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"
DOMAIN = "imds-agent.github.io"


@dataclass
class Stage:
    """Two nodes, and the agent's token of the first; `shop` is a namespace of somebody's pods."""

    plane: Cluster
    own: NodeActor
    other: NodeActor
    stolen: ApiSession
    shop: str
    namespace: str = "imds-agent"
    made: list[str] = field(default_factory=list)

    def pod(
        self,
        node: NodeActor,
        namespace: str | None = None,
        *,
        kept: bool = False,
        started: bool = True,
        ready: bool = True,
    ) -> str:
        """Make a pod that runs on a node and return its path; a kept one has a disruption budget that says no."""
        name = f"web-{uuid.uuid4().hex[:8]}"
        pods = f"/api/v1/namespaces/{namespace or self.shop}/pods"
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {"nodeName": node.name, "containers": [{"name": "c", "image": "c"}]},
        }
        pod = self.plane.admin.post(pods, body)
        if started:
            self.plane.admin.patch(f"{pods}/{name}/status", {"status": running(pod)}, STRATEGIC)
        if not ready:
            unready = {"conditions": [{"type": "Ready", "status": "False"}]}
            self.plane.admin.patch(f"{pods}/{name}/status", {"status": unready}, STRATEGIC)
        if kept:
            self._budget(name)
        return f"{pods}/{name}"

    def _budget(self, name: str) -> None:
        """Keep a pod as the disruption controller would, which does not run here."""
        path = f"/apis/policy/v1/namespaces/{self.shop}/poddisruptionbudgets"
        spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": name}}}
        body = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name}, "spec": spec}
        made = self.plane.admin.post(path, body)
        status = {"observedGeneration": made["metadata"]["generation"], "disruptionsAllowed": 0}
        counts = {"currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1}
        self.plane.admin.patch(f"{path}/{name}/status", {"status": status | counts}, MERGE)

    def event(self, about: tuple[str, str, str], *, host: str | None = None, **given: Any) -> dict[str, Any]:
        """A Kubernetes Event, by default in our own name, about a kind, namespace and name."""
        kind, namespace, name = about
        involved = {"apiVersion": "v1", "kind": kind, "name": name}
        host = host or self.own.name
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{name}.{uuid.uuid4().hex[:8]}", "namespace": namespace or "default"},
            "involvedObject": involved | ({"namespace": namespace} if namespace else {}),
            "reason": "Test",
            "message": "A test.",
            "type": "Normal",
            "source": {"component": "imds-agent", "host": host},
            "reportingComponent": "imds-agent",
            "reportingInstance": host,
            **given,
        }

    def lease(self, holder: str, name: str | None = None) -> dict[str, Any]:
        """A place in a budget, by default one that nobody ever took."""
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name or f"imds-agent-drain-{uuid.uuid4().hex[:10]}-0"},
            "spec": {"holderIdentity": holder, "renewTime": "2026-04-11T12:00:00.000000Z"},
        }

    def taken_by_other(self) -> dict[str, Any]:
        """A place that the other node holds and took just now."""
        body = self.lease(self.other.name)
        return self.plane.admin.post(LEASES.format(self.namespace), body, fieldManager="imds-agent-budget")

    def wait_for_policies(self) -> None:
        """Wait until each policy bites, in dry runs that RBAC lets through; the API server compiles them one by one."""
        token = self.plane.agent_token(self.own.name, probing(self.plane))
        pod = self.pod(self.own)
        foreign_event = self.event(("Node", "", self.own.name), host="nobody")
        probes = {
            "imds-agent-own-node": ("PATCH", self.own.path, {"metadata": {"labels": {"foreign": "label"}}}),
            "imds-agent-own-events": ("POST", "/api/v1/namespaces/default/events", foreign_event),
            "imds-agent-own-place": ("POST", LEASES.format("default"), self.lease("nobody")),
            "imds-agent-own-pods": ("PATCH", pod, {"metadata": {"labels": {"foreign": "label"}}}),
        }
        assert tuple(probes) == POLICIES
        with self.plane.new_session(token=token) as session:
            for policy, (method, path, body) in probes.items():
                kind = MERGE if method == "PATCH" else "application/json"

                def bites() -> bool:
                    answer = session.raw(method, path, body, content_type=kind, dryRun="All")  # noqa: B023
                    return policy in answer.text  # noqa: B023

                wait_until(bites, policy)


def probing(plane: Cluster) -> str:
    """Make a namespace whose account `imds-agent` may do everything as far as RBAC goes, so that policies stand alone."""
    namespace = f"mighty-{uuid.uuid4().hex[:8]}"
    plane.agents.unbound_token(namespace, "imds-agent")
    account = f"--serviceaccount={namespace}:imds-agent"
    plane.kubectl("create", "clusterrolebinding", namespace, "--clusterrole=cluster-admin", account)
    return namespace


@contextmanager
def staged(plane: Cluster, namespace: str = "imds-agent") -> Iterator[Stage]:
    """Set the scene with the token of an agent in this namespace, and clear it away."""
    with ExitStack() as stack:
        nodes = [plane.register_node(f"stolen-{letter}-{uuid.uuid4().hex[:8]}") for letter in "ab"]
        for node in nodes:
            stack.callback(node.delete)
            stack.callback(node.close)
        shop = f"shop-{uuid.uuid4().hex[:8]}"
        plane.agents.unbound_token(shop, "default")
        plane.agents.unbound_token("kube-system", "default")
        stolen = stack.enter_context(plane.new_session(token=plane.agent_token(nodes[0].name, namespace)))
        yield Stage(plane, nodes[0], nodes[1], stolen, shop, namespace)


def outcome(response: Response) -> str:
    """Return in a word what stopped a request: rights, policy, budget; or done."""
    if response.ok:
        return "done"
    text = json.dumps(response.json())
    if response.status_code == 403 and " cannot " in text:
        return "rights"
    if response.status_code == 403 and any(policy in text for policy in POLICIES):
        return "policy"
    if response.status_code == 429 and "disruption budget" in text:
        return "budget"
    raise AssertionError(f"{response.status_code}: {text}")
