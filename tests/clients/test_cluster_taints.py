"""Our taints on the real list, beside everybody else's, with an agent's own rights."""

import uuid
from collections import Counter
from contextlib import closing

import pytest

from agent.clients.cluster import Access, Cluster
from agent.clients.cluster_errors import ClusterConflict, ClusterError, ClusterRefused, NodeMissing
from agent.clients.cluster_taints import write_taints
from agent.core.taints import TaintRules
from tests.controlplane.session import JSON_PATCH, MERGE

P = "imds-agent.github.io"
STARTUP = {"key": f"{P}/startup", "effect": "NoSchedule"}
TIMED = {"key": "example.com/timed", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"}
PLAIN = {"key": "dedicated", "value": "team", "effect": "NoSchedule"}
RULES = TaintRules(startup=f"{P}/startup", event_effect="NoSchedule")


@pytest.fixture
def sent():
    return Counter()


@pytest.fixture
def cluster(plane, node, sent):
    access = Access(kubeconfig=plane.agent_kubeconfig(node.name))
    with closing(Cluster(access, seen=lambda verb, _code: sent.update([verb]))) as client:
        yield client


def put(plane, node, *taints):
    return plane.admin.patch(node.path, {"spec": {"taints": list(taints)}}, MERGE)


def write(cluster, node, event_type=None, *, lift=False, rules=RULES, uid=None):
    return write_taints(
        cluster, node.name, uid or node.uid, event_type=event_type, lift_startup=lift, rules=rules, domain=P
    )


def taints(node):
    return node.get()["spec"].get("taints", [])


def told(value, effect="NoSchedule"):
    return {"key": f"{P}/scheduled-event", "value": value, "effect": effect}


def test_an_event_taint_comes_changes_and_goes_and_nothing_of_the_others_is_lost(cluster, plane, node):
    put(plane, node, TIMED, PLAIN)
    after = write(cluster, node, "Reboot")
    assert after["spec"]["taints"] == taints(node) == [TIMED, PLAIN, told("reboot")]
    write(cluster, node, "Preempt")
    assert taints(node) == [TIMED, PLAIN, told("preempt")]
    write(cluster, node)
    assert taints(node) == [TIMED, PLAIN]


def test_the_last_taint_goes_too(cluster, plane, node):
    put(plane, node, STARTUP)
    assert "taints" not in write(cluster, node, lift=True)["spec"]


def test_startup_and_event_taint_change_in_one_write(cluster, plane, node):
    put(plane, node, STARTUP, TIMED)
    write(cluster, node, "Terminate", lift=True)
    assert taints(node) == [TIMED, told("terminate")]


def test_another_effect_replaces_the_taint(cluster, node):
    write(cluster, node, "Reboot")
    write(cluster, node, "Reboot", rules=TaintRules(event_effect="PreferNoSchedule"))
    assert [taint["effect"] for taint in taints(node)] == ["PreferNoSchedule"]


def test_what_is_as_it_should_be_is_not_written(cluster, plane, node, sent):
    put(plane, node, TIMED)
    write(cluster, node, "Reboot")
    before = node.get()
    assert write(cluster, node, "Reboot") == before == node.get()
    assert sent == {"GET": 2, "PATCH": 1}


def test_a_taint_that_came_since_the_list_was_read_is_a_conflict_and_stays(plane, node):
    """Somebody writes between our read and our write: told by the client itself of its read."""

    def meanwhile(verb, _code):
        if verb == "GET":
            put(plane, node, TIMED)

    access = Access(kubeconfig=plane.agent_kubeconfig(node.name))
    with closing(Cluster(access, seen=meanwhile)) as cluster, pytest.raises(ClusterConflict) as conflict:
        write(cluster, node, "Reboot")
    assert conflict.value.managers == {}
    assert taints(node) == [TIMED]


def test_a_failed_test_of_a_json_patch_would_be_422_as_if_our_request_were_wrong(plane, node):
    body = [{"op": "test", "path": "/spec/taints", "value": [PLAIN]}, {"op": "remove", "path": "/spec/taints"}]
    put(plane, node, TIMED)
    assert plane.admin.raw("PATCH", node.path, body, content_type=JSON_PATCH).status_code == 422


def test_another_node_of_the_same_name_is_left_alone(cluster, plane, node):
    put(plane, node, STARTUP)
    with pytest.raises(ClusterError):
        write(cluster, node, lift=True, uid=str(uuid.uuid4()))
    assert taints(node) == [STARTUP]


def test_a_missing_node_is_told(cluster, node):
    node.delete()
    with pytest.raises(NodeMissing):
        write(cluster, node, "Reboot")


def test_a_startup_taint_of_anothers_name_needs_leave_from_the_policy(cluster, plane, node):
    put(plane, node, PLAIN)
    with pytest.raises(ClusterRefused, match="taints outside the agent prefix"):
        write(cluster, node, lift=True, rules=TaintRules(startup="dedicated"))
    assert taints(node) == [PLAIN]
