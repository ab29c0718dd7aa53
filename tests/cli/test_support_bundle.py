"""A support bundle holds what helps and nothing that is private, and says what is in it before it is written."""

import json
import subprocess
import tarfile

import pytest

from agent.emulator import Emulator
from tests.cli.running import command, environment, imds_agent, refused

SECRET = "hunter2"
COMPUTE = {
    "userData": "aHVudGVyMg==",
    "customData": SECRET,
    "publicKeys": [{"keyData": f"ssh-rsa {SECRET}", "path": "/x"}],
    "tagsList": [{"name": "Owner", "value": SECRET}],
    "osProfile": {"adminUsername": f"{SECRET}-admin", "computerName": f"{SECRET}-computer"},
    "resourceGroupName": f"{SECRET}-group",
}
LOG = (
    f'{{"event":"event.seen","event_type":"Reboot","token":"{SECRET}","because":"on {SECRET}-group"}}\n'
    f"Bearer {SECRET}\n"
)


@pytest.fixture
def imds():
    with Emulator(rate_limit=None, era="2019") as found:  # shows customData
        found.patch_instance({"compute": COMPUTE})
        yield found


def files(path) -> dict[str, str]:
    with tarfile.open(path) as tar:
        return {member.name.rpartition("/")[2]: tar.extractfile(member).read().decode() for member in tar}


def bundle(imds, tmp_path, *arguments):
    log = tmp_path / "log"
    log.write_text(LOG)
    path = tmp_path / "bundle.tar.gz"
    done = imds_agent(
        "support-bundle", f"--imds-url={imds.url}", f"--logs={log}", f"--file={path}", *arguments,
        HTTP_PROXY=f"http://u:{SECRET}@proxy",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    return done.out, path


def test_nothing_private_is_in_it_and_what_helps_is(imds, tmp_path):
    told, path = bundle(imds, tmp_path)
    found = files(path)
    everything = "".join(found.values())
    for private in (
        SECRET,
        "aHVudGVyMg",
        "10.224.0.6",
        "8d10da13",
        "aks-pool1-12345678-vmss",
        "02aab8a4",
        "000D3A",
        "00:0d:3a",
    ):
        assert private not in everything, private
    assert list(found) == ["README.txt", "versions.json", "doctor.json", "routes.json", "vm.json", "log.txt"]
    assert json.loads(found["vm.json"])["size"] == "Standard_D4s_v3"
    assert json.loads(found["versions.json"])["libraries"]["requests"]
    assert {finding["check"] for finding in json.loads(found["doctor.json"])} >= {"route", "document", "rights"}
    assert json.loads(found["log.txt"].splitlines()[0]) == {
        "event": "event.seen",
        "event_type": "Reboot",
        "because": "on <name>",
    }
    assert path.stat().st_mode & 0o777 == 0o600
    assert [line.split()[0] for line in told.splitlines()] == [*found, "wrote"]


def test_it_comes_through_a_pipe_where_nothing_can_be_written(imds, tmp_path):
    """As out of a pod with a read-only root: the archive on standard output, the list beside it, the log from outside."""
    words = ("support-bundle", f"--imds-url={imds.url}", "--logs=-", "--file=-")
    done = subprocess.run(
        command(*words), input=LOG.encode(), cwd="/proc", env=environment(), capture_output=True, check=True
    )
    path = tmp_path / "bundle.tar.gz"
    path.write_bytes(done.stdout)
    found = files(path)
    assert [line.split()[0] for line in done.stderr.decode().splitlines()] == [*found]
    assert "event.seen" in found["log.txt"]
    assert SECRET not in "".join(found.values())


def test_it_can_be_only_listed(imds, tmp_path):
    told, path = bundle(imds, tmp_path, "--list")
    assert "vm.json" in told
    assert not path.exists()


def test_what_is_asked_for_is_in_it_and_said_in_its_readme(imds, tmp_path):
    _, path = bundle(imds, tmp_path, "--with=tags,ids")
    found = files(path)
    assert json.loads(found["vm.json"])["tags"] == {"Owner": SECRET}
    assert "but for: tags, ids" in found["README.txt"]
    assert "aHVudGVyMg" not in "".join(found.values())


def test_wrong_input_is_one_line(imds, tmp_path):
    url = f"--imds-url={imds.url}"
    assert "--with: expected some of addresses, ids, keys, tags, user-data" in refused(
        1, "support-bundle", url, "--with=x"
    )
    assert "cannot be read" in refused(1, "support-bundle", url, f"--logs={tmp_path / 'none'}")


def test_without_imds_it_is_written_all_the_same(tmp_path):
    path = tmp_path / "b.tar.gz"
    done = imds_agent("support-bundle", "--imds-url=http://127.0.0.1:1", f"--file={path}")
    assert done.code == 0
    assert "vm.json" not in files(path)
