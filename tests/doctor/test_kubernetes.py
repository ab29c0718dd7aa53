"""Rights, policy, owners and the autoscaler: judged from values here, and asked of a real API server below."""

import dataclasses

from agent.clients.cluster import Access, Cluster
from agent.core.node import NodeView, Owner, Taint
from agent.doctor import kubernetes
from agent.doctor.examine import _allowed
from agent.doctor.kubernetes import wanted_rights

DOMAIN = "imds-agent.github.io"
RACK = f"topology.{DOMAIN}/rack"
ALL_ON = {
    "events": True,
    "drain": True,
    "delete": True,
    "budgets": True,
    "approval": True,
    "told": True,
    "namespace": "imds-agent",
}
VIEW = NodeView(name="n", uid="u", resource_version="1", labels={RACK: "a"})


def rights(**changes) -> list[str]:
    return [str(right) for right in wanted_rights(**{**ALL_ON, **changes})]


def test_rights_grow_with_what_is_on():
    least = rights(events=False, told=False)
    assert least == ["get nodes", "patch nodes"]
    assert "list pods" not in rights(drain=False)
    assert "delete pods" not in rights(delete=False)
    assert {"create pods/eviction", "delete pods", "list poddisruptionbudgets", "update leases", "list nodes"} <= set(
        rights()
    )
    assert "list nodes" not in rights(budgets=False, approval=False)


def test_a_right_that_is_lacking_is_named_with_what_it_is_for():
    first, second, *_ = wanted_rights(**ALL_ON)
    found = kubernetes.rights({first: True, second: False})
    assert (found.verdict, found.found) == ("bad", "lacking: patch nodes (labels, mark and cordon)")
    assert kubernetes.rights({first: True}).verdict == "ok"


def test_the_policy_holds_or_not_or_nobody_can_tell():
    assert [kubernetes.policy(enforced, "why").verdict for enforced in (1, 0, -1)] == ["ok", "warn", "unknown"]


def test_others_who_want_other_values_are_named_and_those_who_want_the_same_are_not():
    owner = Owner(manager="labeller", applied=False, labels=frozenset({RACK}))
    ours = Owner(manager="imds-agent-facts", applied=True, labels=frozenset({RACK}))
    view = dataclasses.replace(VIEW, owners=(owner, ours))
    assert kubernetes.owners(view, {RACK: "a"}).verdict == "ok"
    found = kubernetes.owners(view, {RACK: "b"})
    assert (found.verdict, found.found) == ("warn", f"labeller: {RACK}")


def test_an_autoscaler_is_warned_of_only_where_it_is_and_labels_differ_between_zones():
    taint = Taint(key="DeletionCandidateOfClusterAutoscaler")
    scaled = dataclasses.replace(VIEW, taints=(taint,))
    found = kubernetes.autoscaler(scaled, [RACK, "example.com/zone"], DOMAIN)
    assert (found.verdict, f"--balancing-ignore-label={RACK}" in found.advice) == ("warn", True)
    assert "example.com" not in found.advice
    assert kubernetes.autoscaler(VIEW, [RACK], DOMAIN).verdict == "ok"
    assert kubernetes.autoscaler(scaled, [f"vm.{DOMAIN}/size"], DOMAIN).found == "no such labels"


def test_the_api_server_is_asked_for_each_right_and_says_what_the_manifests_grant(plane, node):
    """The base grants everything but what drain's overlays add."""
    cluster = Cluster(Access(kubeconfig=plane.agent_kubeconfig(node.name)))
    try:
        answers = {right: _allowed(cluster, right) for right in wanted_rights(**ALL_ON)}
    finally:
        cluster.close()
        plane.agents.end_pod(node.name)
    lacking = {str(right) for right, allowed in answers.items() if not allowed}
    assert lacking == {"list pods", "create pods/eviction", "list poddisruptionbudgets", "delete pods"}
