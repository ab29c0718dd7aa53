"""`doctor hdfs` as a person runs it beside a NameNode; what it judges is in test_hdfs.py, Hadoop itself in tests/hdfs/test_doctor.py."""

import json
import os
import re

import pytest

from tests.cli.running import ROOT, imds_agent, refused
from tests.doctor.hadoops import Folder


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def doctor(folder, *arguments, code=0, **given):
    done = imds_agent("doctor", "hdfs", "-o", "json", f"--hadoop-conf={folder.conf}", *arguments, **given)
    found = json.loads(done.out)
    assert (done.code, done.err, found["well"]) == (code, "", code == 0)
    return {finding["check"]: finding for finding in found["findings"]}


def test_every_check_is_on_the_page_and_no_other(folder):
    page = (ROOT / "docs" / "hdfs.md").read_text(encoding="utf-8")
    rows = page.partition("<!-- checks -->")[2].partition("<!-- /checks -->")[0].splitlines()
    assert [row.split("|")[1].strip() for row in rows if row.startswith("|")][2:] == list(doctor(folder))


def test_the_folder_is_hadoops_own_where_none_is_named(folder):
    done = imds_agent("doctor", "hdfs", HADOOP_CONF_DIR=str(folder.conf))
    assert (done.code, done.err) == (0, "")
    assert "depth 1, unknown hosts: fallback" in done.out
    usual = json.loads(imds_agent("doctor", "hdfs", "-o", "json").out)["findings"][0]
    assert usual["looked_at"] == "/etc/hadoop/conf/core-site.xml and /etc/hadoop/conf/hdfs-site.xml"


def test_a_person_reads_what_is_wrong_and_what_to_do(folder):
    folder.script.chmod(0o644)
    done = imds_agent("doctor", "hdfs", f"--hadoop-conf={folder.conf}")
    assert (done.code, done.err) == (1, "")
    assert re.search(r"^  BAD +rack script +is not executable$", done.out, re.MULTILINE)
    assert "  rack script: chmod a+rx" in done.out
    assert f"    looked at: {folder.script}" in done.out


def test_a_namenode_that_does_not_answer_is_named_and_the_rest_is_judged(folder):
    found = doctor(folder, "--namenode=http://127.0.0.1:1", code=1)
    assert found["namenode"]["verdict"] == "bad"
    assert "http://127.0.0.1:1/jmx: no answer" in found["namenode"]["found"]
    assert (found["racks of datanodes"]["verdict"], found["rack table"]["verdict"]) == ("unknown", "ok")


def test_a_pipe_in_place_of_a_file_keeps_nobody_waiting(folder):
    folder.table.unlink()
    os.mkfifo(folder.table)
    assert doctor(folder, code=1)["rack table"]["found"] == "cannot be read: is no file"


def test_wrong_usage_is_told():
    assert refused(2, "doctor", "--namenode=http://a").startswith("--hadoop-conf, --namenode: expected `imds-agent doctor hdfs`")  # fmt: skip
    assert refused(2, "doctor", "hdfs", "--namenode=file:///etc/passwd").startswith("--namenode: expected a URL")
    assert "invalid choice: 'yarn'" in refused(2, "doctor", "yarn")
