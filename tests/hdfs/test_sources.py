"""Without Kubernetes the agents themselves tell where their VMs stand; who falls silent keeps its place and its events."""

import subprocess
from contextlib import closing

import pytest
import requests

from agent.core.facts_document import HostFacts, facts_text
from agent.core.placement import Placement
from agent.daemon.facts_server import FactsServer
from agent.hdfs.sources import Agents
from agent.told import Told
from tests.addresses import free_address
from tests.cli.running import command, environment, imds_agent
from tests.daemon.partners import Log
from tests.hdfs.test_sync import rows
from tests.promises.agents import tended, wait_until


def test_agents_on_vms_fill_the_table_and_their_events_are_known(plane, tmp_path):
    address, log, urls = free_address(), Log(), tmp_path / "agents"
    with tended(plane, facts_listen=address) as scene:
        nobody = ["http://127.0.0.1:9"]
        source = Agents(lambda: [f"http://{address}", *nobody], log.logger, silent_after=0.5)
        scene.wait_labelled()
        wait_until(lambda: source.look() or source.hosts(), "a sure place")
        assert not source.whole(), "one of the two has not been heard"
        [found] = source.hosts()
        assert found.host.placement.zone == "1"
        assert found.events == ()
        assert log.names() == ["hdfs.source_failed"]  # the one that is not there, once
        wait_until(lambda: source.look() or source.silent() == 1, "it has been silent for long")
        assert source.age() < 60, "one that is away does not make the others old"
        nobody.clear()
        wait_until(lambda: source.look() or source.silent() == 0, "nobody asks it any more")
        event_id = scene.event("Reboot")
        wait_until(lambda: source.look() or [each.id for each in source.hosts()[0].events] == [event_id], "its event")

        urls.write_text(f"# VMs\nhttp://{address}  # web_0\n")
        table, probes = tmp_path / "racks", free_address()
        process = subprocess.Popen(
            command("hdfs-sync", "--from=agents", f"--agents={urls}", f"--table={table}", f"--probes={probes}"),
            cwd="/", env=environment(), stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            wait_until(lambda: rows(table).get(found.host.names[0]) == "/westeurope-1", "the table")
            wait_until(lambda: requests.get(f"http://{probes}/readyz", timeout=5).ok, "ready")
            measured = requests.get(f"http://{probes}/metrics", timeout=5).text
            scene.agent.kill()
            source.look()
            alone = Agents(lambda: [f"http://{address}"], log.logger)
            alone.look()
            assert (alone.hosts(), alone.whole()) == ((), False)
            once = ("hdfs-sync", "--once", "--from=agents", f"--agents={urls}", f"--table={table}")
            before = rows(table)
            assert "no answer" in imds_agent(*once).err
            assert rows(table) == before, "a table that is written anew keeps who is silent"
            assert "not written: no host with a place is known" in refused_last(*once, f"--table={tmp_path / 'none'}")
            assert [[each.id for each in host.events] for host in source.hosts()] == [[event_id]]
            assert source.age() > 0
        finally:
            process.terminate()
            said = process.communicate(timeout=30)[1]
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert rows(table)
    assert "imds_agent_hdfs_source_age_seconds " in measured
    assert f"imds_agent_hdfs_table_rows {float(len(rows(table)))}" in measured


def test_no_agent_speaks_for_the_vm_of_another():
    """Whoever has one VM could otherwise put every DataNode into maintenance, or into his own rack."""
    liar = told("vm-2", "127.0.21.1", "127.0.21.2", "10.0.0.5", "10.0.0.4")
    other = told("vm-2", "127.0.21.2", "10.0.0.5")
    with (
        closing(FactsServer("127.0.21.1:0", lambda: (200, liar))) as first,
        closing(FactsServer("127.0.21.2:0", lambda: (200, other))) as second,
    ):
        urls = [f"http://127.0.21.1:{first.port}", f"http://127.0.21.2:{second.port}"]
        source = Agents(lambda: urls, Log().logger)
        source.look()
    assert [host.host.names for host in source.hosts()] == [("127.0.21.1", "10.0.0.4"), ("127.0.21.2",)]


def told(name: str, *addresses: str) -> str:
    """What a VM's agent tells of it."""
    placement = Placement(location="westeurope", zone="1", fault_domain=0, update_domain=0)
    said = HostFacts(
        vm_id=name, name=name, computer_name=name, addresses=addresses, placement=placement, complete=True, events=(), age=0,
    )  # fmt: skip
    return facts_text(said)


def refused_last(*given: str) -> str:
    done = imds_agent(*given)
    assert done.code == 1, done
    return done.err.splitlines()[-1]


def test_a_list_that_cannot_be_read_changes_nothing(tmp_path):
    def nobody():
        raise Told("no list")

    source = Agents(nobody, Log().logger)
    with pytest.raises(Told):
        source.look()
    assert source.hosts() is None
    assert source.age() is None


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--from=agents"], "--from agents and --agents FILE: expected both"),
        (["--agents=x"], "--from agents and --agents FILE: expected both"),
        (["--from=agents", "--agents=/nowhere", "--once"], "/nowhere: cannot be read"),
        (["--maintenance"], "--maintenance needs --dfs-hosts FILE"),
        (["--dfs-hosts=x"], "--dfs-hosts needs --namenode URL"),
        (["--dfs-hosts=x", "--namenode=http://a", "--maintenance"], "--maintenance needs --refresh COMMAND"),
        (["--dfs-hosts=x", "--namenode=http://a", "--refresh='"], "--refresh: No closing quotation"),
        (["--share=0"], "--share: expected 1 to 100, found 0"),
        (["--maintenance-lasts=5"], "--maintenance-lasts: expected 60 to 86400, found 5.0"),
        (["--own=x"], "--own: expected a network"),
    ],
)
def test_flags_that_do_not_fit_together_are_told_in_one_line(tmp_path, flags, said):
    kubeconfig = ["--from=imds"] if not any(flag.startswith("--from") for flag in flags) else []
    done = subprocess.run(
        command("hdfs-sync", f"--table={tmp_path / 'racks'}", *kubeconfig, "--imds-url=http://127.0.0.1:9", *flags),
        cwd="/", env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode not in (0, None)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "racks").exists()
