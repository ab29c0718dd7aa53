"""Our user data: cloud-init's schema takes it, and each key is one that cloud-init knows; tests/test_shell.py looks at its shell."""

import subprocess

import pytest
import yaml

from tests.cli.running import ROOT
from tests.cloudinit.debian import MINUTES, debian_root
from tests.foreign.packages import NotThere
from tests.not_here import not_here

CLOUDINIT = ROOT / "cloudinit"
USER_DATA = CLOUDINIT / "user-data.yaml"
KNOWN = {
    "bootcmd"
}  # cloud-init passes over an unknown top-level key without a word, so another one is added here by hand
HERE_READ = 'mount -t tmpfs tmpfs "$1/mnt"; cp "$2" "$1/mnt/user-data"; exec chroot "$1" cloud-init schema --config-file /mnt/user-data'


def schema(text, folder):
    try:
        root = debian_root()
    except NotThere as error:
        not_here(error)
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


@pytest.mark.parametrize(
    "given", [[], ["none.pyz", "imds-agent-every-boot.service"], [USER_DATA, "no.service"], [USER_DATA]]
)
def test_bake_changes_nothing_before_it_knows_what_is_meant(given):
    done = subprocess.run(
        ["sh", CLOUDINIT / "bake.sh", *given], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr.startswith("usage: sh bake.sh ARCHIVE UNIT")) == (2, "", True)


def test_the_values_to_replace_are_two_and_nothing_else_says_replace():
    lines = [line.strip() for line in USER_DATA.read_text().splitlines() if "REPLACE" in line and "#" not in line]
    assert lines == ["url=https://REPLACE.example/imds-agent.pyz", "sha256=REPLACE"]
