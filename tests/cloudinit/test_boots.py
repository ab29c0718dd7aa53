"""Real boots: kubelet's first start finds its labels, by user data and by either unit of an image, and no boot is stopped."""

import json
import subprocess
import sys
from hashlib import sha256

import pytest

from tests.boot.vm import DEFAULT
from tests.cli.running import ROOT
from tests.cloudinit.debian import MINUTES
from tests.cloudinit.machines import ARCHIVE_URL, Machine
from tests.foreign.packages import NotThere
from tests.not_here import not_here

# The first one makes the root file system; each boot takes seconds.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(MINUTES * 60 + 300)]
TOPOLOGY = "topology.imds-agent.github.io/"
CLOUDINIT = ROOT / "cloudinit"
EVERY, ONCE = "imds-agent-every-boot.service", "imds-agent-first-boot.service"


@pytest.fixture(scope="session")
def archive(tmp_path_factory):
    """The archive, as `make bundle` builds it."""
    made = tmp_path_factory.mktemp("dist") / "imds-agent.pyz"
    command = [sys.executable, str(ROOT / "packaging" / "bundle.py"), str(made)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture
def machine(tmp_path, archive):
    """A VM that has never been booted."""
    try:
        return Machine(tmp_path, archive)
    except NotThere as error:
        not_here(str(error))


def user_data(archive, *, wait=30, **other):
    """Our user data, with its two values replaced as its head says."""
    text = (CLOUDINIT / "user-data.yaml").read_text()
    digest = other.get("sha256") or sha256(archive.read_bytes()).hexdigest()
    filled = text.replace("https://REPLACE.example/imds-agent.pyz", ARCHIVE_URL).replace(
        "sha256=REPLACE", f"sha256={digest}"
    )
    return filled.replace("wait=30", f"wait={wait}")


def must_be_sound(machine):
    """Nothing on the VM failed, and kubelet started once, after the hook had ended, with its other flags as they were."""
    assert (machine.told / "cloud-init").read_text().splitlines()[0] == "status: done"
    assert "Invalid cloud-config" not in (machine.told / "journal").read_text()
    assert (machine.told / "failed").read_text() == ""
    [(started, flags)] = machine.starts()
    assert "--max-pods=50" in flags
    assert machine.hook_ended() < started


def must_have_labels(machine, fault_domain="0"):
    labels = machine.labels()
    assert labels[f"{TOPOLOGY}fault-domain"] == fault_domain
    assert labels[f"{TOPOLOGY}rack"] == f"westeurope-1-fd{fault_domain}"
    assert f"IMDS_FAULT_DOMAIN={fault_domain}" in (machine.told / "run" / "facts.env").read_text().splitlines()
    instance = json.loads((machine.told / "run" / "instance.json").read_text())
    assert instance["placement"]["fault_domain"] == int(fault_domain)
    assert machine.status()["outcome"] == "done"


def test_user_data_gives_labels_to_kubelet_s_first_start_and_later_boots_change_only_what_has_changed(machine, archive):
    machine.is_given(user_data(archive))
    machine.boot()
    must_be_sound(machine)
    must_have_labels(machine)
    first, written = machine.flags, (machine.disk / DEFAULT).stat().st_mtime_ns

    machine.boot()
    must_be_sound(machine)
    must_have_labels(machine)
    assert (machine.flags, (machine.disk / DEFAULT).stat().st_mtime_ns) == (first, written)

    machine.boot(platformFaultDomain="2")
    must_be_sound(machine)
    must_have_labels(machine, "2")
    assert machine.flags == first.replace(b"fault-domain=0", b"fault-domain=2").replace(b"fd0", b"fd2")


def test_a_slow_imds_is_waited_for(machine, archive):
    machine.is_given(user_data(archive))
    machine.boot("slow")
    must_be_sound(machine)
    must_have_labels(machine)


def test_without_imds_kubelet_starts_with_what_stood_there_and_the_reason_is_in_the_journal(machine, archive):
    before = machine.flags
    machine.is_given(user_data(archive, wait=2))
    machine.boot("dead")
    must_be_sound(machine)
    assert (machine.labels(), machine.flags, machine.status()["outcome"]) == ({}, before, "failed")
    assert "imds-agent" in (machine.told / "journal").read_text()


def test_an_archive_of_another_checksum_is_not_run_and_the_boot_goes_on(machine, archive):
    before = machine.flags
    machine.is_given(user_data(archive, sha256="0" * 64))
    machine.boot()
    assert (machine.told / "cloud-init").read_text().splitlines()[0] == "status: done"
    assert not (machine.told / "run").exists()
    assert (len(machine.starts()), machine.labels(), machine.flags) == (1, {}, before)
    assert f"no archive of that checksum from {ARCHIVE_URL}" in (machine.told / "journal").read_text()
    assert list((machine.disk / "usr/local/lib/imds-agent").iterdir()) == []


@pytest.mark.parametrize(("unit", "second"), [(EVERY, "2"), (ONCE, "0")])
def test_a_unit_in_the_image_comes_before_kubelet(machine, unit, second):
    machine.bake(CLOUDINIT / "bake.sh", unit)
    machine.boot("slow")
    must_be_sound(machine)
    must_have_labels(machine)

    machine.boot(platformFaultDomain="2")
    [(_, flags)] = machine.starts()
    assert f"fault-domain={second}," in flags
    assert (machine.told / "run" / "status.json").exists() == (unit == EVERY)


def test_with_a_unit_in_the_image_a_dead_imds_only_delays_kubelet(machine):
    machine.bake(CLOUDINIT / "bake.sh", EVERY)
    machine.boot("dead")
    must_be_sound(machine)
    assert (machine.labels(), machine.status()["outcome"]) == ({}, "failed")
