"""The policies about Events and pods alone: an account of the agent's name with all rights there are.

The one about Leases is tried in tests/clients/test_cluster_leases.py, the one about nodes in test_own_node_policy.py.
"""

import uuid
from datetime import datetime, timezone

import pytest
import yaml

from tests.controlplane.installed import BASE
from tests.controlplane.session import APPLY, JSON_PATCH, MERGE
from tests.manifests.stage import LEASES, POLICIES, outcome, probing, staged
from tests.promises.agents import wait_until

GATES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
NEW_EVENTS = "/apis/events.k8s.io/v1/namespaces/default/events"
OLD_EVENTS = "/api/v1/namespaces/default/events"
NOW = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@pytest.fixture(scope="module")
def mighty(plane):
    namespace = probing(plane)
    with staged(plane, namespace) as stage:
        stage.wait_for_policies()
    return namespace


@pytest.fixture
def stage(plane, mighty):
    with staged(plane, mighty) as stage:
        yield stage


def refused(response, policy, words):
    assert response.status_code == 403, response.text
    assert policy in response.text
    assert words in response.text
    return True


def new_event(stage, **given):
    """An Event as events.k8s.io writes it: the same object by other names."""
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"x.{uuid.uuid4().hex[:8]}", "namespace": "default"},
        "eventTime": NOW,
        "regarding": {"apiVersion": "v1", "kind": "Node", "name": stage.own.name},
        "reason": "Test",
        "action": "Test",
        "note": "A test.",
        "type": "Normal",
        "reportingController": "imds-agent",
        "reportingInstance": stage.own.name,
        "deprecatedSource": {"component": "imds-agent", "host": stage.own.name},
        **given,
    }


def test_by_its_newer_name_an_agent_tells_nothing_with_a_source_or_without(stage):
    """The policy asks for a source there, too; the API server takes none there (422): no way around."""
    without = stage.stolen.raw("POST", NEW_EVENTS, new_event(stage, deprecatedSource=None))
    assert refused(without, "imds-agent-own-events", "name imds-agent as their source")
    assert stage.stolen.raw("POST", NEW_EVENTS, new_event(stage)).status_code == 422


def test_anothers_event_is_out_of_reach_by_its_newer_name_too(stage):
    told = stage.event(("Node", "", stage.own.name), host=stage.other.name)
    name = stage.plane.admin.post(OLD_EVENTS, told)["metadata"]["name"]
    for method, body in (("PATCH", {"metadata": {"labels": {"a": "b"}}}), ("PATCH", {}), ("DELETE", None)):
        answer = stage.stolen.raw(method, f"{NEW_EVENTS}/{name}", body, content_type=MERGE)
        assert outcome(answer) == "policy"


def test_an_own_event_cannot_be_made_to_look_like_anothers(stage):
    told = stage.event(("Node", "", stage.own.name))
    path = f"{OLD_EVENTS}/{stage.stolen.post(OLD_EVENTS, told)['metadata']['name']}"
    for changed in (
        {"source": {"component": "kubelet"}},
        {"source": {"host": stage.other.name}},
        {"reportingInstance": stage.other.name},
        {"reportingComponent": "kubelet"},
        {"involvedObject": {"name": stage.other.name}},
        {"metadata": {"finalizers": ["example.com/stay"]}},
    ):
        answer = stage.stolen.raw("PATCH", path, changed, content_type=MERGE)
        assert outcome(answer) == "policy", (changed, answer.text)
    assert stage.stolen.raw("PATCH", path, {"count": 2}, content_type=MERGE).status_code == 200


def test_anothers_event_cannot_be_made_ours_or_deleted(stage):
    told = stage.event(("Node", "", stage.own.name), host=stage.other.name)
    path = f"{OLD_EVENTS}/{stage.plane.admin.post(OLD_EVENTS, told)['metadata']['name']}"
    ours = {"source": {"host": stage.own.name}, "reportingInstance": stage.own.name}
    for method, body, kind in (
        ("PATCH", ours, MERGE),
        ("PATCH", [{"op": "replace", "path": "/source/host", "value": stage.own.name}], JSON_PATCH),
        ("PATCH", {"apiVersion": "v1", "kind": "Event", **ours}, APPLY),
        ("DELETE", None, MERGE),
    ):
        query = {"fieldManager": "x", "force": "true"} if kind == APPLY else {}
        assert outcome(stage.stolen.raw(method, path, body, content_type=kind, **query)) == "policy"
    assert stage.plane.admin.get(path)["source"]["host"] == stage.other.name


def test_an_unbound_token_tells_nothing_and_deletes_nothing(stage):
    token = stage.plane.agents.unbound_token(stage.namespace, "imds-agent")
    with stage.plane.new_session(token=token) as session:
        for response in (
            session.raw("POST", OLD_EVENTS, stage.event(("Node", "", stage.own.name), host="")),
            session.raw("DELETE", stage.pod(stage.own)),
            session.raw("POST", LEASES.format(stage.namespace), stage.lease("")),
        ):
            assert response.status_code == 403
            assert "the token carries no node name" in response.text


@pytest.mark.parametrize("name", ["x-{}", "{}-x", "{}.x"])
def test_a_lease_whose_name_only_has_ours_in_it_is_not_made(stage, name):
    lease = stage.lease(stage.own.name, name.format(stage.lease("")["metadata"]["name"]))
    answer = stage.stolen.raw("POST", LEASES.format(stage.namespace), lease, fieldManager="imds-agent-budget")
    assert refused(answer, "imds-agent-own-place", "the agent's Leases are named")


def test_only_pods_of_its_own_node_can_be_deleted_one_by_one_or_together(stage):
    assert stage.stolen.raw("DELETE", stage.pod(stage.own)).status_code == 200
    away = stage.pod(stage.other)
    words = "which is not on it"
    assert refused(stage.stolen.raw("DELETE", away), "imds-agent-own-pods", words)
    assert refused(stage.stolen.raw("DELETE", away.rpartition("/")[0]), "imds-agent-own-pods", words)
    assert "deletionTimestamp" not in stage.plane.admin.get(away)["metadata"]


def test_a_pod_that_waits_for_a_node_cannot_be_deleted(stage):
    pods = f"/api/v1/namespaces/{stage.shop}/pods"
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "waits"}}
    stage.plane.admin.post(pods, body | {"spec": {"containers": [{"name": "c", "image": "c"}]}})
    assert refused(stage.stolen.raw("DELETE", f"{pods}/waits"), "imds-agent-own-pods", "which is not on it")


def test_pods_are_neither_made_nor_changed(stage):
    pod = stage.pod(stage.own)
    changed = stage.stolen.raw("PATCH", pod, {"metadata": {"labels": {"a": "b"}}}, content_type=MERGE)
    assert refused(changed, "imds-agent-own-pods", "makes and changes no pods")
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "evil"}}
    body |= {"spec": {"nodeName": stage.own.name, "containers": [{"name": "c", "image": "c"}]}}
    made = stage.stolen.raw("POST", pod.rpartition("/")[0], body)
    assert refused(made, "imds-agent-own-pods", "makes and changes no pods")


def test_an_eviction_shows_admission_no_node_so_that_none_can_be_pinned(stage):
    """Why the docs call it a risk: even with all policies an eviction elsewhere is let through."""
    path = stage.pod(stage.other)
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": path.rpartition("/")[2]}}
    assert stage.stolen.raw("POST", f"{path}/eviction", body).status_code == 201


def test_kubelet_and_admins_are_left_alone(stage):
    told = stage.event(("Node", "", stage.own.name), source={"component": "kubelet", "host": stage.own.name})
    assert stage.own.kubelet.post(OLD_EVENTS, told)
    stage.plane.admin.delete(stage.pod(stage.other))
    lease = stage.taken_by_other()
    stage.plane.admin.delete(f"{LEASES.format(stage.namespace)}/{lease['metadata']['name']}")


def test_all_policies_are_about_the_same_account_and_refuse_where_they_cannot_be_evaluated():
    found = [
        item
        for file in BASE.glob("*-policy.yaml")
        for item in yaml.safe_load_all(file.read_text())
        if item["kind"] == "ValidatingAdmissionPolicy"
    ]
    assert {item["metadata"]["name"] for item in found} == set(POLICIES)
    assert {item["spec"]["failurePolicy"] for item in found} == {"Fail"}
    [conditions] = {str(item["spec"]["matchConditions"]) for item in found}
    assert "imds-agent$" in conditions


@pytest.mark.parametrize("policy", POLICIES)
def test_type_checking_of_the_policies_finds_nothing(whole_plane, policy):
    def checked():
        found = whole_plane.admin.get(f"{GATES}/{policy}")
        return found.get("status", {}).get("observedGeneration") == found["metadata"]["generation"]

    wait_until(checked, "the controller manager has checked the types")
    status = whole_plane.admin.get(f"{GATES}/{policy}")["status"]
    assert status["typeChecking"].get("expressionWarnings", []) == []
