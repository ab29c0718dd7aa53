"""The cluster client against the real API server: reads, applies, and what the server refuses."""

import os
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from agent.clients.cluster import Access, Cluster
from agent.clients.cluster_errors import ClusterConflict, ClusterRefused, ClusterUnavailable, NodeMissing, NodeReplaced
from tests.controlplane.session import MERGE
from tests.promises.agents import wait_until

ZONE = "topology.imds-agent.github.io/zone"


@pytest.fixture
def cluster(plane, node):
    """A client with the token of this node's agent."""
    with closing(Cluster(Access(kubeconfig=plane.agent_kubeconfig(node.name)))) as client:
        yield client


@pytest.fixture
def admin(plane):
    with closing(Cluster(Access(kubeconfig=plane.admin_kubeconfig))) as client:
        yield client


def test_of_several_kubeconfigs_as_kubectl_takes_them_those_that_are_there_count(plane, node, tmp_path):
    missing = tmp_path / "none"
    listed = Path(os.pathsep.join(map(str, (missing, plane.agent_kubeconfig(node.name)))))
    with closing(Cluster(Access(kubeconfig=listed))) as client:
        assert client.node(node.name)["metadata"]["name"] == node.name
    with pytest.raises(ClusterUnavailable, match="No such file"):
        Cluster(Access(kubeconfig=Path(f"{missing}{os.pathsep}{missing}")))


def body(node, uid: str | None = None, **metadata):
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node.name, "uid": uid or node.uid, **metadata}}


def labelled(node, value: str = "west-1", key: str = ZONE, **more):
    return body(node, labels={key: value}, **more)


def owner(found, manager):
    return [entry for entry in found["metadata"]["managedFields"] if entry["manager"] == manager]


def test_a_full_read_shows_cordon_and_ready(cluster, node):
    found = cluster.node(node.name)
    assert (found["kind"], found["metadata"]["uid"]) == ("Node", node.uid)
    assert {"providerID"} <= found["spec"].keys()
    assert found["status"]["conditions"]


def test_a_read_of_metadata_alone_has_labels_and_owners_and_no_spec(cluster, node):
    found = cluster.node(node.name, metadata_only=True, resource_version="0")
    assert found["kind"] == "PartialObjectMetadata"
    assert found["metadata"]["labels"]["kubernetes.io/hostname"] == node.name
    assert found["metadata"]["managedFields"]
    assert "spec" not in found
    assert "status" not in found


def test_a_quorum_read_sees_a_write_of_somebody_else_at_once(cluster, node, plane):
    for number in range(10):
        plane.admin.patch(node.path, {"metadata": {"labels": {"example.com/n": str(number)}}}, MERGE)
        assert cluster.node(node.name)["metadata"]["labels"]["example.com/n"] == str(number)


def test_a_read_at_a_version_is_not_older_than_it(cluster, node, plane):
    for number in range(10):
        version = plane.admin.patch(node.path, {"metadata": {"labels": {"example.com/n": str(number)}}}, MERGE)
        version = version["metadata"]["resourceVersion"]
        found = cluster.node(node.name, resource_version=version)
        assert found["metadata"]["labels"]["example.com/n"] == str(number)


def test_an_apply_writes_under_its_manager_and_returns_the_node_after_it(cluster, node):
    found = cluster.apply(node.name, labelled(node), manager="imds-agent-facts", force=False)
    assert found["metadata"]["labels"][ZONE] == "west-1"
    assert found == node.get()
    (entry,) = owner(found, "imds-agent-facts")
    assert entry["operation"] == "Apply"


def test_an_apply_of_what_stands_there_changes_no_version(cluster, node):
    first = cluster.apply(node.name, labelled(node), manager="imds-agent-facts", force=False)
    again = cluster.apply(node.name, labelled(node), manager="imds-agent-facts", force=False)
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


def test_letters_beyond_the_basic_plane_and_quotes_arrive_as_they_were_sent(cluster, node):
    text = '🚀 "ü" \\ \n ]: {'
    sent = body(node, annotations={"imds-agent.github.io/tags": text})
    cluster.apply(node.name, sent, manager="imds-agent-tags", force=False)
    assert node.get()["metadata"]["annotations"]["imds-agent.github.io/tags"] == text


def test_a_field_that_others_own_is_a_conflict_that_names_them_and_changes_nothing(cluster, node, plane):
    plane.admin.patch(node.path, {"metadata": {"labels": {ZONE: "other"}}}, MERGE, fieldManager="kubectl-label")
    with pytest.raises(ClusterConflict) as conflict:
        cluster.apply(node.name, labelled(node), manager="imds-agent-facts", force=False)
    assert conflict.value.managers == {f".metadata.labels.{ZONE}": "kubectl-label"}
    assert node.get()["metadata"]["labels"][ZONE] == "other"


def test_force_takes_the_field(cluster, node, plane):
    plane.admin.patch(node.path, {"metadata": {"labels": {ZONE: "other"}}}, MERGE, fieldManager="kubectl-label")
    found = cluster.apply(node.name, labelled(node), manager="imds-agent-facts", force=True)
    assert found["metadata"]["labels"][ZONE] == "west-1"
    assert not any(f"f:{ZONE}" in str(entry) for entry in owner(found, "kubectl-label"))


def test_a_merge_patch_at_an_old_version_is_a_conflict_of_nobody(cluster, node, plane):
    old = node.get()["metadata"]["resourceVersion"]
    plane.admin.patch(node.path, {"metadata": {"labels": {"example.com/n": "1"}}}, MERGE)
    with pytest.raises(ClusterConflict) as conflict:
        cluster.merge(
            node.name, {"metadata": {"resourceVersion": old, "labels": {ZONE: "x"}}}, manager="imds-agent-sweep"
        )
    assert conflict.value.managers == {}


def test_a_merge_patch_removes_a_key_whoever_owns_it(cluster, node, plane):
    plane.admin.patch(node.path, {"metadata": {"labels": {ZONE: "other"}}}, MERGE, fieldManager="kubectl-label")
    found = cluster.merge(
        node.name, {"metadata": {"uid": node.uid, "labels": {ZONE: None}}}, manager="imds-agent-sweep"
    )
    assert ZONE not in found["metadata"]["labels"]


def test_an_apply_to_a_missing_node_is_told_and_creates_none(admin, node):
    node.delete()
    with pytest.raises(NodeMissing):
        admin.apply(node.name, labelled(node), manager="imds-agent-facts", force=True)
    with pytest.raises(NodeMissing):
        admin.node(node.name)
    with pytest.raises(NodeMissing):
        admin.merge(node.name, {"metadata": {"labels": {ZONE: "x"}}}, manager="imds-agent-sweep")


def test_an_apply_or_patch_to_another_node_of_the_same_name_is_told_and_changes_nothing(admin, node):
    old = node.uid
    node.recreate()
    assert node.uid != old
    before = node.get()["metadata"]["resourceVersion"]
    with pytest.raises(NodeReplaced):
        admin.apply(node.name, labelled(node, uid=old), manager="imds-agent-facts", force=True)
    assert node.get()["metadata"]["resourceVersion"] == before
    with pytest.raises((NodeReplaced, ClusterConflict)):
        admin.merge(node.name, {"metadata": {"uid": old, "labels": {ZONE: "x"}}}, manager="imds-agent-sweep")
    assert node.get()["metadata"]["resourceVersion"] == before


def test_a_missing_right_is_refused_in_the_servers_words(plane, node):
    kubeconfig = plane.agent_kubeconfig(node.name, service_account="nobody")
    with closing(Cluster(Access(kubeconfig=kubeconfig))) as nobody, pytest.raises(ClusterRefused) as refusal:
        nobody.node(node.name)
    assert refusal.value.status == 403
    assert 'cannot get resource "nodes"' in refusal.value.message


def test_the_names_of_all_nodes_are_listed(cluster, plane, node):
    def every() -> set[str]:
        return {item["metadata"]["name"] for item in plane.admin.get("/api/v1/nodes")["items"]}

    assert node.name in every()
    wait_until(lambda: set(cluster.node_names()) == every(), "all and no others")  # those of other tests come and go


def test_a_policy_refuses_in_its_own_words(cluster, node):
    with pytest.raises(ClusterRefused) as refusal:
        cluster.apply(node.name, labelled(node, key="example.com/x"), manager="imds-agent-facts", force=False)
    assert refusal.value.status in (403, 422)
    assert "labels outside the agent prefixes: example.com/x" in refusal.value.message


def test_an_invalid_label_is_refused_and_named(cluster, node):
    with pytest.raises(ClusterRefused) as refusal:
        cluster.apply(node.name, labelled(node, value="not valid!"), manager="imds-agent-facts", force=False)
    assert refusal.value.status == 422
    assert "not valid!" in refusal.value.message


def test_a_dry_run_answers_as_if_and_writes_nothing(cluster, node):
    before = node.get()
    found = cluster.apply(node.name, labelled(node), manager="imds-agent-facts", force=False, dry_run=True)
    assert found["metadata"]["labels"][ZONE] == "west-1"
    found = cluster.merge(node.name, {"metadata": {"labels": {ZONE: "x"}}}, manager="imds-agent-sweep", dry_run=True)
    assert found["metadata"]["labels"][ZONE] == "x"
    assert node.get() == before


def test_a_name_cannot_leave_its_place_in_the_path(admin):
    for name in ("a/b", "n?watch=1", "n#x", "%2e"):
        with pytest.raises((NodeMissing, ClusterRefused)):
            admin.node(name)


def test_every_request_is_counted_by_verb_and_status(plane, node):
    seen = Counter()
    access = Access(kubeconfig=plane.agent_kubeconfig(node.name))
    with closing(Cluster(access, seen=lambda verb, code: seen.update([(verb, code)]))) as client:
        client.node(node.name)
        client.apply(node.name, labelled(node), manager="imds-agent-facts", force=False)
        with pytest.raises(ClusterRefused):
            client.ask("GET", "/api/v1/secrets", query={})
    assert seen == {("GET", 200): 1, ("PATCH", 200): 1, ("GET", 403): 1}
