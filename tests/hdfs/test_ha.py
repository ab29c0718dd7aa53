"""A pair of NameNodes, each with a writer beside it: one event, a failover in the midst of it, and only the active one speaks."""

from functools import partial

import pytest

from agent.clients.namenode import NameNode
from agent.core.datanodes import IN_MAINTENANCE, IN_SERVICE
from agent.core.hdfs_said import read_said
from agent.hdfs.hosts import HostsFile, HostsWriter
from agent.hdfs.refresh import refresh
from tests.addresses import free_port
from tests.daemon.partners import Log
from tests.hdfs.hadoop import lab, refresh_command
from tests.hdfs.rigs import hosts_site, installed
from tests.hdfs.test_hosts import HOSTS, REBOOT, RULES, host
from tests.promises.agents import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.usefixtures("hadoop_here")]
MARKED = (host(1, REBOOT), *HOSTS[1:])


def free_ports(count: int) -> list[int]:
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port())
    return list(found)


def pair_site(folder, own: str, ports: list[int]) -> dict[str, object]:
    """Return hdfs-site.xml of one of the pair: edits on a shared disk, no ZooKeeper, failover by hand."""
    site = {
        "fs.defaultFS": "hdfs://pair",
        "dfs.nameservices": "pair",
        "dfs.ha.namenodes.pair": "nn1,nn2",
        "dfs.ha.namenode.id": own,
        "dfs.namenode.shared.edits.dir": f"file://{folder}/shared",
        "dfs.namenode.name.dir": f"file://{folder}/{own}/name",
        "dfs.client.failover.proxy.provider.pair": "org.apache.hadoop.hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider",
        "dfs.ha.fencing.methods": "shell(/bin/true)",
        "dfs.ha.tail-edits.period": "1",
        "dfs.namenode.datanode.registration.ip-hostname-check": "false",
        "dfs.namenode.decommission.interval": "1",
        "dfs.heartbeat.interval": "1",
        "dfs.namenode.safemode.extension": "0",
        **hosts_site(folder / own / "hosts.json"),
    }
    for number, name in enumerate(("nn1", "nn2")):
        site[f"dfs.namenode.rpc-address.pair.{name}"] = f"127.0.0.1:{ports[2 * number]}"
        site[f"dfs.namenode.http-address.pair.{name}"] = f"127.0.0.1:{ports[2 * number + 1]}"
    return site


class Side:
    """One NameNode, what a writer says for it, and the writer."""

    def __init__(self, folder, ports, rows):
        self.folder, self.log, self.said = folder, Log(), {}
        self.script = installed(folder, rows)
        self.namenode = NameNode(f"http://127.0.0.1:{ports[1]}")
        self.writer = HostsWriter(
            HostsFile(folder / "hosts.json"),
            RULES,
            namenode=self.namenode,
            refresh=partial(refresh, refresh_command(folder, ports[0])),  # -fs: this one alone
            say=lambda host, text: self.said.update({host.name: text}),
            overrides=None,
            log=self.log.logger,
        )

    def state(self) -> str | None:
        return next((each.state for each in self.namenode.view().datanodes if each.address == "127.0.1.1"), None)


def test_a_pair_with_two_writers_goes_through_an_event_and_a_failover(tmp_path):
    rows = {f"127.0.1.{number}": f"/westeurope-{number}" for number in (1, 2, 3)}
    ports = free_ports(4)
    folders = {name: tmp_path / name for name in ("nn1", "nn2")}
    for folder in (*folders.values(), tmp_path / "shared"):
        folder.mkdir()
    with (
        lab(folders["nn1"], pair_site(tmp_path, "nn1", ports)) as one,
        lab(folders["nn2"], pair_site(tmp_path, "nn2", ports)) as two,
    ):
        first, second = Side(folders["nn1"], ports[:2], rows), Side(folders["nn2"], ports[2:], rows)
        one.ask("ha", folders["nn1"], first.script, "false")
        two.ask("ha", folders["nn2"], second.script, "true")
        assert one.ask("haadmin", "-transitionToActive", "nn1") == "0"
        for address in rows:
            one.ask("datanode", address)
        for side in (first, second):
            wait_until(
                lambda side=side: sum(each.live for each in side.namenode.view().datanodes) == 3, "three DataNodes"
            )
            side.writer.turn(HOSTS)

        wait_until(lambda: first.writer.turn(MARKED) and first.state() == IN_MAINTENANCE, "in maintenance", str)
        first.writer.turn(MARKED)
        second.writer.turn(MARKED)
        assert read_said(first.said["vm-1"]).state == "in-maintenance"
        assert second.said == {}, "a standby decides nothing"

        assert one.ask("haadmin", "-transitionToStandby", "nn1") == "0"
        assert two.ask("haadmin", "-transitionToActive", "nn2") == "0"
        wait_until(
            lambda: second.writer.turn(MARKED) and second.state() == IN_MAINTENANCE, "in maintenance here too", str
        )
        second.writer.turn(MARKED)
        assert read_said(second.said["vm-1"]).state == "in-maintenance"
        first.said.clear()
        first.writer.turn(MARKED)
        assert first.said == {}

        for side in (first, second):
            side.writer.turn(HOSTS)
            wait_until(lambda side=side: side.state() == IN_SERVICE, "in service again")
            assert {each.upgrade_domain for each in side.namenode.view().datanodes} == {
                f"westeurope-{n}" for n in (1, 2, 3)
            }
