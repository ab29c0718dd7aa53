"""`dfs.hosts` and a real NameNode: nobody is thrown out, maintenance comes and goes, and a writer may die at any moment."""

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from agent.clients.namenode import NameNode
from agent.core.datanodes import DECOMMISSIONED, DECOMMISSIONING, IN_MAINTENANCE, IN_SERVICE
from agent.core.dfs_hosts import HostEntry, hosts_text, read_hosts
from agent.core.hdfs_hosts import HostsRules
from agent.core.hdfs_nodes import HdfsHost, NodePlace
from agent.core.hdfs_said import read_said
from agent.core.mark import MarkedEvent
from agent.core.racks import RackedHost
from agent.hdfs.hosts import HostsFile, HostsWriter
from agent.hdfs.metrics import SyncMetrics
from agent.hdfs.refresh import RefreshFailed, read_command, refresh
from agent.hdfs.sources import Fixed
from agent.hdfs.table import TableWriter
from agent.told import Told
from tests.cli.running import ROOT
from tests.daemon.partners import Log
from tests.hdfs.hadoop import lab, refresh_command
from tests.hdfs.rigs import AUTO, hosts_site, installed
from tests.promises.agents import wait_until

RULES = HostsRules(maintain=True, share=100)
REBOOT = MarkedEvent(id="E1", type="Reboot", do="cordon")


def host(number: int, *events: MarkedEvent, vm: str | None = None) -> HdfsHost:
    place = NodePlace(location="westeurope", zone=str(number), fault_domain=0, update_domain=0)
    racked = RackedHost(names=(f"127.0.1.{number}",), placement=place)
    return HdfsHost(name=f"vm-{number}", host=racked, vm_id=vm or f"id-{number}", events=events)


HOSTS = tuple(host(number) for number in (1, 2, 3))


class Rig:
    """A NameNode, its DataNodes, and our writer beside it."""

    def __init__(self, folder, hadoop, *more):
        self.folder, self.hadoop, self.log, self.said = folder, hadoop, Log(), {}
        rows = {f"127.0.1.{number}": f"/westeurope-{number}" for number in (1, 2, 3)}
        words = hadoop.ask(
            "namenode", folder, installed(folder, rows), "false", "dfs.namenode.decommission.interval=1", *more
        ).split()
        self.command = refresh_command(folder, words[1])
        self.namenode = NameNode(f"http://127.0.0.1:{words[2]}")
        for address in rows:
            hadoop.ask("datanode", address)
        wait_until(lambda: len(self.states()) == 3, "three DataNodes")

    @property
    def path(self):
        return self.folder / "hosts.json"

    def writer(self, rules=RULES, **more) -> HostsWriter:
        given = {
            "namenode": self.namenode,
            "refresh": partial(refresh, self.command),
            "say": lambda host, text: self.said.update({host.name: text}),
            "overrides": None,
            "log": self.log.logger,
        }
        return HostsWriter(HostsFile(self.path), rules, **{**given, **more})

    def states(self) -> dict[str, str]:
        return {each.address[-1]: each.state for each in self.namenode.view().datanodes if each.live}

    def domains(self) -> set[str | None]:
        return {each.upgrade_domain for each in self.namenode.view().datanodes if each.live}


def sample(writer: HostsWriter, name: str) -> float | None:
    """Return what is measured of a writer."""
    metrics = SyncMetrics()
    metrics.turned(Fixed([]), TableWriter(Path("/nowhere/racks"), AUTO, (), None, Log().logger), writer)
    return metrics.registry.get_sample_value(name)


@pytest.fixture
def rig(tmp_path, hadoop_here):
    with lab(tmp_path, hosts_site(tmp_path / "hosts.json")) as hadoop:
        yield Rig(tmp_path, hadoop)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_maintenance_comes_before_a_reboot_and_goes_with_it_or_with_the_vm(rig):
    writer = rig.writer()
    writer.turn(HOSTS)
    assert rig.domains() == {"westeurope-1", "westeurope-2", "westeurope-3"}
    marked = (host(1, REBOOT), *HOSTS[1:])
    assert writer.turn(marked) == 5.0, "it looks again soon"
    wait_until(lambda: writer.turn(marked) and rig.states()["1"] == IN_MAINTENANCE, "in maintenance", str)
    writer.turn(marked)
    assert read_said(rig.said["vm-1"]).state == "in-maintenance"
    writer.turn((host(1, REBOOT, vm="another"), *HOSTS[1:]))
    assert rig.states()["1"] == IN_SERVICE, "a new VM under the old name is normal at once"
    assert rig.domains() == {"westeurope-1", "westeurope-2", "westeurope-3"}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_vm_that_goes_for_good_is_decommissioned_and_one_that_nobody_speaks_for_comes_back_by_itself(rig):
    began = time.monotonic()
    rig.writer().turn(HOSTS)
    refresh = time.monotonic() - began  # six seconds on a busy machine
    writer = rig.writer(replace(RULES, lasts=20.0 + 3 * refresh))
    preempt = MarkedEvent(id="E2", type="Preempt", do="cordon")
    marked = (host(1, REBOOT), host(2, preempt), HOSTS[2])
    writer.turn(marked)
    wait_until(lambda: rig.states()["1"] == IN_MAINTENANCE, "in maintenance")
    assert rig.states()["2"] in (DECOMMISSIONED, DECOMMISSIONING)
    # and now the writer is dead
    wait_until(lambda: rig.states()["1"] == IN_SERVICE, "back by itself")
    assert rig.domains() == {"westeurope-1", "westeurope-2", "westeurope-3"}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_live_datanode_that_nobody_knows_is_not_thrown_out(rig):
    writer = rig.writer()
    writer.turn(HOSTS[:2])
    assert sample(writer, "imds_agent_hdfs_datanodes_unknown") == 1
    writer.turn(HOSTS)
    assert sample(writer, "imds_agent_hdfs_datanodes_unknown") == 0
    assert sample(writer, "imds_agent_hdfs_hosts_unheeded") == 0
    assert len(read_hosts(rig.path.read_text())) == 3
    time.sleep(3)  # a heartbeat is a second; who is thrown out hears of it with the next one
    assert len(rig.states()) == 3
    assert "hdfs.hosts_odd" in rig.log.names()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_namenode_that_reads_another_file_is_told(tmp_path, hadoop_here):
    """dfs.hosts stands in no hdfs-site.xml on its class path: `-refreshNodes` reads an empty list and says it was successful."""
    with lab(tmp_path, {}) as hadoop:
        rig = Rig(tmp_path, hadoop)
        instant = iter(range(0, 10_000, 100))
        writer = rig.writer(instant=lambda: float(next(instant)))
        for _ in range(3):
            writer.turn(HOSTS)
        assert "hdfs.refresh_without_effect" in rig.log.names()
        assert rig.log.names().count("hdfs.refresh_without_effect") == 1
        assert sample(writer, "imds_agent_hdfs_hosts_unheeded") == 3


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_writer_that_is_killed_at_any_moment_leaves_a_whole_file_and_the_next_one_goes_on(rig):
    """Fifteen lives, each with other marks; meanwhile no DataNode is lost, and none without its upgrade domain."""
    rig.writer().turn(HOSTS)
    lost, stop = [], threading.Event()

    def watch() -> None:
        while not stop.is_set():
            view = [each for each in rig.namenode.view().datanodes if each.live]
            if len(view) != 3 or any(each.upgrade_domain is None for each in view):
                lost.append(view)
            read_hosts(rig.path.read_text())
            stop.wait(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    rolling = random.Random(7)
    program = [
        sys.executable,
        "-m",
        "tests.hdfs.writing",
        rig.path,
        rig.namenode.url,
        shlex.join(map(str, rig.command)),
    ]
    for _ in range(15):
        number = rolling.choice("123")
        process = subprocess.Popen([*map(str, program), number], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
                                   stdout=subprocess.PIPE, start_new_session=True)  # fmt: skip
        process.stdout.readline()  # it is about to write
        time.sleep(rolling.random() * 1.6)  # a refresh takes a second: before, in the midst, after
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    stop.set()
    watcher.join()
    assert lost == []
    writer = rig.writer()
    writer.turn(HOSTS)
    wait_until(lambda: set(rig.states().values()) == {IN_SERVICE}, "all in service", str)
    assert not list(rig.folder.glob(".hosts.json.*")), "halves of those who died"


# -- without Hadoop ----------------------------------------------------------------------------------------------------


def test_a_refresh_that_cannot_be_done_says_why():
    assert read_command("hdfs 'dfsadmin' -refreshNodes") == ("hdfs", "dfsadmin", "-refreshNodes")
    with pytest.raises(ValueError, match="found nothing"):
        read_command(" ")
    with pytest.raises(RefreshFailed, match="No such file"):
        refresh(["/nowhere/hdfs"])
    with pytest.raises(RefreshFailed, match="exit code 3: away"):
        refresh(["sh", "-c", "echo away >&2; exit 3"])
    with pytest.raises(RefreshFailed, match="not done after 0 s"):
        refresh(["sleep", "60"], timeout=0.2)


def test_nothing_is_begun_while_the_namenode_does_not_answer_and_what_stands_is_kept(tmp_path):
    log, path = Log(), tmp_path / "hosts.json"
    asked = []
    writer = HostsWriter(
        HostsFile(path), RULES, namenode=NameNode("http://127.0.0.1:9", timeout=1.0), refresh=lambda: asked.append(1),
        say=None, overrides=None, log=log.logger,
    )  # fmt: skip
    writer.turn(HOSTS)
    assert not path.exists()
    assert log.names() == ["hdfs.namenode_silent", "hdfs.hosts_odd"]
    path.write_text(hosts_text([HostEntry(address="127.0.1.9")]))
    writer.turn(HOSTS)
    assert [each.address for each in read_hosts(path.read_text())] == [
        "127.0.1.1",
        "127.0.1.2",
        "127.0.1.3",
        "127.0.1.9",
    ]
    assert asked == [1]


def test_a_refresh_that_fails_is_measured_until_one_is_done(tmp_path):
    path, now, troubles = tmp_path / "hosts.json", [0.0], [RefreshFailed("no way")]
    path.write_text(hosts_text([HostEntry(address="127.0.1.9")]))

    def refreshed() -> None:
        if troubles:
            raise troubles.pop()

    writer = HostsWriter(
        HostsFile(path), RULES, namenode=None, refresh=refreshed, say=None, overrides=None, log=Log().logger,
        instant=lambda: now[0],
    )  # fmt: skip
    writer.turn(HOSTS)
    assert sample(writer, "imds_agent_hdfs_refresh_failing") == 1
    now[0] += 60
    writer.turn(HOSTS)
    assert sample(writer, "imds_agent_hdfs_refresh_failing") == 0


def test_a_broken_file_counts_as_empty_and_is_told_and_overrides_that_are_broken_change_nothing(tmp_path):
    log, path, own = Log(), tmp_path / "hosts.json", tmp_path / "own.json"
    path.write_text("[{")
    writer = HostsWriter(
        HostsFile(path), RULES, namenode=None, refresh=None, say=None, overrides=own, log=log.logger
    )  # fmt: skip
    own.write_text('[{"hostName": "x"}]')
    with pytest.raises(Told, match="cannot be used"):
        writer.turn(HOSTS)
    assert path.read_text() == "[{"
    assert "hdfs.hosts_broken" in log.names()


def test_what_is_remembered_comes_back_and_what_cannot_be_read_is_forgotten(tmp_path):
    file = HostsFile(tmp_path / "hosts.json")
    assert file.begun() == {}
    file.remember({"127.0.1.1": {"e1": "id-1", "e2": None}})
    assert file.begun() == {"127.0.1.1": {"e1": "id-1", "e2": None}}
    (tmp_path / "hosts.json.events").write_text(json.dumps([1]))
    assert file.begun() == {}
