"""Real Hadoop asks the script, and believes it: its mapping alone, and a NameNode with six DataNodes."""

import pytest

from agent.core.racks import read_form
from tests.hdfs.hadoop import lab
from tests.hdfs.rigs import installed, put
from tests.promises.agents import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.usefixtures("hadoop_here")]
TWO = read_form("zone/fd")


@pytest.mark.parametrize("count", [1, 7, 100, 250])
def test_hadoops_mapping_gets_a_path_for_each_of_any_number(tmp_path, count):
    names = [f"10.0.{n // 250}.{n % 250}" for n in range(count)]
    rows = {name: f"/westeurope-{n % 3 + 1}" for n, name in enumerate(names)}
    path = installed(tmp_path, rows)
    with lab(tmp_path) as hadoop:
        assert hadoop.ask("resolve", path, 100, *names).split() == [rows[name] for name in names]


def test_ipv6_names_and_the_unknown_have_a_path_too(tmp_path):
    rows = {"0:0:0:0:0:0:0:1": "/a", "fd00:0:0:0:0:0:0:4": "/b", "no-such-host": "/c", "10.244.0.0/16": "/d"}
    path = installed(tmp_path, rows)
    names = ["::1", "fd00::4", "no-such-host", "10.244.7.7", "192.0.2.1"]
    with lab(tmp_path) as hadoop:
        assert hadoop.ask("resolve", path, 100, *names).split() == ["/a", "/b", "/c", "/d", "/default-rack"]


def test_a_host_of_our_own_that_is_not_known_is_null_for_hadoop_and_kept_by_nobody(tmp_path):
    path = installed(tmp_path, {"127.0.1.1": "/a"}, strict=True)
    with lab(tmp_path) as hadoop:
        assert hadoop.ask("resolve", path, 100, "127.0.1.1", "127.0.1.2") == "null"
        put(tmp_path, {"127.0.1.1": "/a", "127.0.1.2": "/b"})
        assert hadoop.ask("resolve", path, 100, "127.0.1.1", "127.0.1.2") == "/a /b"


def test_six_datanodes_stand_where_the_table_says_and_files_survive_the_loss_of_a_zone(tmp_path):
    rows = {f"127.0.1.{n}": f"/westeurope-{(n - 1) % 3 + 1}" for n in range(1, 7)}
    path = installed(tmp_path, rows)
    with lab(tmp_path) as hadoop:
        hadoop.ask("namenode", tmp_path, path, "false")
        for address in rows:
            hadoop.ask("datanode", address)
        wait_until(lambda: hadoop.racks() == rows, "six DataNodes", lambda: str(hadoop.racks()))
        assert hadoop.ask("write", 12, 3).split() == ["3"] * 12  # three replicas on three zones


def test_a_datanode_that_comes_before_it_is_known_waits_for_its_rack_where_that_was_chosen(tmp_path):
    """strict, with dfs.namenode.reject-unresolved-dn-topology-mapping: no DataNode is ever frozen into a guessed rack."""
    known = {"127.0.1.1": "/westeurope-1/fd0", "127.0.1.2": "/westeurope-2/fd1"}
    path = installed(tmp_path, known, form=TWO, strict=True)
    with lab(tmp_path) as hadoop:
        hadoop.ask("namenode", tmp_path, path, "true")
        for address in ("127.0.1.3", *known):
            hadoop.ask("datanode", address)
        wait_until(lambda: hadoop.racks() == known, "two DataNodes", lambda: str(hadoop.racks()))
        late = {**known, "127.0.1.3": "/westeurope-3/fd0"}
        put(tmp_path, late, TWO)
        wait_until(lambda: hadoop.racks() == late, "the third joins by itself", lambda: str(hadoop.racks()))


def test_a_datanode_that_comes_before_it_is_known_gets_the_fallback_and_bars_nobody(tmp_path):
    """The first answer fixes the depth for all: Hadoop's own fallback would shut every other DataNode out here."""
    known = {"127.0.1.1": "/westeurope-1/fd0", "127.0.1.2": "/westeurope-2/fd1"}
    path = installed(tmp_path, known, form=TWO)
    expected = {**known, "127.0.1.3": "/default-rack/default-rack"}
    with lab(tmp_path) as hadoop:
        hadoop.ask("namenode", tmp_path, path, "false")
        for address in ("127.0.1.3", *known):
            hadoop.ask("datanode", address)
        wait_until(lambda: hadoop.racks() == expected, "three DataNodes", lambda: str(hadoop.racks()))
