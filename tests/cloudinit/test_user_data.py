"""Our user data: cloud-init's schema takes it, each key is one that cloud-init knows, and its shell is sound."""

import shutil
import subprocess

import pytest
import yaml

from tests.cli.running import ROOT
from tests.cloudinit.debian import MINUTES, debian_root
from tests.foreign.packages import NotThere, unpacked
from tests.not_here import not_here

CLOUDINIT = ROOT / "cloudinit"
USER_DATA = CLOUDINIT / "user-data.yaml"
KNOWN = {
    "bootcmd"
}  # cloud-init passes over an unknown top-level key without a word, so another one is added here by hand
HERE_READ = 'mount -t tmpfs tmpfs "$1/mnt"; cp "$2" "$1/mnt/user-data"; exec chroot "$1" cloud-init schema --config-file /mnt/user-data'


def had(make, *arguments):
    """Return what can be had here; CI must have it."""
    try:
        return make(*arguments)
    except NotThere as error:
        not_here(str(error))


def schema(text, folder):
    root = had(debian_root)
    given = folder / "given"
    given.write_text(text)
    command = ["unshare", "-m", "sh", "-ec", HERE_READ, "sh", str(root), str(given)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
@pytest.mark.timeout(MINUTES * 60 + 60)
def test_the_schema_takes_it_and_would_refuse_a_command_that_is_a_number(tmp_path):
    taken = schema(USER_DATA.read_text(), tmp_path)
    assert (taken.returncode, taken.stdout.split(":")[0]) == (0, "Valid cloud-config"), taken
    assert schema("#cloud-config\nbootcmd: [[1]]\n", tmp_path).returncode != 0


def test_its_top_level_keys_are_known():
    text = USER_DATA.read_text()
    assert text.startswith("#cloud-config\n")
    assert set(yaml.safe_load(text)) == KNOWN


def scripts():
    [[shell, option, inline]] = yaml.safe_load(USER_DATA.read_text())["bootcmd"]
    assert (shell, option) == ("sh", "-c")
    return {"user-data": f"#!/bin/sh\n{inline}", "bake.sh": (CLOUDINIT / "bake.sh").read_text()}


@pytest.mark.parametrize("name", ["user-data", "bake.sh"])
def test_shellcheck_has_nothing_to_say_against_its_shell(name):
    program = shutil.which("shellcheck") or had(unpacked, "shellcheck") / "usr" / "bin" / "shellcheck"
    done = subprocess.run(
        [program, "-"], input=scripts()[name], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_values_to_replace_are_two_and_nothing_else_says_replace():
    lines = [line.strip() for line in USER_DATA.read_text().splitlines() if "REPLACE" in line and "#" not in line]
    assert lines == ["url=https://REPLACE.example/imds-agent.pyz", "sha256=REPLACE"]
