"""`custom-data` as a person runs it: which source speaks, what is in it, and not a word of the content."""

import base64
import gzip
import json

import pytest

from agent.emulator import Emulator
from tests.cli.running import imds_agent, refused
from tests.core.test_custom_data import message

SECRET = "hunter2"
CONFIG = f"#cloud-config\npassword: {SECRET}\n".encode()
OWN = b'#imds-agent\n{"labels":{"imds-agent.github.io/pool":"blue","example.com/x":"1"},"taints":[{"key":"a.b/c","effect":"NoSchedule"}]}'
GIVEN = message(("text/cloud-config", CONFIG, "../c.yaml"), ("text/x-imds-agent", OWN, None))


@pytest.fixture
def imds():
    with Emulator(rate_limit=None) as found:
        yield found


def told(imds, *arguments, code=0):
    done = imds_agent("custom-data", f"--imds-url={imds.url}", "-o", "json", *arguments)
    assert (done.code, done.err) == (code, "")
    assert SECRET not in done.out
    return json.loads(done.out)


def put_user_data(imds, content: bytes) -> None:
    imds.patch_instance({"compute": {"userData": base64.b64encode(content).decode()}})


def test_the_first_source_that_holds_anything_speaks(imds, tmp_path):
    put_user_data(imds, gzip.compress(GIVEN))
    found = told(imds, f"--root={tmp_path}")
    assert found["spoke"] == "IMDS userData"
    assert [source["note"] for source in found["sources"]] == ["empty", "not there", "not there", "not there", ""]
    assert [(part["place"], part["kind"]) for part in found["sources"][-1]["parts"]] == [
        ("1.1", "cloud-config"),
        ("1.2", "imds-agent"),
    ]
    copy = tmp_path / "var/lib/waagent/CustomData"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(base64.b64encode(CONFIG))
    assert told(imds, f"--root={tmp_path}")["spoke"] == str(copy)
    assert told(imds, f"--root={tmp_path}", "--source=imds")["spoke"] == "IMDS userData"
    assert told(imds, f"--root={tmp_path}", "--source=vm")["spoke"] == str(copy)
    assert told(imds, f"--source={copy}")["spoke"] == str(copy)
    alone = told(imds, f"--root={tmp_path}", "--source=user-data")
    assert [source["source"] for source in alone["sources"]] == ["IMDS userData"]


def test_our_own_part_says_what_it_asks_for_and_what_is_refused(imds, tmp_path):
    put_user_data(imds, GIVEN)
    asks = told(imds, f"--root={tmp_path}")["sources"][-1]["parts"][1]["asks_for"]
    assert asks["labels"] == {"imds-agent.github.io/pool": "blue"}
    assert asks["taints"] == [{"key": "a.b/c", "value": "", "effect": "NoSchedule"}]
    assert "expected a key below imds-agent.github.io/" in asks["refused"][0]


def test_a_person_reads_lines_without_content(imds, tmp_path):
    put_user_data(imds, GIVEN)
    done = imds_agent("custom-data", f"--imds-url={imds.url}", f"--root={tmp_path}")
    assert (done.code, done.err) == (0, "")
    assert SECRET not in done.out
    assert "(this one counts)" in done.out
    assert "label imds-agent.github.io/pool=blue" in done.out
    assert "taint a.b/c=:NoSchedule" in done.out


def test_parts_are_written_for_this_user_alone_under_harmless_names(imds, tmp_path):
    put_user_data(imds, GIVEN)
    folder = tmp_path / "out"
    found = told(imds, f"--root={tmp_path}", f"--extract={folder}")
    assert sorted(path.name for path in folder.iterdir()) == ["1.1-c.yaml", "1.2-imds-agent"]
    assert (folder / "1.1-c.yaml").read_bytes() == CONFIG
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert found["extracted"]["1.1"] == str(folder / "1.1-c.yaml")
    line = refused(1, "custom-data", f"--imds-url={imds.url}", f"--root={tmp_path}", f"--extract={folder}")
    assert "expected an empty folder" in line


def test_nothing_given_is_exit_code_1_and_nothing_can_be_extracted(imds, tmp_path):
    assert told(imds, f"--root={tmp_path}", code=1)["spoke"] is None
    line = refused(1, "custom-data", f"--imds-url={imds.url}", f"--root={tmp_path}", f"--extract={tmp_path / 'x'}")
    assert "nothing to extract" in line


def test_without_imds_the_vms_own_copies_still_speak(tmp_path):
    copy = tmp_path / "var/lib/cloud/instance/user-data.txt"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(CONFIG)
    done = imds_agent("custom-data", "--imds-url=http://127.0.0.1:1", f"--root={tmp_path}", "-o", "json")
    found = json.loads(done.out)
    assert (done.code, found["spoke"]) == (0, str(copy))
    assert "no answer" in found["sources"][0]["note"]
