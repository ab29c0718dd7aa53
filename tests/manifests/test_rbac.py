"""The rights in manifests/base, asked of the real authorizer."""

import json

import pytest

from tests.controlplane.installed import BASE

AGENT = "system:serviceaccount:imds-agent:imds-agent"
VERBS = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"]


def can(plane, verb: str, resource: str) -> bool:
    name, _, part = resource.partition("/")
    where = ["--subresource", part] if part else []
    said = plane.kubectl("auth", "can-i", verb, name, *where, f"--as={AGENT}", "-n", "imds-agent", check=False)
    answer = said.split()[0]
    assert answer in ("yes", "no"), said
    return answer == "yes"


def rules(plane, namespace: str) -> list[dict]:
    """Return all that the agent may do in a namespace, less what every account may ask about itself."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    session = plane.session(token=plane.agents.unbound_token("imds-agent", "imds-agent"))
    found = session.post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review)["status"]["resourceRules"]
    asking = {"selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews", "clustertrustbundles"}
    return [rule for rule in found if not set(rule["resources"]) & asking]


@pytest.mark.parametrize("verb", VERBS)
def test_the_agent_may_get_and_patch_nodes_and_nothing_else_of_them(plane, verb):
    assert can(plane, verb, "nodes") == (verb in ("get", "patch"))


@pytest.mark.parametrize(
    ("verb", "resource"),
    [
        ("patch", "nodes/status"),
        ("update", "nodes/status"),
        ("list", "pods"),
        ("get", "secrets"),
        ("create", "pods/eviction"),
    ],
)
def test_the_agent_may_not(plane, verb, resource):
    assert not can(plane, verb, resource)


@pytest.mark.parametrize("namespace", ["imds-agent", "kube-system", "default"])
def test_all_that_the_agent_may_do_is_two_verbs_on_nodes(plane, namespace):
    [only] = rules(plane, namespace)
    assert only == {"verbs": ["get", "patch"], "apiGroups": [""], "resources": ["nodes"]}


def test_the_base_passes_a_strict_dry_run_of_the_server_without_a_warning(plane):
    said = plane.kubectl("apply", "-k", str(BASE), "--dry-run=server", "--validate=strict", check=False)
    assert "Warning" not in said
    assert "rror" not in said
    assert len(said.splitlines()) == len(plane.kubectl("get", "-k", str(BASE), "-o", "name").splitlines()) == 7


def test_applying_the_base_again_changes_nothing(plane):
    before = json.loads(plane.kubectl("get", "-k", str(BASE), "-o", "json"))["items"]
    plane.kubectl("apply", "-k", str(BASE))
    after = json.loads(plane.kubectl("get", "-k", str(BASE), "-o", "json"))["items"]
    assert [item["metadata"]["resourceVersion"] for item in before] == [
        item["metadata"]["resourceVersion"] for item in after
    ]
