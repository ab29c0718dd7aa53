"""A file is the old one or the new one, never half, whatever ends the writing: a kill, a full disk, a disk that cannot be written."""

import os
import shutil
import subprocess
import sys

import pytest

from agent.emulator import Emulator
from tests.boot.vm import DEFAULT, FACTS, INSTANCE, STATUS, files, first_boot, kubeadm_vm, put, state, status
from tests.cli.running import environment
from tests.not_here import not_here

GIVEN = ("--rack-table=/etc/imds-agent/racks", "--custom-data=/var/custom")
RACKS, CUSTOM = "etc/imds-agent/racks", "var/custom"
DROP_IN = "etc/rancher/k3s/config.yaml.d/90-imds-agent.yaml"


@pytest.fixture
def imds():
    with Emulator(rate_limit=None) as found:
        yield found


def whole_vm(root):
    """Make a VM on which each kind of file is written; what is secret there is old, too."""
    kubeadm_vm(root)
    put(root, "usr/local/bin/k3s")
    put(root, "var/lib/waagent/CustomData", b"aGVsbG8=")
    put(root, CUSTOM, "old")
    put(root, RACKS, "old")
    return root


@pytest.mark.timeout(900)
@pytest.mark.parametrize("before", ["first boot", "another place"])
def test_killed_at_any_moment_each_file_is_old_or_new_and_the_next_run_makes_it_whole(imds, tmp_path, before):
    old, new = whole_vm(tmp_path / "old"), tmp_path / "new"
    if before == "another place":
        first_boot(old, imds.url, *GIVEN)
        imds.patch_instance({"compute": {"platformFaultDomain": "2", "zone": "3"}})
    shutil.copytree(old, new)
    first_boot(new, imds.url, *GIVEN)
    wanted, stood = files(new), files(old)
    command = [sys.executable, "-m", "tests.boot.killed", old, tmp_path / "runs", f"--imds-url={imds.url}", *GIVEN]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True, timeout=840)
    kills = int(done.stdout)
    assert kills > (40 if before == "first boot" else 30)  # seven files, or six, of some ten calls each
    halves = 0
    for number in range(kills):
        left = files(tmp_path / "runs" / str(number) / "killed")
        for path, content in left.items():
            if path in wanted:
                assert path == STATUS or content in (stood.get(path), wanted[path]), (number, path)
            else:
                halves += 1
                assert path.rpartition("/")[2].startswith("."), (number, path)  # never a name that anybody reads
        assert all(path in left for path in stood), number
        after = files(tmp_path / "runs" / str(number) / "after")
        assert after.keys() == wanted.keys(), number  # what a killed run left beside a file is gone
        assert all(after[path] == wanted[path] for path in wanted if path != STATUS), number
    assert halves > 0  # the kills did meet it while it wrote


def in_a_namespace(root, mounts: str, imds, *arguments) -> None:
    """Run it where some folders are mounted otherwise; as root of a user namespace where this is no root."""
    if shutil.which("unshare") is None:
        not_here("unshare is missing (Debian, Ubuntu: apt-get install util-linux)")
    command = f'{mounts}\nexec "$@"'
    program = [sys.executable, "-m", "agent", "first-boot", f"--root={root}", f"--imds-url={imds.url}", *arguments]
    kind = "-m" if os.geteuid() == 0 else "-Urm"
    done = subprocess.run(
        ["unshare", kind, "sh", "-ec", command, "sh", *program],
        cwd=root,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0 and done.stderr.startswith("unshare:") and "CI" not in os.environ:
        not_here(f"{done.stderr.strip()} (user namespaces must be allowed)")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr


def test_a_disk_that_cannot_be_written_is_told_and_kubelet_starts_as_before(imds, tmp_path):
    whole_vm(tmp_path)
    before = files(tmp_path)
    in_a_namespace(tmp_path, "mount --bind etc etc; mount -o remount,bind,ro etc", imds, *GIVEN)
    for path in (DEFAULT, RACKS, DROP_IN):
        assert state(tmp_path, path)[0] == "failed"
        assert "Read-only file system" in state(tmp_path, path)[1]
    assert all(files(tmp_path).get(path) == before.get(path) for path in (DEFAULT, RACKS, DROP_IN))
    assert state(tmp_path, INSTANCE)[0] == state(tmp_path, FACTS)[0] == state(tmp_path, CUSTOM)[0] == "written"
    assert status(tmp_path)["outcome"] == "partly"


def test_a_full_disk_is_told_and_what_stood_there_stands_with_no_half_of_a_file_beside_it(imds, tmp_path):
    whole_vm(tmp_path)
    full = (
        "mount -t tmpfs -o size=4k,mode=755 tmpfs etc/default; printf 'KUBELET_EXTRA_ARGS=--a\\n' > etc/default/kubelet"
    )
    in_a_namespace(tmp_path, f'{full}; "$@"; cp -a etc/default seen; exit 0', imds)
    assert state(tmp_path, DEFAULT) == ("failed", "cannot be written: No space left on device")
    assert state(tmp_path, FACTS)[0] == "written"
    seen = {path: content for path, content in files(tmp_path).items() if path.startswith("seen")}
    assert seen == {"seen/kubelet": b"KUBELET_EXTRA_ARGS=--a\n"}


def test_without_any_network_it_ends_in_time_and_says_why(imds, tmp_path):
    whole_vm(tmp_path)
    before = files(tmp_path)
    no_network = 'exec unshare -n "$@" --imds-url=http://169.254.169.254 --wait=2'
    in_a_namespace(tmp_path, no_network, imds)
    assert "Network is unreachable" in status(tmp_path)["reasons"][0]
    assert 0 < status(tmp_path)["seconds"] < 30
    assert {path: content for path, content in files(tmp_path).items() if path != STATUS} == before


def test_without_a_place_for_its_own_status_it_still_ends_with_0(imds, tmp_path):
    whole_vm(tmp_path)
    put(tmp_path, "run/kept")
    in_a_namespace(tmp_path, "mount --bind run run; mount -o remount,bind,ro run", imds)
    assert not (tmp_path / STATUS).exists()
    assert b"--node-labels" in files(tmp_path)[DEFAULT]
