"""The table follows the nodes of a real cluster, and nothing that fails takes a row away."""

import subprocess
import threading
import time
from contextlib import closing

import pytest

from agent.clients.cluster import Access, Cluster
from agent.clients.cluster_nodes import list_nodes, watch_nodes
from agent.core.hdfs_nodes import HdfsHost, NodePlace
from agent.core.rack_table import read_table
from agent.core.racks import RackedHost, read_form
from agent.hdfs.metrics import SyncMetrics
from agent.hdfs.sources import Fixed, Nodes
from agent.hdfs.sync import Sync
from agent.hdfs.table import TableWriter
from agent.told import Told
from tests.cli.running import ROOT, command, environment
from tests.controlplane.kubeconfig import write_kubeconfig
from tests.controlplane.session import MERGE
from tests.daemon.partners import Log
from tests.promises.agents import DOMAIN, node_of, tended, wait_until

AUTO = read_form("auto")
ZONE = NodePlace(location="westeurope", zone="1")


def host(*names: str, placement=ZONE) -> RackedHost:
    return RackedHost(names=names, placement=placement)


def rows(path) -> dict[str, str]:
    found = read_table(path.read_text(), 1) if path.exists() else None
    return found[0] if found else {}


def test_a_table_is_written_when_it_changes_and_the_one_before_is_kept(tmp_path):
    log, path = Log(), tmp_path / "racks"
    writer = TableWriter(path, AUTO, ["10.0.0.0/8"], None, log.logger)
    assert writer.write([host("10.0.0.4")])
    assert not writer.write([host("10.0.0.4")])
    assert writer.write([host("10.0.0.4"), host("10.0.0.5")])
    assert rows(path) == {"10.0.0.4": "/westeurope-1", "10.0.0.5": "/westeurope-1"}
    assert rows(tmp_path / "racks.prev") == {"10.0.0.4": "/westeurope-1"}
    assert path.stat().st_mode & 0o777 == 0o644
    assert not writer.write([]), "no node known is a fault somewhere else"
    assert len(rows(path)) == 2
    assert log.names() == ["hdfs.table_written"] * 2 + ["hdfs.racks_odd"]


def test_until_everybody_was_heard_rows_of_the_table_stay_and_what_is_told_wins(tmp_path):
    path, moved = tmp_path / "racks", NodePlace(location="westeurope", zone="2")
    TableWriter(path, AUTO, (), None, Log().logger).write([host("10.0.0.4"), host("10.0.0.5")])
    again = TableWriter(path, AUTO, (), None, Log().logger)
    assert not again.write([], whole=False)
    assert again.write([host("10.0.0.4", placement=moved)], whole=False)
    assert rows(path) == {"10.0.0.4": "/westeurope-2", "10.0.0.5": "/westeurope-1"}
    assert again.write([host("10.0.0.4", placement=moved)], whole=True)
    assert rows(path) == {"10.0.0.4": "/westeurope-2"}
    (tmp_path / "racks").write_text("torn")
    assert again.write([host("10.0.0.4")], whole=False)
    assert rows(path) == {"10.0.0.4": "/westeurope-1"}


def test_a_sync_that_knows_nobody_is_not_ready_and_says_why(tmp_path):
    log = Log()
    sync = Sync(Fixed([]), TableWriter(tmp_path / "racks", AUTO, (), None, log.logger), None, SyncMetrics(), log.logger)
    with pytest.raises(Told, match="not written: no host with a place is known"):
        sync.once()
    sync._turn()
    assert not sync.written
    assert log.names() == ["hdfs.racks_odd"]


def test_overrides_win_and_what_is_odd_is_said_once(tmp_path):
    log, path, own = Log(), tmp_path / "racks", tmp_path / "own"
    own.write_text("10.0.0.4 /mine\n")
    writer = TableWriter(path, AUTO, (), own, log.logger)
    odd = [host("10.0.0.4"), host("10.0.0.5", placement=NodePlace(location="x"))]
    writer.write(odd)
    writer.write(odd)
    assert rows(path) == {"10.0.0.4": "/mine"}
    assert log.names() == ["hdfs.racks_odd", "hdfs.table_written"]
    own.unlink()
    with pytest.raises(Told, match="cannot be read"):
        writer.write(odd)


class Odd:
    """A source, or a table, that fails as nobody thought of."""

    def hosts(self):
        raise RecursionError

    def whole(self):
        return True

    def age(self):
        return None

    def silent(self):
        return 0


def test_a_fault_of_ours_costs_a_turn_and_not_the_process(tmp_path):
    log = Log()
    sync = Sync(Odd(), TableWriter(tmp_path / "racks", AUTO, (), None, log.logger), None, SyncMetrics(), log.logger)
    before = sync.turned
    assert 0 < sync._turn() < 60
    assert log.names() == ["agent.faulted"]
    assert sync.turned > before


def test_a_node_whose_mark_is_nested_without_end_costs_no_other_node_its_place(plane):
    """Its agent's token, stolen, can write that."""
    deep = '{"events":{"E1":{"x":' + "[" * 990 + "]" * 990 + "}}}"
    zone = {f"topology.{DOMAIN}/region": "westeurope", f"topology.{DOMAIN}/zone": "westeurope-1"}
    with node_of(plane, labels=zone) as liar, node_of(plane, labels=zone) as other:
        with plane.new_session(token=plane.agent_token(liar.name)) as stolen:
            stolen.patch(liar.path, {"metadata": {"annotations": {f"{DOMAIN}/events": deep}}}, MERGE)
        with closing(Cluster(Access(kubeconfig=plane.admin_kubeconfig))) as cluster:
            source = Nodes(cluster, DOMAIN, Log().logger)
            source.look()
        assert {liar.name, other.name} <= {each.name for each in source.hosts()}


def test_nodes_that_part_1_labelled_become_racks_and_follow_the_cluster(plane, tmp_path):
    """The whole chain: IMDS, the agent, the node's labels, the table; then a watch tells of a node that comes and goes."""
    log, path = Log(), tmp_path / "racks"
    cluster = Cluster(Access(kubeconfig=plane.admin_kubeconfig))
    source = Nodes(cluster, DOMAIN, log.logger)
    sync = Sync(source, TableWriter(path, AUTO, (), None, log.logger), None, SyncMetrics(), log.logger)
    with tended(plane) as scene:
        scene.wait_labelled()
        source.look()
        sync.once()
        assert rows(path)[scene.node.name] == "/westeurope-1"
        thread = threading.Thread(target=sync.run, daemon=True)
        thread.start()
        with node_of(plane, labels={f"topology.{DOMAIN}/region": "westeurope"}) as other:
            plane.kubectl("label", "node", other.name, f"topology.{DOMAIN}/zone=westeurope-2")
            wait_until(lambda: rows(path).get(other.name) == "/westeurope-2", "a new node")
            plane.kubectl("label", "node", other.name, f"topology.{DOMAIN}/zone-", f"topology.{DOMAIN}/region-")
            time.sleep(1)
            assert rows(path).get(other.name) == "/westeurope-2"  # a VM does not move
        wait_until(lambda: other.name not in rows(path), "a node that went")
        assert rows(path)[scene.node.name] == "/westeurope-1"
    cluster.close()


class Rung(Fixed):
    """Hosts that are known, and a bell for the test to ring."""

    def start(self, bell) -> None:
        self.bell = bell


def test_files_that_cannot_be_written_grow_old_until_they_are(tmp_path):
    log, metrics, path = Log(), SyncMetrics(), tmp_path / "folder" / "racks"
    source = Rung([HdfsHost(name="vm-1", host=host("10.0.0.4"))])
    path.parent.mkdir()
    table = TableWriter(path, AUTO, (), None, log.logger)
    path.parent.rmdir()
    sync = Sync(source, table, None, metrics, log.logger)
    threading.Thread(target=sync.run, daemon=True).start()

    def age() -> float:
        source.bell()
        return metrics.registry.get_sample_value("imds_agent_hdfs_written_age_seconds")

    wait_until(lambda: hasattr(source, "bell"), "it began")
    old = wait_until(lambda: "hdfs.write_failed" in log.names() and (found := age()) > 2 and found, "two seconds")
    path.parent.mkdir()
    wait_until(lambda: age() < old, "written")
    assert rows(path) == {"10.0.0.4": "/westeurope-1"}


def test_a_watch_from_a_version_that_is_gone_is_an_error_and_a_list_has_pages(plane):
    cluster = Cluster(Access(kubeconfig=plane.admin_kubeconfig))
    listed = list_nodes(cluster)
    assert listed.resource_version.isdigit()
    with pytest.raises(Exception, match=r"WATCH|stream|resource"):
        list(watch_nodes(cluster, "nonsense"))
    cluster.close()


def test_the_command_follows_a_cluster_with_the_rights_that_we_ship_until_it_is_told_to_stop(plane, node, tmp_path):
    """Its service account may list and watch nodes and nothing else."""
    plane.kubectl("create", "namespace", "hdfs", check=False)
    plane.kubectl("apply", "-f", str(ROOT / "manifests" / "hdfs-sync" / "base" / "rbac.yaml"))
    token = str(plane.kubectl("create", "token", "hdfs-sync", "-n", "hdfs")).strip()
    held = tmp_path / "token"
    held.write_text(token)
    config = write_kubeconfig(tmp_path / "config", plane.url, plane.ca_file, {"tokenFile": str(held)})
    plane.kubectl(
        "label", "node", node.name, f"topology.{DOMAIN}/region=westeurope", f"topology.{DOMAIN}/zone=westeurope-3"
    )
    table = tmp_path / "racks"
    process = subprocess.Popen(
        command("hdfs-sync", f"--table={table}", f"--kubeconfig={config}", "--log-format=json"),
        cwd="/", env=environment(), stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        wait_until(lambda: rows(table).get(node.name) == "/westeurope-3", "the table")
        plane.kubectl("label", "node", node.name, f"topology.{DOMAIN}/zone=westeurope-1", "--overwrite")
        wait_until(lambda: rows(table).get(node.name) == "/westeurope-1", "the change")
    finally:
        process.terminate()
        said = process.communicate(timeout=30)[1]
    assert process.returncode == 0, said
    assert "Traceback" not in said
