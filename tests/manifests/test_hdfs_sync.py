"""What a stolen token of `hdfs-sync` can do: one annotation of nodes, and nothing else. And the recipes beside it."""

import re
import shlex
import sys
import uuid
from functools import partial
from xml.etree import ElementTree as ET

import pytest
import yaml

from agent.cli import _parser
from agent.clients.cluster import Access, Cluster
from agent.clients.cluster_errors import ClusterRefused
from agent.clients.cluster_nodes import MANAGER, list_nodes, say_hdfs
from agent.hdfs.metrics import SyncMetrics
from agent.hdfs.refresh import read_command
from tests.cli.running import ROOT
from tests.cloudinit.units import analyzed
from tests.controlplane.kubeconfig import write_kubeconfig
from tests.controlplane.session import MERGE
from tests.monitoring.written import alerts
from tests.promises.agents import DOMAIN, annotations, wait_until

WORD = '{"events":["E1"],"state":"asked","v":1}'


@pytest.fixture
def thief(plane, tmp_path):
    plane.kubectl("create", "namespace", "hdfs", check=False)
    plane.kubectl("apply", "-k", str(ROOT / "manifests" / "hdfs-sync" / "maintenance"))
    held = tmp_path / "token"
    held.write_text(str(plane.kubectl("create", "token", "hdfs-sync", "-n", "hdfs")).strip())
    path = write_kubeconfig(tmp_path / "config", plane.url, plane.ca_file, {"tokenFile": str(held)})
    cluster = Cluster(Access(kubeconfig=path))
    yield cluster
    cluster.close()


def merge(cluster, node, body, manager=MANAGER):
    return cluster.merge(node.name, body, manager=manager)


def apply(cluster, node, body, manager=MANAGER):
    whole = {"apiVersion": "v1", "kind": "Node", **body}
    whole["metadata"] = {"name": node.name, "uid": node.uid, **body.get("metadata", {})}
    return cluster.apply(node.name, whole, manager=manager, force=True)


def owning(manager, fields):
    """A note that somebody owns these fields."""
    return {"manager": manager, "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields}


def annotated(key, text):
    return {"metadata": {"annotations": {key: text}}}


POOL = {"f:metadata": {"f:labels": {"f:pool": {}}}}
CORDON = {"spec": {"unschedulable": True}}
OTHERS, ALONE, NOTES = "annotations other than", "that one annotation", "who owns what else"
ATTEMPTS = {
    "another annotation": (merge, annotated(f"{DOMAIN}/events", "{}"), OTHERS),
    "an annotation of somebody else": (merge, annotated("example.com/a", "b"), OTHERS),
    "take an annotation away": (merge, annotated("stands", None), OTHERS),
    "a word that fills etcd": (apply, annotated(f"{DOMAIN}/hdfs", "x" * 4097), "at most 4096"),
    "a label": (merge, {"metadata": {"labels": {f"topology.{DOMAIN}/zone": "x"}}}, "labels"),
    "take a label away": (merge, {"metadata": {"labels": {"pool": None}}}, "labels"),
    "a cordon": (merge, {"spec": {"unschedulable": None}}, "the spec may not change"),
    "a taint": (merge, {"spec": {"taints": [{"key": "a", "effect": "NoExecute"}]}}, "the spec may not change"),
    "a finalizer": (merge, {"metadata": {"finalizers": ["example.com/stay"]}}, "finalizers"),
    "another field of the metadata": (merge, {"metadata": {"generateName": "x"}}, "other metadata"),
    # An agent keeps a node cordoned as long as somebody else applies its cordon.
    "hold a node's cordon": (apply, CORDON, ALONE),
    "share a label": (apply, {"metadata": {"labels": {"pool": "blue"}}}, ALONE),
    "the word by another verb": (merge, annotated(f"{DOMAIN}/hdfs", WORD), ALONE),
    "the word as the agent": (partial(apply, manager="imds-agent-events"), annotated(f"{DOMAIN}/hdfs", WORD), ALONE),
    # An agent takes away what it owns and wants no more; and what is refused then, its cordon goes with it.
    "make others' labels the agent's": (
        merge,
        {"metadata": {"managedFields": [owning("imds-agent-events", POOL)]}},
        NOTES,
    ),
    "have nobody own anything": (merge, {"metadata": {"managedFields": [{}]}}, NOTES),
}


@pytest.fixture
def pooled(plane, node, thief):
    """A node with something foreign of each kind, and the policy in force."""
    plane.kubectl("annotate", "node", node.name, "stands=yes")
    plane.kubectl("label", "node", node.name, "pool=blue")
    plane.kubectl("cordon", node.name)

    def refused() -> bool:  # a policy is in force a moment after it was applied
        try:
            thief.merge(node.name, {"metadata": {"labels": {"a": "b"}}}, manager=MANAGER, dry_run=True)
        except ClusterRefused as error:  # before its rights are heard of it is refused, too
            return "ValidatingAdmissionPolicy" in str(error)
        return False

    wait_until(refused, "the policy in force")
    return node


@pytest.mark.parametrize(("send", "body", "words"), ATTEMPTS.values(), ids=ATTEMPTS)
def test_nothing_of_a_node_can_be_changed_but_the_one_annotation(pooled, thief, send, body, words):
    before = kept(pooled)
    with pytest.raises(ClusterRefused, match=words):
        send(thief, pooled, body)
    assert kept(pooled) == before


def test_with_all_rights_there_are_it_neither_makes_nor_deletes_nodes_nor_tells_their_status(plane, pooled):
    namespace = f"mighty-{uuid.uuid4().hex[:8]}"
    token = plane.agents.unbound_token(namespace, "hdfs-sync")
    account = f"--serviceaccount={namespace}:hdfs-sync"
    plane.kubectl("create", "clusterrolebinding", namespace, "--clusterrole=cluster-admin", account)
    with plane.new_session(token=token) as mighty:
        wait_until(lambda: mighty.raw("GET", "/api/v1/secrets").ok, "the rights")
        for answer in (
            mighty.raw("PATCH", f"{pooled.path}/status", {"status": {"phase": "Pending"}}, content_type=MERGE),
            mighty.raw("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "made-up"}}),
            mighty.raw("DELETE", pooled.path),
        ):
            assert answer.status_code == 403
            assert "imds-agent-hdfs-word" in answer.text
    assert pooled.get()["metadata"]["uid"] == pooled.uid


def kept(node):
    """All of a node but its heartbeat."""
    found = node.get()
    notes = [note for note in found["metadata"]["managedFields"] if note.get("subresource") != "status"]
    return found["spec"], {**found["metadata"], "managedFields": notes, "resourceVersion": ""}


def test_it_says_how_far_a_datanode_has_come_and_takes_it_back(pooled, thief):
    assert pooled.name in {each["metadata"]["name"] for each in list_nodes(thief).nodes}
    for word in (WORD, WORD.replace("E1", "E2"), None):
        say_hdfs(thief, pooled.name, pooled.uid, f"{DOMAIN}/hdfs", word)
        assert annotations(pooled.get()).get(f"{DOMAIN}/hdfs") == word


WRITTEN_BY_OTHERS = {
    "somebody wrote the word by hand": [annotated(f"{DOMAIN}/hdfs", "by hand")],
    "nobody owns anything any more": [{"metadata": {"managedFields": [{}]}}],
    "nobody owns the word any more": [annotated(f"{DOMAIN}/hdfs", "by hand"), {"metadata": {"managedFields": [{}]}}],
    "there is no annotation any more": [{"metadata": {"annotations": None}}],
}


@pytest.mark.parametrize("bodies", WRITTEN_BY_OTHERS.values(), ids=WRITTEN_BY_OTHERS)
def test_the_word_is_said_whatever_others_did_to_the_node(plane, pooled, thief, bodies):
    for body in bodies:
        plane.admin.patch(pooled.path, body, MERGE)
    for word in (WORD, WORD.replace("E1", "E2"), None, WORD):
        say_hdfs(thief, pooled.name, pooled.uid, f"{DOMAIN}/hdfs", word)
        assert annotations(pooled.get()).get(f"{DOMAIN}/hdfs") == word


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("GET", "/api/v1/nodes/{node}", None),
        ("DELETE", "/api/v1/nodes/{node}", None),
        ("PATCH", "/api/v1/nodes/{node}/status", {"status": {"phase": "x"}}),
        ("GET", "/api/v1/pods", None),
        ("GET", "/api/v1/namespaces/hdfs/secrets", None),
        ("GET", "/apis/coordination.k8s.io/v1/namespaces/imds-agent/leases", None),
    ],
)
def test_everything_else_is_out_of_its_reach(node, thief, verb, path, body):
    kind = "application/merge-patch+json" if body else None
    with pytest.raises(ClusterRefused):
        thief.ask(verb, path.format(node=node.name), query={}, body=body, kind=kind)


def test_another_node_of_the_same_name_is_left_alone(node, thief):
    with pytest.raises(Exception, match=r"422|409"):
        say_hdfs(thief, node.name, str(uuid.uuid4()), f"{DOMAIN}/hdfs", WORD)


# -- what is there to copy from ----------------------------------------------------------------------------------------

HDFS = ROOT / "manifests" / "hdfs-sync"
UNIT = HDFS / "host" / "imds-agent-hdfs-sync.service"


def sidecar() -> list[dict]:
    return list(yaml.safe_load_all((HDFS / "sidecar" / "namenode.yaml").read_text()))


def test_the_sidecar_is_one_that_the_api_server_takes_and_its_commands_are_ours(plane):
    plane.kubectl("create", "namespace", "hdfs", check=False)
    plane.kubectl("apply", "--dry-run=server", "-f", str(HDFS / "sidecar" / "namenode.yaml"))
    pod = sidecar()[1]["spec"]["template"]["spec"]
    [script], [_, sync] = pod["initContainers"], pod["containers"]
    assert _parser().parse_args(script["args"]).command == "hdfs-rack"
    found = _parser().parse_args(sync["args"])
    assert found.maintenance
    assert read_command(found.refresh)[0] == "hdfs"


def test_prometheus_finds_the_sidecar_and_calls_it_as_the_alerts_do():
    template = sidecar()[1]["spec"]["template"]
    monitor = yaml.safe_load((HDFS / "monitoring" / "pod-monitor.yaml").read_text())
    assert monitor["metadata"]["namespace"] == sidecar()[1]["metadata"]["namespace"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    [endpoint] = monitor["spec"]["podMetricsEndpoints"]
    [(port, sync)] = [(port, each) for each in template["spec"]["containers"] for port in each.get("ports", ())]
    assert port["name"] == endpoint["port"]
    assert _parser().parse_args(sync["args"]).probes.rpartition(":")[2] == str(port["containerPort"])
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": "hdfs-sync"}]
    assert alerts()["ImdsAgentHdfsDown"]["expr"] == 'up{job="hdfs-sync"} == 0'


def test_the_settings_beside_it_are_xml_with_hadoops_names():
    for text in sidecar()[0]["data"].values():
        names = [each.findtext("name") for each in ET.fromstring(text)]
        assert names
        assert all(name.startswith(("net.topology.", "dfs.")) for name in names)


def test_the_unit_is_one_that_systemd_takes_and_its_command_is_ours(tmp_path):
    text = UNIT.read_text().replace("\\\n", " ")
    line = next(line for line in text.splitlines() if line.startswith("ExecStart=")).partition("=")[2]
    assert _parser().parse_args(shlex.split(line)[1:]).source == "agents"
    copy = tmp_path / UNIT.name
    copy.write_text(text.replace("/opt/imds-agent/bin/imds-agent", sys.executable).replace("User=hdfs", "User=root"))
    analyzed("verify", copy)


def test_every_metric_of_hdfs_sync_is_in_the_docs_and_no_other():
    text = (ROOT / "docs" / "hdfs.md").read_text().partition("<!-- hdfs metrics -->")[2].partition("<!-- /hdfs")[0]
    ours = {family.name for family in SyncMetrics().registry.collect()}
    assert set(re.findall(r"`(imds_agent_hdfs_[a-z_]+)`", text)) == ours
