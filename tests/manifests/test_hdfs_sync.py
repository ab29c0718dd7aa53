"""What a stolen token of `hdfs-sync` can do: one annotation of nodes, and nothing else. And the recipes beside it."""

import re
import shlex
import sys
import uuid
from xml.etree import ElementTree as ET

import pytest
import yaml

from agent.cli import _parser
from agent.clients.cluster import Access, Cluster
from agent.clients.cluster_errors import ClusterRefused
from agent.clients.cluster_nodes import list_nodes, say_hdfs
from agent.hdfs.metrics import SyncMetrics
from agent.hdfs.refresh import read_command
from tests.cli.running import ROOT
from tests.cloudinit.units import analyzed
from tests.controlplane.kubeconfig import write_kubeconfig
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


def merge(cluster, node, body):
    return cluster.merge(node.name, body, manager="thief")


ATTEMPTS = {
    "another annotation": {"metadata": {"annotations": {f"{DOMAIN}/events": "{}"}}},
    "an annotation of somebody else": {"metadata": {"annotations": {"example.com/a": "b"}}},
    "take an annotation away": {"metadata": {"annotations": {"stands": None}}},
    "a label": {"metadata": {"labels": {f"topology.{DOMAIN}/zone": "x"}}},
    "a cordon": {"spec": {"unschedulable": True}},
    "a taint": {"spec": {"taints": [{"key": "a", "effect": "NoExecute"}]}},
    "a finalizer": {"metadata": {"finalizers": ["example.com/stay"]}},
}


def test_it_says_how_far_a_datanode_has_come_and_changes_nothing_else_of_a_node(plane, node, thief):
    plane.kubectl("annotate", "node", node.name, "stands=yes")
    assert node.name in {each["metadata"]["name"] for each in list_nodes(thief).nodes}

    def refused() -> bool:  # a policy is in force a moment after it was applied
        try:
            thief.merge(node.name, ATTEMPTS["a label"], manager="thief", dry_run=True)
        except ClusterRefused:
            return True
        return False

    wait_until(refused, "the policy in force")
    for what, body in ATTEMPTS.items():
        with pytest.raises(ClusterRefused):
            pytest.fail(f"{what}: {merge(thief, node, body)['metadata']}")
    uid = node.get()["metadata"]["uid"]
    say_hdfs(thief, node.name, uid, f"{DOMAIN}/hdfs", WORD)
    assert annotations(node.get())[f"{DOMAIN}/hdfs"] == WORD
    say_hdfs(thief, node.name, uid, f"{DOMAIN}/hdfs", None)
    assert f"{DOMAIN}/hdfs" not in annotations(node.get())


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
    copy.write_text(text.replace("/usr/local/bin/imds-agent", sys.executable).replace("User=hdfs", "User=root"))
    analyzed("verify", copy)


def test_every_metric_of_hdfs_sync_is_in_the_docs_and_no_other():
    text = (ROOT / "docs" / "hdfs.md").read_text().partition("<!-- hdfs metrics -->")[2].partition("<!-- /hdfs")[0]
    ours = {family.name for family in SyncMetrics().registry.collect()}
    assert set(re.findall(r"`(imds_agent_hdfs_[a-z_]+)`", text)) == ours
