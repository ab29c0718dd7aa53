"""Kubernetes Events on the real API server, told with an agent's own rights, and as kubectl shows them."""

import uuid
from collections import Counter
from contextlib import closing
from datetime import datetime, timedelta, timezone

import pytest

from agent.clients.cluster import Access, Cluster
from agent.clients.cluster_errors import ClusterUnavailable
from agent.clients.cluster_events import announce
from agent.core.announcement import About, Announcement, event_body
from tests.promises.agents import wait_until

NOW = datetime.now(timezone.utc)
LATER = NOW + timedelta(minutes=10)


@pytest.fixture
def seen():
    return Counter()


@pytest.fixture
def cluster(plane, node, seen):
    access = Access(kubeconfig=plane.agent_kubeconfig(node.name))
    with closing(Cluster(access, seen=lambda verb, code: seen.update([(verb, code)]))) as client:
        yield client


@pytest.fixture
def pod(plane, node):
    """A pod on the node, in a namespace of its own."""
    namespace = f"shop-{uuid.uuid4().hex[:8]}"
    plane.agents.unbound_token(namespace, "web")
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web-0"},
        "spec": {"nodeName": node.name, "serviceAccountName": "web", "containers": [{"name": "c", "image": "c"}]},
    }
    return plane.admin.post(f"/api/v1/namespaces/{namespace}/pods", body)["metadata"]


def about_node(node):
    return About(kind="Node", name=node.name, uid=node.uid)


def about_pod(pod):
    return About(kind="Pod", namespace=pod["namespace"], name=pod["name"], uid=pod["uid"])


def body(node, about=None, now=NOW, **given):
    said = {"reason": "NodeCordoned", "message": "Cordoned for Reboot.", "key": "E1", **given}
    return event_body(Announcement(about=about or about_node(node), **said), node=node.name, now=now)


def standing(plane, told):
    metadata = told["metadata"]
    return plane.admin.get(f"/api/v1/namespaces/{metadata['namespace']}/events/{metadata['name']}")


def test_what_happens_is_told_once_and_stands_there_as_it_was_said(cluster, plane, node, seen):
    told = body(node)
    assert announce(cluster, told).kind == "created"
    found = standing(plane, told)
    assert {name: found[name] for name in told if name != "metadata"} == {
        name: told[name] for name in told if name != "metadata"
    }
    assert seen == {("POST", 201): 1}


def test_told_again_at_once_by_a_restarted_agent_it_is_not_doubled_and_not_written(cluster, plane, node):
    told = body(node)
    announce(cluster, told)
    before = standing(plane, told)
    assert announce(cluster, body(node, now=NOW + timedelta(seconds=599))).kind == "known"
    assert standing(plane, told) == before


def test_ten_minutes_later_it_is_counted_up(cluster, plane, node):
    told = body(node)
    announce(cluster, told)
    again = body(node, now=LATER, message="Still cordoned for Reboot.")
    assert announce(cluster, again).kind == "counted"
    found = standing(plane, told)
    assert (found["count"], found["message"]) == (2, "Still cordoned for Reboot.")
    assert found["firstTimestamp"] == told["firstTimestamp"]
    assert found["lastTimestamp"] == again["lastTimestamp"]
    assert announce(cluster, body(node, now=LATER + timedelta(minutes=10))).kind == "counted"
    assert standing(plane, told)["count"] == 3


def test_kubectl_describes_the_node_with_it_and_lists_it(cluster, plane, node):
    announce(cluster, body(node))
    described = plane.kubectl("describe", "node", node.name)
    (line,) = [line for line in described.splitlines() if "Cordoned for Reboot." in line]
    assert "NodeCordoned" in line
    assert "imds-agent" in line
    listed = plane.kubectl("events", "--for", f"node/{node.name}", "-n", "default")
    assert "Cordoned for Reboot." in listed


def test_kubectl_would_show_it_under_the_nodes_name_as_uid_too_as_kubelet_has_it(cluster, plane, node):
    announce(cluster, body(node, About(kind="Node", name=node.name, uid=node.name)))
    assert "Cordoned for Reboot." in plane.kubectl("describe", "node", node.name)


def test_a_new_node_of_the_same_name_is_not_described_with_what_happened_to_the_old_one(cluster, plane, node):
    announce(cluster, body(node))
    node.recreate()
    assert "Cordoned for Reboot." not in plane.kubectl("describe", "node", node.name)


def test_kubectl_describes_a_pod_with_what_happened_to_it(cluster, plane, node, pod):
    told = body(node, about_pod(pod), reason="PodNotEvicted", message="Budget web says no.", type="Warning")
    assert announce(cluster, told).kind == "created"
    described = plane.kubectl("describe", "pod", pod["name"], "-n", pod["namespace"])
    (line,) = [line for line in described.splitlines() if "Budget web says no." in line]
    assert line.split()[0] == "Warning"


def test_the_longest_name_and_message_are_taken(cluster, node, plane):
    about = About(kind="Pod", namespace="default", name="p" * 253, uid=str(uuid.uuid4()))
    told = body(node, about, message="🚀" * 1000)
    assert announce(cluster, told).kind == "created"
    assert standing(plane, told)["message"].startswith("🚀")


def test_in_a_namespace_that_is_going_or_gone_it_is_refused_and_others_may_be_told(cluster, plane, node, pod):
    plane.admin.delete(f"/api/v1/namespaces/{pod['namespace']}")
    assert announce(cluster, body(node, about_pod(pod))).kind == "refused"
    gone = About(kind="Pod", namespace="nowhere", name="web-0", uid=pod["uid"])
    outcome = announce(cluster, body(node, gone))
    assert (outcome.kind, "nowhere" in outcome.why) == ("refused", True)
    assert announce(cluster, body(node)).kind == "created"


def test_what_the_policy_refuses_is_refused_in_its_words(cluster, node):
    told = body(node) | {"source": {"component": "imds-agent", "host": "another"}}
    wait_until(lambda: announce(cluster, told).kind == "refused", "the policy")
    assert "may not tell Events in the name of another" in announce(cluster, told).why


def test_without_the_right_nothing_can_be_told_and_nothing_is_raised(plane, node):
    kubeconfig = plane.agent_kubeconfig(node.name, service_account="nobody")
    with closing(Cluster(Access(kubeconfig=kubeconfig))) as nobody:
        outcome = announce(nobody, body(node))
    assert outcome.kind == "forbidden"
    assert 'cannot create resource "events"' in outcome.why


def test_with_a_token_that_is_no_good_nothing_can_be_told(plane, node, tmp_path):
    kubeconfig = plane.agent_kubeconfig(node.name, service_account="soon-gone")
    with closing(Cluster(Access(kubeconfig=kubeconfig))) as client:
        plane.agents.end_pod(node.name, service_account="soon-gone")
        wait_until(lambda: "Unauthorized" in announce(client, body(node)).why, "the token is refused")
        assert announce(client, body(node)).kind == "forbidden"


def test_no_answer_is_raised(plane, node, tmp_path):
    config = plane.agent_kubeconfig(node.name).read_text().replace(plane.url, "https://127.0.0.1:1")
    kubeconfig = tmp_path / "nowhere.kubeconfig"
    kubeconfig.write_text(config)
    with closing(Cluster(Access(kubeconfig=kubeconfig))) as nobody, pytest.raises(ClusterUnavailable):
        announce(nobody, body(node))


def test_an_event_that_ended_between_two_requests_is_told_the_next_time(cluster, plane, node):
    """What the client sends last, sent late: an Event lives for an hour."""
    told = body(node)
    announce(cluster, told)
    plane.admin.delete(f"/api/v1/namespaces/default/events/{told['metadata']['name']}")
    assert announce(cluster, told).kind == "created"
