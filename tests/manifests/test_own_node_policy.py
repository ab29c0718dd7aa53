"""A stolen token, first version: what the token of node A's agent can change, on B nothing, on A nothing foreign.

Real pod-bound tokens against the real API server with manifests/base. `stolen` has the rights that we give;
`mighty` is an account of the agent's name with all rights there are, so that the policy stands alone.
"""

import uuid
from dataclasses import dataclass
from typing import Any

import pytest

from tests.controlplane.cluster import Cluster
from tests.controlplane.installed import POLICY
from tests.controlplane.nodes import NodeActor
from tests.controlplane.session import APPLY, JSON_PATCH, MERGE, STRATEGIC, ApiSession
from tests.promises.agents import wait_until

OURS = {"key": "imds-agent.github.io/uninitialized", "effect": "NoSchedule"}
FOREIGN = {"key": "dedicated", "value": "team", "effect": "NoSchedule"}
OTHER = {"key": "other", "effect": "NoSchedule"}
OWNER = {"apiVersion": "v1", "kind": "Namespace", "name": "default", "uid": "00000000-0000-0000-0000-000000000000"}


def label(key: str, value: str | None = "x") -> dict[str, Any]:
    return {"metadata": {"labels": {key: value}}}


def annotation(key: str, value: str | None = "x") -> dict[str, Any]:
    return {"metadata": {"annotations": {key: value}}}


def taints(*wanted: dict[str, str]) -> dict[str, Any]:
    return {"spec": {"taints": list(wanted)}}


@dataclass
class Stage:
    """Two nodes of a team's pool, and the agent's token of the first."""

    plane: Cluster
    own: NodeActor
    other: NodeActor
    stolen: ApiSession

    def send(self, session: ApiSession, target: NodeActor, body: Any, content_type: str = MERGE, **query: object):
        if content_type == APPLY:
            body = {"apiVersion": "v1", "kind": "Node", **body}
            query |= {"fieldManager": "imds-agent-facts", "force": "true"}
        return session.raw("PATCH", target.path, body, content_type=content_type, **query)


def pool_node(plane: Cluster, letter: str) -> NodeActor:
    """Register a node that has something foreign of each kind."""
    node = plane.register_node(f"policy-{letter}-{uuid.uuid4().hex[:8]}", labels={"pool": "blue"}, taints=[FOREIGN])
    plane.admin.patch(node.path, annotation("team", "blue"))
    return node


@pytest.fixture
def stage(plane: Cluster):
    own, other = pool_node(plane, "a"), pool_node(plane, "b")
    with plane.new_session(token=plane.agent_token(own.name)) as stolen:
        yield Stage(plane=plane, own=own, other=other, stolen=stolen)
    plane.agents.end_pod(own.name)
    for node in (own, other):
        node.close()
        node.delete()


@pytest.fixture(scope="module")
def mighty_account(plane: Cluster) -> str:
    """A namespace whose account `imds-agent` may do everything, as far as RBAC goes."""
    namespace = f"mighty-{uuid.uuid4().hex[:8]}"
    plane.agents.unbound_token(namespace, "imds-agent")
    plane.kubectl(
        "create",
        "clusterrolebinding",
        namespace,
        "--clusterrole=cluster-admin",
        f"--serviceaccount={namespace}:imds-agent",
    )
    return namespace


@pytest.fixture
def mighty(stage: Stage, mighty_account: str):
    with stage.plane.new_session(token=stage.plane.agent_token(stage.own.name, mighty_account)) as session:
        wait_until_mighty(session)
        yield session


def refused(response, words: str) -> bool:
    assert response.status_code == 403, response.text
    assert POLICY in response.text
    assert words in response.text
    return True


ON_ANOTHER_NODE = {
    "own label": (label("topology.imds-agent.github.io/zone"), MERGE),
    "own label by apply": (label("topology.imds-agent.github.io/zone"), APPLY),
    "own annotation": (annotation("imds-agent.github.io/events"), MERGE),
    "cordon": ({"spec": {"unschedulable": True}}, MERGE),
    "cordon by apply": ({"spec": {"unschedulable": True}}, APPLY),
    "own taint": (taints(FOREIGN, OURS), MERGE),
    "foreign label": (label("pool", "red"), MERGE),
    "foreign taint": (taints(FOREIGN, OTHER), MERGE),
}


@pytest.mark.parametrize(("body", "content_type"), ON_ANOTHER_NODE.values(), ids=ON_ANOTHER_NODE)
def test_on_another_node_nothing_can_be_changed(stage, body, content_type):
    before = stage.other.get()
    response = stage.send(stage.stolen, stage.other, body, content_type)
    assert refused(response, f"the agent on node {stage.own.name} may not change node {stage.other.name}")
    assert stage.other.get() == before


FOREIGN_ON_OWN = {
    "label added": (label("node-role.kubernetes.io/control-plane", ""), MERGE, "labels outside"),
    "label added by apply": (label("node-restriction.kubernetes.io/secret", "yes"), APPLY, "labels outside"),
    "label added by JSON patch": (
        [{"op": "add", "path": "/metadata/labels/a", "value": "b"}],
        JSON_PATCH,
        "labels outside",
    ),
    "label changed": (label("pool", "red"), MERGE, "labels outside the agent prefixes: pool"),
    "label changed by forced apply": (label("pool", "red"), APPLY, "labels outside the agent prefixes: pool"),
    "label removed": (label("pool", None), MERGE, "labels outside the agent prefixes: pool"),
    "zone of the cloud provider": (label("topology.kubernetes.io/zone", "westeurope-1"), MERGE, "labels outside"),
    "label below the annotation prefix": (label("imds-agent.github.io/zone"), MERGE, "labels outside"),
    "label of a domain that begins alike": (label("topology.imds-agent.github.io.evil/zone"), MERGE, "labels outside"),
    "label of a domain that ends alike": (label("evil.topology.imds-agent.github.io/zone"), MERGE, "labels outside"),
    "foreign label beside an own one": (
        {"metadata": {"labels": {"vm.imds-agent.github.io/size": "x", "pool": "red"}}},
        MERGE,
        "labels outside the agent prefixes: pool",
    ),
    "annotation added": (
        annotation("cluster-autoscaler.kubernetes.io/scale-down-disabled", "true"),
        MERGE,
        "annotations outside",
    ),
    "annotation changed": (annotation("team", "red"), MERGE, "annotations outside the agent prefix: team"),
    "annotation removed": (annotation("team", None), MERGE, "annotations outside the agent prefix: team"),
    "annotation below a label prefix": (annotation("tag.imds-agent.github.io/x"), MERGE, "annotations outside"),
    "owner reference": ({"metadata": {"ownerReferences": [OWNER]}}, MERGE, "ownerReferences, finalizers and other"),
    "finalizer": ({"metadata": {"finalizers": ["evil.example/stay"]}}, MERGE, "ownerReferences, finalizers and other"),
    "another field of the metadata": ({"metadata": {"generateName": "x"}}, MERGE, "and other metadata may not change"),
    "taint added": (taints(FOREIGN, OTHER), MERGE, "taints outside"),
    "taint changed": (taints(FOREIGN | {"value": "mine"}), MERGE, "taints outside"),
    "taint removed": (taints(), MERGE, "taints outside"),
    "taint lost by a careless own one": (taints(OURS), MERGE, "taints outside"),
    "taint lost by apply": (taints(OURS), APPLY, "taints outside"),
    "own taint that ends pods": (taints(FOREIGN, OURS | {"effect": "NoExecute"}), MERGE, "no NoExecute taint"),
    "another field of the spec": (
        {"spec": {"podCIDR": "10.0.0.0/24", "podCIDRs": ["10.0.0.0/24"]}},
        STRATEGIC,
        "only spec.unschedulable",
    ),
}


@pytest.mark.parametrize(("body", "content_type", "words"), FOREIGN_ON_OWN.values(), ids=FOREIGN_ON_OWN)
def test_on_its_own_node_nothing_foreign_can_be_changed(stage, body, content_type, words):
    before = stage.own.get()
    assert refused(stage.send(stage.stolen, stage.own, body, content_type), words)
    assert stage.own.get() == before


def test_a_dry_run_is_refused_alike_so_that_the_agent_can_ask(stage):
    assert refused(stage.send(stage.stolen, stage.own, label("pool", "red"), dryRun="All"), "labels outside")


OWN = {
    "labels by merge patch": (label("topology.imds-agent.github.io/zone", "westeurope-1"), MERGE),
    "labels by apply": (
        {
            "metadata": {
                "labels": {"vm.imds-agent.github.io/size": "Standard_D8s_v5", "tag.imds-agent.github.io/env": "prod"},
                "annotations": {"imds-agent.github.io/instance": "{}"},
            }
        },
        APPLY,
    ),
    "cordon by apply, with the mark": (
        {"metadata": {"annotations": {"imds-agent.github.io/events": "{}"}}, "spec": {"unschedulable": True}},
        APPLY,
    ),
    "own taint, the others kept": (taints(FOREIGN, OURS), MERGE),
}


@pytest.mark.parametrize(("body", "content_type"), OWN.values(), ids=OWN)
def test_what_the_agent_writes_is_let_through_and_can_be_withdrawn(stage, body, content_type):
    before = stage.own.get()
    written = stage.send(stage.stolen, stage.own, body, content_type)
    assert written.status_code == 200, written.text
    assert written.json()["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]
    clear = {
        "metadata": {
            "labels": dict.fromkeys(body.get("metadata", {}).get("labels", {})),
            "annotations": dict.fromkeys(body.get("metadata", {}).get("annotations", {})),
        },
        "spec": {"unschedulable": None, "taints": [FOREIGN]},
    }
    withdrawn = stage.send(stage.stolen, stage.own, clear)
    assert withdrawn.status_code == 200, withdrawn.text
    after = withdrawn.json()
    assert after["spec"] == before["spec"]
    for field in ("labels", "annotations"):
        assert after["metadata"][field] == before["metadata"][field]


def test_an_unbound_token_changes_nothing(stage):
    token = stage.plane.agents.unbound_token("imds-agent", "imds-agent")
    with stage.plane.new_session(token=token) as session:
        response = stage.send(session, stage.own, label("vm.imds-agent.github.io/size"))
    assert refused(response, "the token carries no node name")


def test_the_rights_alone_refuse_status_creation_and_deletion(stage):
    for method, path, body in (
        ("PATCH", f"{stage.own.path}/status", {"status": {"phase": "Running"}}),
        ("PUT", stage.own.path, stage.own.get()),
        ("DELETE", stage.own.path, None),
        ("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "made-up"}}),
    ):
        kind = MERGE if method == "PATCH" else "application/json"
        response = stage.stolen.raw(method, path, body, content_type=kind)
        assert response.status_code == 403, response.text


def test_an_apply_to_a_missing_node_does_not_create_it(stage):
    name = f"missing-{uuid.uuid4().hex[:8]}"
    path = f"/api/v1/nodes/{name}"
    labels = {"vm.imds-agent.github.io/size": "x"}
    body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}
    response = stage.stolen.raw("PATCH", path, body, content_type=APPLY, fieldManager="imds-agent-facts", force="true")
    assert response.status_code == 403, response.text
    assert stage.plane.admin.raw("GET", path).status_code == 404


def test_the_policy_refuses_an_account_with_all_rights_alike(stage, mighty):
    assert refused(stage.send(mighty, stage.other, label("vm.imds-agent.github.io/size")), "may not change node")
    assert refused(stage.send(mighty, stage.own, label("pool", "red")), "labels outside")
    whole = stage.own.get()
    whole["metadata"]["labels"]["pool"] = "red"
    assert refused(mighty.raw("PUT", stage.own.path, whole), "labels outside")


def test_the_policy_refuses_status_creation_and_deletion_even_with_all_rights(stage, mighty):
    status = {"status": {"capacity": {"example.com/gpu": "8"}}}
    response = mighty.raw("PATCH", f"{stage.own.path}/status", status, content_type=STRATEGIC)
    assert refused(response, "the agent may only update the Node itself")
    made = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "made-up"}}
    for response in (
        mighty.raw("POST", "/api/v1/nodes", made),
        mighty.raw("DELETE", stage.own.path),
        mighty.raw("DELETE", stage.other.path),
    ):
        assert response.status_code == 403, response.text
        assert POLICY in response.text
    assert stage.plane.admin.raw("GET", "/api/v1/nodes/made-up").status_code == 404


def test_kubelet_and_admins_are_left_alone(stage):
    assert stage.own.kubelet.patch(stage.own.path, label("example.com/by-kubelet"))
    stage.own.reboot()
    stage.own.set_ready(False)
    stage.own.set_ready(True)
    stage.plane.kubectl("label", "node", stage.own.name, "pool=red", "--overwrite")
    stage.plane.kubectl("taint", "node", stage.own.name, "more=yes:NoSchedule")
    stage.plane.kubectl("cordon", stage.own.name)
    stage.plane.kubectl("uncordon", stage.own.name)
    assert stage.own.get()["metadata"]["labels"]["pool"] == "red"


def test_another_account_is_left_alone(stage):
    namespace = f"other-{uuid.uuid4().hex[:8]}"
    token = stage.plane.agent_token(stage.own.name, namespace, "imds-agent-of-somebody")
    stage.plane.kubectl(
        "create", "clusterrolebinding", namespace, "--clusterrole=cluster-admin",
        f"--serviceaccount={namespace}:imds-agent-of-somebody",
    )  # fmt: skip
    session = stage.plane.session(token=token)
    wait_until_mighty(session)
    assert stage.send(session, stage.own, label("pool", "red")).status_code == 200


def wait_until_mighty(session) -> None:
    """The API server hears of a binding a moment after it was made."""
    wait_until(lambda: session.raw("GET", "/api/v1/secrets").ok, "the rights of a cluster-admin")
