"""`doctor hdfs` beside a real NameNode, and Hadoop's own reading of a configuration beside ours."""

import json
import subprocess

import pytest

from agent.core.hadoop_conf import merged, read_conf
from tests.cli.running import imds_agent
from tests.doctor.hadoops import COMBINED, Folder, entry
from tests.hdfs.hadoop import classpath, lab, refresh_command
from tests.promises.agents import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.usefixtures("hadoop_here")]
RACKS = {"127.0.1.1": "/westeurope-1", "127.0.1.2": "/westeurope-2"}


CORE = """<?xml version="1.0"?><?xml-stylesheet type="text/xsl" href="configuration.xsl"?>
<configuration xmlns:x="urn:x">
<property><name> a.blank </name><value>
  /x <!-- a remark --> y
</value></property>
<property name="a.attribute" value="1"/><property name="a.both" value="1"><value>2</value></property>
<property><name>a.kept</name><value>core</value><final>true</final></property>
<property><name>a.open</name><value>core</value><final> true </final></property>
<property><name>a.stays</name><value>core</value></property>
<property><name>a.base</name><value>/opt</value></property>
<property><name>a.variables</name><value>${a.base}/${a.${a.which}}</value></property><property><name>a.which</name><value>kept</value></property>
<property><name>a.half</name><value>${a.base}/${a.nothing}/${a.base}</value></property>
<property><name>a.itself</name><value>${a.itself}</value></property>
<x:property><x:name>a.prefixed</x:name><x:value>1</x:value></x:property>
<property><name>topology.script.file.name</name><value>/old</value></property>
</configuration>"""
SITE = """<configuration>
<property><name>a.kept</name><value>hdfs</value></property><property><name>a.open</name><value>hdfs</value></property>
<property><name>a.stays</name><value></value></property><property><name>a.none</name></property>
<other><configuration><property><name>a.inside</name><value>1</value></property></configuration></other>
</configuration>"""
NAMES = ("a.blank", "a.attribute", "a.both", "a.kept", "a.open", "a.stays", "a.variables", "a.half", "a.itself", "a.prefixed",
         "a.none", "a.inside", "net.topology.script.file.name")  # fmt: skip


def test_a_configuration_is_read_as_hadoop_reads_it(tmp_path):
    (tmp_path / "core-site.xml").write_text(CORE)
    (tmp_path / "hdfs-site.xml").write_text(SITE)
    ours = merged(read_conf((tmp_path / name).read_bytes()) for name in ("core-site.xml", "hdfs-site.xml"))
    said = {name: hadoop_says(tmp_path, name) for name in NAMES}
    assert said == {name: ours.text(name) for name in NAMES}
    assert said["a.variables"] == "/opt/core"  # that Hadoop said something at all


def hadoop_says(folder, name: str) -> str:
    """Ask `hdfs getconf -confKey`; "" for what is not given."""
    command = ["java", "-Xmx128m", "-cp", f"{folder}:{classpath()}", "org.apache.hadoop.hdfs.tools.GetConf", "-confKey", name]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def doctor(folder, port, code):
    done = imds_agent("doctor", "hdfs", "-o", "json", f"--hadoop-conf={folder.conf}", f"--namenode=http://127.0.0.1:{port}")  # fmt: skip
    assert (done.code, done.err) == (code, ""), done
    return {finding["check"]: finding for finding in json.loads(done.out)["findings"]}


def verdicts(found):
    return [found[check]["verdict"] for check in ("namenode", "racks of datanodes", "unknown datanodes", "hosts file in force")]  # fmt: skip


def test_datanodes_in_a_stale_rack_and_a_list_that_was_not_read_are_told_from_what_the_namenode_says(tmp_path):
    folder = Folder(tmp_path)
    folder.put(RACKS)
    folder.list(*(entry(address, rack[1:]) for address, rack in RACKS.items()))
    site = {**COMBINED, "dfs.hosts": str(folder.hosts)}
    with lab(tmp_path, site) as hadoop:  # the folder on its class path is the one that we read
        port, pages = hadoop.ask("namenode", tmp_path, folder.script, "false").split()[1:]
        for address in RACKS:
            hadoop.ask("datanode", address)
        wait_until(lambda: hadoop.racks() == RACKS, "two DataNodes", lambda: str(hadoop.racks()))
        well = doctor(folder, pages, 0)
        assert verdicts(well) == ["ok"] * 4, well
        assert well["namenode"]["found"] == "active, 2 live DataNodes, 0 dead"

        folder.put({**RACKS, "127.0.1.2": "/westeurope-3"})
        folder.list(entry("127.0.1.1", "westeurope-1"), entry("127.0.1.2", "westeurope-3"))
        changed = doctor(folder, pages, 1)
        assert verdicts(changed) == ["ok", "bad", "ok", "bad"], changed
        assert "1 DataNode in a stale rack: " in changed["racks of datanodes"]["found"]
        assert "127.0.1.2" in changed["racks of datanodes"]["found"]
        assert "in upgrade domain westeurope-2, not westeurope-3" in changed["hosts file in force"]["found"]

        refreshed = subprocess.run(refresh_command(tmp_path, port), capture_output=True, text=True, check=False)
        assert refreshed.returncode == 0, refreshed.stderr
        after = doctor(folder, pages, 1)
        assert verdicts(after) == ["ok", "bad", "ok", "ok"], after  # a refresh changes no rack, as the advice says

        folder.put({"127.0.1.1": "/westeurope-1"})
        unknown = doctor(folder, pages, 1)["unknown datanodes"]
        assert unknown["found"].endswith("in /westeurope-2")
        assert "127.0.1.2" in unknown["found"]
