"""`withdraw` takes what is ours off a node, and nothing else."""

import re

import pytest

from agent.emulator import Emulator
from tests.cli.users import User
from tests.controlplane.plane import ControlPlane
from tests.controlplane.session import MERGE
from tests.promises.agents import (
    DOMAIN,
    EVENTS,
    HOLD,
    annotations,
    cordoned,
    labels,
    node_of,
    ours,
    owners,
    tended,
    wait_until,
)

RACK = f"topology.{DOMAIN}/rack"
UNSCHEDULABLE = ("f:spec", "f:unschedulable")


def test_withdraw_takes_labels_annotations_and_our_cordon_off_and_leaves_the_rest(plane, node):
    admin_labels = {"example.com/team": "a", f"other.{DOMAIN}/x": "b"}
    plane.admin.patch(node.path, {"metadata": {"labels": admin_labels}}, MERGE)
    with tended(plane, node=node) as scene:
        scene.wait_labelled()
        scene.event("Reboot")
        scene.wait_cordoned()
        scene.agent.kill()
        at = User(plane, node, scene.imds, plane.agent_kubeconfig(node.name))
        assert at.run("withdraw") == f"node {node.name}: withdrawn\n"
        found = node.get()
        assert not cordoned(found)
        assert set(ours(found)) == {f"other.{DOMAIN}/x"}
        assert labels(found)["example.com/team"] == "a"
        assert labels(found)["kubernetes.io/hostname"] == node.name
        assert not any(entry["manager"].startswith("imds-agent") for entry in found["metadata"]["managedFields"])
        assert at.run("withdraw") == f"node {node.name}: withdrawn\n"


def test_withdraw_leaves_a_held_cordon_and_says_whose_it_is(plane, node):
    with tended(plane, node=node) as scene:
        at = User(plane, node, scene.imds, plane.agent_kubeconfig(node.name))
        scene.event("Reboot")
        scene.wait_cordoned()
        at.run("hold")
        scene.agent.kill()
        said = at.run("withdraw")
        assert f"it stays cordoned, by imds-agent-handover: kubectl uncordon {node.name}" in said
        found = node.get()
        assert cordoned(found)
        assert set(ours(found)) == {HOLD}
        assert owners(found, *UNSCHEDULABLE) == {"imds-agent-handover"}


def test_withdraw_leaves_an_admins_cordon_and_clears_ours_whose_owner_was_lost(plane, node):
    with tended(plane, node=node) as scene:
        at = User(plane, node, scene.imds, plane.agent_kubeconfig(node.name))
        plane.kubectl("cordon", node.name)
        scene.event("Reboot")
        scene.wait_for(lambda found: EVENTS in annotations(found), "marked")
        scene.agent.kill()
        assert "it stays cordoned, by kubectl" in at.run("withdraw")
        assert cordoned(node.get())
        plane.kubectl("uncordon", node.name)

        scene.agent.start()
        scene.wait_cordoned()
        scene.wait_labelled()
        scene.agent.kill()
        found = node.get()
        found["metadata"]["managedFields"] = []
        plane.admin.put(node.path, found)
        assert at.run("withdraw") == f"node {node.name}: withdrawn\n"
        assert not cordoned(node.get())
        assert ours(node.get()) == {}


def limited(plane, *names: str):
    """Return a kubeconfig that may list all nodes and change these."""
    rules = [
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["patch"], "resourceNames": list(names)},
    ]
    kind = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "limited"}}
    path = "/apis/rbac.authorization.k8s.io/v1"
    plane.admin.post(f"{path}/clusterroles", {**kind, "kind": "ClusterRole", "rules": rules})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "limited"}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "limited"}
    binding = {**kind, "kind": "ClusterRoleBinding", "roleRef": role, "subjects": [subject]}
    plane.admin.post(f"{path}/clusterrolebindings", binding)
    config = plane.kubeconfig("limited", plane.identity("limited"))
    asked = ("auth", "can-i", "patch", f"nodes/{names[0]}")
    wait_until(lambda: "yes" in plane.kubectl(*asked, kubeconfig=config, check=False).split(), "the rights count")
    return config


def test_withdraw_from_all_nodes_needs_an_admin_says_so_and_goes_on_where_one_node_is_refused(built):
    with ControlPlane() as plane:  # of its own: --all would take the labels of other tests' nodes
        plane.install()
        with node_of(plane) as one, node_of(plane) as other:
            for node in (one, other):
                plane.admin.patch(node.path, {"metadata": {"labels": {RACK: "x"}}}, MERGE)
            kubelet = User(plane, one, None, one.kubeconfig)
            said = kubelet.refused("withdraw", "--all")
            assert said.startswith("--all needs the right to list nodes, as an admin's --kubeconfig has it: ")

            done = User(plane, one, None, limited(plane, one.name)).process("withdraw", "--all")
            assert (done.code, done.err) == (1, "imds-agent: 1 node(s) were not withdrawn, see above\n")
            assert re.match(r"off all nodes of https://127\.0\.0\.1:\d+\n", done.out)
            assert f"node {one.name}: withdrawn\n" in done.out
            assert f"node {other.name}: PATCH /api/v1/nodes/{other.name}: 403: " in done.out
            assert (ours(one.get()), ours(other.get())) == ({}, {RACK: "x"})

            said = User(plane, one, None, plane.admin_kubeconfig).run("withdraw", "--all")
            assert sorted(said.splitlines()[1:]) == sorted(f"node {node.name}: withdrawn" for node in (one, other))
            assert ours(other.get()) == {}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"f:spec": {"f:taints": {}}}, "taints"),
        ({"f:metadata": {"f:labels": {"f:pool": {}}}}, "pool"),
        ({"f:metadata": {"f:annotations": {"f:example.com/a": {}}}}, "example.com/a"),
    ],
)
@pytest.mark.parametrize("manager", ["imds-agent-facts", "imds-agent-handover"])
def test_withdraw_takes_nothing_off_with_an_admins_rights_that_a_stolen_token_had_noted_as_ours(
    plane, node, fields, named, manager
):
    """Such as the taint that keeps other people's pods off this node: the token itself may not remove it."""
    plane.kubectl("taint", "node", node.name, "dedicated=team:NoSchedule")
    plane.kubectl("label", "node", node.name, "pool=blue")
    plane.kubectl("annotate", "node", node.name, "example.com/a=b")
    note = {"manager": manager, "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields}
    with plane.new_session(token=plane.agent_token(node.name)) as stolen:
        stolen.patch(node.path, {"metadata": {"managedFields": [note]}}, MERGE)
    before = node.get()
    with Emulator() as imds:
        admin = User(plane, node, imds, plane.admin_kubeconfig)
        for command in ("withdraw", "label"):
            assert f"{manager} is noted as the owner of {named}, which it never writes" in admin.refused(command)
    after = node.get()
    assert (after["spec"], after["metadata"]["labels"]) == (before["spec"], before["metadata"]["labels"])
    assert after["metadata"]["annotations"] == before["metadata"]["annotations"]
