"""Alerts on what `hdfs-sync` measures beside a real NameNode; an alert's wait alone is cut to a second."""

import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.clients.namenode import NameNode
from tests.addresses import free_address
from tests.cli.running import command, environment
from tests.controlplane.cluster import Cluster
from tests.controlplane.nodes import NodeActor
from tests.hdfs.hadoop import Lab, NoHadoop, classpath, lab, refresh_command, write_site
from tests.hdfs.rigs import hosts_site, installed
from tests.monitoring.server import Server, hastened, job, serving
from tests.not_here import not_here
from tests.promises.agents import DOMAIN, node_of, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

ADDRESSES = [f"127.0.1.{number}" for number in (1, 2, 3)]


@dataclass(frozen=True, kw_only=True)
class Watched:
    """Three DataNodes in three zones; the third one's node is not selected."""

    folder: Path
    hadoop: Lab
    namenode: NameNode
    server: Server
    third: NodeActor
    label: str

    def firing(self, name: str) -> bool:
        return bool(self.server.firing(name))

    def wait_firing(self, name: str) -> None:
        self.wait(lambda: self.firing(name), name)

    def wait_quiet(self, name: str) -> None:
        self.wait(lambda: not self.firing(name), f"an end of {name}")

    def wait(self, found: Callable[[], bool], what: str) -> None:
        wait_until(lambda: found() or self._nudge(), what, self.log)

    def _nudge(self) -> None:
        """Change a node, or hdfs-sync looks at the NameNode only once a minute."""
        said = {"metadata": {"annotations": {f"{DOMAIN}/hdfs": str(time.time_ns())}}}
        self.third.cluster.admin.patch(self.third.path, said)

    def domains(self) -> set[str | None]:
        return {each.upgrade_domain for each in self.namenode.view().datanodes if each.live}

    def log(self) -> str:
        return (self.folder / "sync.log").read_text()


@pytest.fixture(scope="module")
def watched(plane, prometheus, tmp_path_factory) -> Iterator[Watched]:
    try:
        classpath()
    except NoHadoop as missing:
        not_here(missing)
    folder, at, label = tmp_path_factory.mktemp("hdfs"), free_address(), f"h{time.time_ns()}"
    site = hosts_site(folder / "hosts.json")
    site = {key: value for key, value in site.items() if key != "dfs.hosts"}  # which stands in no file that it reads
    with ExitStack() as stack:
        nodes = [stack.enter_context(node(plane, number, label)) for number in (1, 2, 3)]
        hadoop = stack.enter_context(lab(folder, site))
        rows = dict.fromkeys(ADDRESSES, "/westeurope-1")
        _, rpc, http = hadoop.ask("namenode", folder, installed(folder, rows), "false").split()
        namenode = NameNode(f"http://127.0.0.1:{http}", timeout=60)
        for address in ADDRESSES:
            hadoop.ask("datanode", address)
        wait_until(lambda: sum(each.live for each in namenode.view().datanodes) == 3, "three DataNodes")
        flags = [f"--dfs-hosts={folder / 'hosts.json'}", f"--namenode={namenode.url}", f"--selector=hdfs={label}"]
        flags += [f"--refresh={shlex.join(refresh_command(folder, rpc))}", f"--probes={at}"]
        log = stack.enter_context((folder / "sync.log").open("w"))
        process = subprocess.Popen(
            command("hdfs-sync", f"--kubeconfig={plane.admin_kubeconfig}", f"--table={folder / 'racks'}", *flags),
            cwd="/", env=environment(), stderr=log,
        )  # fmt: skip
        stack.callback(process.wait)
        stack.callback(process.terminate)
        server = stack.enter_context(
            serving(prometheus, folder / "prometheus", job("hdfs-sync", at), rules=hastened(folder))
        )
        yield Watched(folder=folder, hadoop=hadoop, namenode=namenode, server=server, third=nodes[2], label=label)


def node(plane: Cluster, number: int, label: str) -> AbstractContextManager[NodeActor]:
    """Register a node as an agent would have labelled it; the third one lacks what is selected."""
    topology = {f"topology.{DOMAIN}/region": "westeurope", f"topology.{DOMAIN}/zone": f"westeurope-{number}"}
    selected = {} if number == 3 else {"hdfs": label}
    return node_of(plane, labels={**topology, **selected}, address=ADDRESSES[number - 1])


def test_a_live_datanode_that_nobody_knows_is_told_until_its_node_is_selected(plane, watched):
    watched.wait_firing("ImdsAgentHdfsDataNodesUnknown")
    plane.kubectl("label", "node", watched.third.name, f"hdfs={watched.label}")
    watched.wait_quiet("ImdsAgentHdfsDataNodesUnknown")


def test_a_namenode_that_does_not_read_the_file_is_told_until_it_does(watched):
    watched.wait_firing("ImdsAgentHdfsRefreshWithoutEffect")
    write_site(watched.folder, hosts_site(watched.folder / "hosts.json"))
    watched.wait(lambda: None not in watched.domains(), "upgrade domains at the NameNode, by the next refresh")
    watched.wait_quiet("ImdsAgentHdfsRefreshWithoutEffect")


def test_a_namenode_that_is_gone_is_told(watched):
    watched.wait_quiet("ImdsAgentHdfsNameNodeSilent")
    watched.hadoop.process.kill()
    watched.wait_firing("ImdsAgentHdfsNameNodeSilent")
