"""What a real NameNode says of its DataNodes, and what others say in its place."""

import time
from contextlib import suppress

import pytest

from agent.clients import namenode
from agent.clients.namenode import NameNode, NameNodeError
from agent.core.dfs_hosts import HostEntry, hosts_text
from agent.emulator import Emulator
from tests.clients.serving import serving
from tests.hdfs.hadoop import lab
from tests.hdfs.rigs import hosts_site, installed
from tests.promises.agents import wait_until


@pytest.mark.slow
@pytest.mark.usefixtures("hadoop_here")
def test_a_namenode_tells_racks_states_and_upgrade_domains_of_those_who_came_and_those_who_are_only_listed(tmp_path):
    entries = [HostEntry(address=f"127.0.1.{n}", upgrade_domain=f"ud{n}") for n in (1, 2)]
    (tmp_path / "hosts.json").write_text(hosts_text(entries))
    with lab(tmp_path, hosts_site(tmp_path / "hosts.json")) as hadoop:
        script = installed(tmp_path, {"127.0.1.1": "/westeurope-1"})
        port = hadoop.ask("namenode", tmp_path, script, "false").split()[2]
        hadoop.ask("datanode", "127.0.1.1")
        beside = NameNode(f"http://127.0.0.1:{port}/")
        wait_until(lambda: any(each.live for each in beside.view().datanodes), "a DataNode")
        view = beside.view()
    assert view.active
    assert not view.safe_mode
    assert 0 < time.time() - view.started < 300
    first, second = view.datanodes
    assert (first.address, first.rack, first.state, first.upgrade_domain, first.live) == (
        "127.0.1.1", "/westeurope-1", "In Service", "ud1", True,
    )  # fmt: skip
    assert (second.address, second.live, second.seen) == ("127.0.1.2", False, False)


def test_who_is_no_namenode_is_said_with_the_place():
    with Emulator() as imds, pytest.raises(NameNodeError, match=r"/jmx: answered 4\d\d"):
        NameNode(imds.url).view()
    with pytest.raises(NameNodeError, match="no answer"):
        NameNode(imds.url).view()


def test_an_answer_that_comes_in_drops_is_given_up(monkeypatch):
    monkeypatch.setattr(namenode, "WHOLE", 0.5)

    def drip(asked) -> None:
        asked.send_response(200)
        asked.end_headers()
        with suppress(OSError):
            while True:
                asked.wfile.write(b" ")
                time.sleep(0.05)

    with serving() as server:
        server.files[f"/jmx?qry={namenode.STATUS}"] = drip
        with pytest.raises(NameNodeError, match="not whole after"):
            NameNode(server.url("")).view()
