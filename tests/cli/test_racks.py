"""`rack` for systems that know racks, and `hdfs-rack` as it is put in place."""

import json
import subprocess

import pytest

from agent.core.racks import read_form, table_text
from agent.emulator import Emulator
from tests.cli.running import imds_agent, refused


@pytest.fixture(scope="module")
def imds():
    with Emulator(rate_limit=None) as found:
        yield found


def rack(imds, *arguments):
    done = imds_agent("rack", f"--imds-url={imds.url}", *arguments)
    assert (done.code, done.err) == (0, "")
    return done.out


def test_a_rack_is_one_line_an_environment_or_json(imds):
    assert rack(imds) == "/westeurope-1\n"
    assert rack(imds, "--form=zone/fd") == "/westeurope-1/fd0\n"
    assert rack(imds, "--form=/{region}/ud{ud}") == "/westeurope/ud3\n"
    lines = rack(imds, "--format=env")
    sourced = subprocess.run(
        ["sh", "-c", f"{lines}\necho $RACK $ZONE $FAULT_DOMAIN"], capture_output=True, text=True, check=True
    )
    assert sourced.stdout == "/westeurope-1 westeurope-1 0\n"
    assert json.loads(rack(imds, "--format=json"))["UPDATE_GROUP"] == "westeurope-1-ud3"


def test_a_rack_that_cannot_be_told_is_no_guess(imds):
    with Emulator(rate_limit=None, profile="no-zones") as regional:
        assert rack(regional) == "/fd2\n"
        url = f"--imds-url={regional.url}"
        assert "no rack: IMDS lacks a part that '/{zone}' asks for" in refused(1, "rack", url, "--form=/{zone}")
    assert "--form: rack form: expected auto, zone/fd" in refused(1, "rack", f"--imds-url={imds.url}", "--form=x")


def test_the_script_is_installed_whole_and_answers(tmp_path):
    table, path = tmp_path / "racks", tmp_path / "hdfs-rack"
    table.write_text(table_text({"10.0.0.4": "/z1/fd0"}, read_form("zone/fd"), ["10.0.0.0/8"]))
    given = (f"--table={table}", "--form=zone/fd")
    done = imds_agent("hdfs-rack", f"--install={path}", "--unknown=strict", *given)
    assert (done.code, done.out) == (0, f"wrote {path}: racks of depth 2 from {table}, unknown hosts: strict\n")
    assert path.stat().st_mode & 0o777 == 0o755
    assert path.read_text().startswith("#!/usr/bin/python3 -IS\n") or path.read_text().startswith("#!")
    assert subprocess.run([path, "10.0.0.4"], capture_output=True, text=True, check=True).stdout == "/z1/fd0\n"
    assert subprocess.run([path, "10.0.0.5"], capture_output=True, check=False).returncode == 1
    assert imds_agent("hdfs-rack", *given, "10.0.0.4", "192.0.2.1").out == "/z1/fd0\n/default-rack/default-rack\n"
    assert "not known yet" in refused(1, "hdfs-rack", *given, "--unknown=strict", "10.0.0.5")


def test_wrong_input_is_one_line(tmp_path):
    assert "--install and hosts" in refused(1, "hdfs-rack", f"--install={tmp_path / 'x'}", "10.0.0.1")
    assert "--python: expected an absolute path" in refused(
        1, "hdfs-rack", f"--install={tmp_path / 'x'}", "--python=python3"
    )
    assert "cannot be written" in refused(1, "hdfs-rack", f"--install={tmp_path / 'none' / 'x'}")
    assert "--form: rack form" in refused(1, "hdfs-rack", "--form=/")


def test_the_table_of_this_vm_alone_comes_from_imds(imds, tmp_path):
    table = tmp_path / "racks"
    given = ("hdfs-sync", f"--imds-url={imds.url}", "--from=imds", f"--table={table}")
    done = imds_agent(*given, "--own=10.224.0.0/16")
    assert (done.code, "hdfs.table_written" in done.err) == (0, True)
    assert table.read_text() == (
        "# racks 1 depth=1 own=10.224.0.0/16\n10.224.0.6 /westeurope-1\naks-pool1-12345678-vmss000002 /westeurope-1\n"
        "aks-pool1-12345678-vmss_2 /westeurope-1\n# end 3\n"
    )
    assert "--own: expected a network" in refused(1, *given, "--own=x")
    assert "cannot be read" in refused(1, *given, f"--overrides={tmp_path / 'none'}")


def test_without_a_cluster_it_is_told_in_one_line(tmp_path):
    (tmp_path / "config").write_text("{}")
    line = refused(1, "hdfs-sync", "--once", f"--table={tmp_path / 'racks'}", f"--kubeconfig={tmp_path / 'config'}")
    assert "no credentials for a cluster" in line
