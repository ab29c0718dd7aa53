"""`first-boot` as a boot runs it: each file as it should be, once and again, and back; a failure costs its own file alone."""

import base64
import json

import pytest

from agent.boot.drop_in import NAME as DROP_IN
from agent.core.labels import DOMAIN
from agent.core.rack_table import answers
from agent.emulator import Emulator
from tests.boot.systemd_env import read_environment
from tests.boot.vm import (
    DEFAULT,
    FACTS,
    INSTANCE,
    STATUS,
    SYSCONFIG,
    UNIT,
    files,
    first_boot,
    kubeadm_vm,
    put,
    state,
    status,
)
from tests.cli.running import imds_agent, refused

SECRET = "hunter2"
ZONE = f"topology.{DOMAIN}/zone"
OWN = {
    "labels": {f"{DOMAIN}/pool": "blue", "example.com/team": "x"},
    "taints": [
        {"key": "example.com/new", "effect": "NoSchedule"},
        {"key": "karpenter.sh/disrupted", "effect": "NoSchedule"},
    ],
    "note": SECRET,
}


@pytest.fixture(scope="module")
def running():
    with Emulator(rate_limit=None) as found:
        yield found


@pytest.fixture
def imds(running):
    yield running
    running.clear_faults()
    running.patch_instance({"compute": {"platformFaultDomain": "0", "userData": None, "zone": "1"}})


def arguments(root, path=DEFAULT) -> str:
    """Return what systemd hands to kubelet."""
    return read_environment((root / path).read_text(errors="replace"))["KUBELET_EXTRA_ARGS"]


def test_a_kubelet_gets_its_labels_and_every_program_the_facts(imds, tmp_path):
    done = first_boot(kubeadm_vm(tmp_path), imds.url)
    assert done.err == ""
    assert arguments(tmp_path).startswith("--max-pods=50 --node-labels=")
    assert f"{ZONE}=westeurope-1" in arguments(tmp_path)
    assert "--register-with-taints" not in arguments(tmp_path)
    assert json.loads((tmp_path / INSTANCE).read_text())["placement"]["zone"] == "1"
    assert read_environment((tmp_path / FACTS).read_text())["IMDS_RACK"] == "westeurope-1-fd0"
    found = status(tmp_path)
    assert (found["outcome"], found["source"], found["complete"], found["registered"]) == ("done", "imds", True, False)
    assert set(files(tmp_path)) == {UNIT, DEFAULT, INSTANCE, FACTS, STATUS}


def test_a_vm_without_kubelet_has_its_facts_and_is_told_that_nobody_was_given_labels(imds, tmp_path):
    said = "no kubelet, k3s or RKE2 is here: nobody is given labels"
    done = first_boot(tmp_path, imds.url)
    assert (done.err, done.out.splitlines()[-1]) == ("", said)
    assert set(files(tmp_path)) == {INSTANCE, FACTS, STATUS}
    for quiet in (["--kubelet=none"], ["--undo"]):
        assert said not in first_boot(tmp_path, imds.url, *quiet).out
    assert said not in first_boot(kubeadm_vm(tmp_path), imds.url).out


def test_the_labels_are_those_that_the_agent_says(imds, tmp_path):
    first_boot(kubeadm_vm(tmp_path), imds.url, "--exclude-labels=vm.*")
    said = json.loads(imds_agent("facts", f"--imds-url={imds.url}", "-o", "json", "--exclude-labels=vm.*").out)[
        "labels"
    ]
    assert status(tmp_path)["labels"] == said


def test_again_it_changes_nothing_and_another_place_changes_it(imds, tmp_path):
    first_boot(kubeadm_vm(tmp_path), imds.url)
    before = {path: (tmp_path / path).stat() for path in (DEFAULT, INSTANCE, FACTS)}
    first_boot(tmp_path, imds.url)
    after = {path: (tmp_path / path).stat() for path in before}
    assert [(each.st_ino, each.st_mtime_ns) for each in after.values()] == [
        (each.st_ino, each.st_mtime_ns) for each in before.values()
    ]
    imds.patch_instance({"compute": {"platformFaultDomain": "2"}})
    first_boot(tmp_path, imds.url)
    assert "rack=westeurope-1-fd2" in arguments(tmp_path)
    assert "fd0" not in arguments(tmp_path)
    assert "IMDS_RACK=westeurope-1-fd2\n" in (tmp_path / FACTS).read_text()


@pytest.mark.parametrize("content", ["KUBELET_EXTRA_ARGS=--a=1", "", None, b"# \xff\nFOO='a b'\n"])
def test_undo_gives_back_the_exact_bytes(imds, tmp_path, content):
    kubeadm_vm(tmp_path, SYSCONFIG, content)
    put(tmp_path, "etc/rancher/rke2/config.yaml", "token: x\n")
    before = files(tmp_path)
    given = ("--rack-table=/etc/racks", "--custom-data=/var/custom", "--startup-taint")
    first_boot(tmp_path, imds.url, *given)
    assert set(files(tmp_path)) > set(before)
    assert f"--register-with-taints={DOMAIN}/startup:NoSchedule" in arguments(tmp_path, SYSCONFIG)
    first_boot(tmp_path, imds.url, "--undo", *given)
    assert files(tmp_path) == before
    assert not (tmp_path / "run/imds-agent").exists()


def test_a_dry_run_shows_each_difference_and_writes_nothing(imds, tmp_path):
    imds.patch_instance({"compute": {"userData": base64.b64encode(SECRET.encode()).decode()}})
    put(kubeadm_vm(tmp_path), "var/lib/waagent/CustomData", base64.b64encode(SECRET.encode()))
    before = files(tmp_path)
    done = first_boot(tmp_path, imds.url, "--dry-run", "--custom-data=/var/custom")
    assert files(tmp_path) == before
    assert f"--- /{DEFAULT}\n+++ /{DEFAULT}\n" in done.out
    assert f"--- /dev/null\n+++ /{FACTS}\n" in done.out
    assert f"would change /{DEFAULT}: 14 labels, 0 taints" in done.out
    assert "/var/custom: 7 bytes would be written, not shown" in done.out
    assert SECRET not in done.out + done.err
    first_boot(tmp_path, imds.url)
    whole = files(tmp_path)
    undone = first_boot(tmp_path, imds.url, "--undo", "--dry-run")
    assert f"would change /{DEFAULT}" in undone.out
    assert files(tmp_path) == whole


def test_custom_data_is_written_as_it_was_given_for_root_alone(imds, tmp_path):
    put(tmp_path, "var/lib/waagent/CustomData", base64.b64encode(b"#!/bin/sh\necho \xff\n"))
    open_to_all = put(tmp_path, "var/custom", "old")
    open_to_all.chmod(0o644)
    first_boot(tmp_path, imds.url, "--custom-data=/var/custom")
    assert open_to_all.read_bytes() == b"#!/bin/sh\necho \xff\n"
    assert open_to_all.stat().st_mode & 0o777 == 0o600
    open_to_all.chmod(0o644)
    first_boot(tmp_path, imds.url, "--custom-data=/var/custom")
    assert open_to_all.stat().st_mode & 0o777 == 0o600


def test_what_others_may_read_holds_no_secret(imds, tmp_path):
    own = b"#imds-agent\n" + json.dumps(OWN).encode()
    imds.patch_instance({"compute": {"userData": base64.b64encode(own).decode()}})
    put(kubeadm_vm(tmp_path), "var/lib/waagent/CustomData", base64.b64encode(SECRET.encode()))
    done = first_boot(tmp_path, imds.url)
    told = (done.out + done.err).encode() + b"".join(
        files(tmp_path)[path] for path in (INSTANCE, FACTS, STATUS, DEFAULT)
    )
    for secret in (SECRET.encode(), base64.b64encode(own), b"ssh-rsa", b"azureuser"):
        assert secret not in told


def test_our_own_part_adds_what_it_may(imds, tmp_path):
    own = b"#imds-agent\n" + json.dumps(OWN).encode()
    imds.patch_instance({"compute": {"userData": base64.b64encode(own).decode()}})
    done = first_boot(
        kubeadm_vm(tmp_path), imds.url, "--allow-labels", "example.com/", "--startup-taint=example.com/wait"
    )
    assert f",{DOMAIN}/pool=blue," in arguments(tmp_path)
    assert "=example.com/team=x,imds" in arguments(tmp_path)
    assert arguments(tmp_path).endswith("--register-with-taints=example.com/wait:NoSchedule,example.com/new:NoSchedule")
    assert "own taint karpenter.sh/disrupted: it is Karpenter's" in done.err
    assert "1 pieces refused" in done.err
    first_boot(tmp_path, imds.url)
    assert "example.com/team" not in arguments(tmp_path)


def test_the_rack_table_is_one_that_the_script_takes(imds, tmp_path):
    first_boot(tmp_path, imds.url, "--rack-table=/etc/imds-agent/racks", "--form=zone/fd")
    text = (tmp_path / "etc/imds-agent/racks").read_text()
    assert answers(["10.224.0.6", "192.0.2.1"], [text], 2, False) == ["/westeurope-1/fd0", "/default-rack/default-rack"]


@pytest.mark.parametrize("name", ["k3s", "rke2"])
def test_k3s_and_rke2_get_a_file_of_their_own_and_somebody_elses_stays(imds, tmp_path, name):
    put(tmp_path, f"etc/rancher/{name}/config.yaml", "node-label:\n  - a=b\n")
    path = f"etc/rancher/{name}/config.yaml.d/{DROP_IN}"
    first_boot(tmp_path, imds.url)
    assert f'  - "{ZONE}=westeurope-1"\n' in (tmp_path / path).read_text()
    put(tmp_path, path, "node-label: []\n")
    first_boot(tmp_path, imds.url)
    assert (tmp_path / path).read_text() == "node-label: []\n"
    assert state(tmp_path, path) == ("failed", "expected a file of ours, found somebody else's")


def test_a_node_that_has_registered_is_the_agents_but_a_block_of_ours_is_kept_up_to_date(imds, tmp_path):
    kubeadm_vm(tmp_path)
    put(tmp_path, "etc/kubernetes/kubelet.conf")
    before = (tmp_path / DEFAULT).read_bytes()
    done = first_boot(tmp_path, imds.url)
    assert (tmp_path / DEFAULT).read_bytes() == before
    assert "the node has registered already (/etc/kubernetes/kubelet.conf)" in done.out
    assert status(tmp_path)["registered"] is True
    (tmp_path / "etc/kubernetes/kubelet.conf").unlink()
    first_boot(tmp_path, imds.url)
    put(tmp_path, "etc/kubernetes/kubelet.conf")
    imds.patch_instance({"compute": {"platformFaultDomain": "1"}})
    first_boot(tmp_path, imds.url)
    assert "rack=westeurope-1-fd1" in arguments(tmp_path)


def test_with_imds_dead_kubelet_starts_with_what_is_known_and_nothing_that_stood_is_lost(imds, tmp_path):
    kubeadm_vm(tmp_path)
    imds.put_faults([{"kind": "status", "status": 403}])
    done = first_boot(tmp_path, imds.url, "--startup-taint")
    assert arguments(tmp_path) == f"--max-pods=50 --register-with-taints={DOMAIN}/startup:NoSchedule"
    assert (status(tmp_path)["outcome"], status(tmp_path)["source"]) == ("failed", None)
    assert "status 403" in done.err
    assert "status 403" in status(tmp_path)["reasons"][0]
    assert set(files(tmp_path)) == {UNIT, DEFAULT, STATUS}
    imds.clear_faults()
    first_boot(tmp_path, imds.url)
    labelled = files(tmp_path)
    for fault in ({"kind": "status", "status": 403}, {"kind": "partial", "empty": ["name", "zone"]}):
        imds.put_faults([fault])
        first_boot(tmp_path, imds.url, "--wait=0")
        assert files(tmp_path)[DEFAULT] == labelled[DEFAULT]


def test_without_imds_the_copy_of_cloud_init_gives_the_labels(imds, tmp_path):
    imds.put_faults([{"kind": "status", "status": 403}])
    compute = {"vmId": "V", "name": "n", "location": "westus", "vmSize": "s", "subscriptionId": "x", "zone": "2"}
    copy = {"ds": {"meta_data": {"imds": {"compute": compute}}}}
    put(kubeadm_vm(tmp_path), "run/cloud-init/instance-data.json", json.dumps(copy))
    first_boot(tmp_path, imds.url)
    assert f"{ZONE}=westus-2" in arguments(tmp_path)
    assert (status(tmp_path)["outcome"], status(tmp_path)["source"]) == ("done", "cloud-init")


def test_a_file_that_is_not_understood_costs_itself_alone(imds, tmp_path):
    kubeadm_vm(tmp_path, content="KUBELET_EXTRA_ARGS=--a \\\n  --b\n")
    before = (tmp_path / DEFAULT).read_bytes()
    done = first_boot(tmp_path, imds.url)
    assert (tmp_path / DEFAULT).read_bytes() == before
    assert state(tmp_path, DEFAULT)[0] == "failed"
    assert "found a backslash at its end" in state(tmp_path, DEFAULT)[1]
    assert f"failed /{DEFAULT}: line 1: expected" in done.err
    assert (status(tmp_path)["outcome"], state(tmp_path, FACTS)[0]) == ("partly", "written")


def test_folders_in_the_place_of_files_cost_themselves_alone(imds, tmp_path):
    kubeadm_vm(tmp_path, content=None)
    (tmp_path / DEFAULT).mkdir()
    (tmp_path / FACTS).mkdir(parents=True)
    first_boot(tmp_path, imds.url)
    assert state(tmp_path, DEFAULT) == ("failed", "expected a file, found something else")
    assert state(tmp_path, FACTS)[0] == "failed"
    assert state(tmp_path, INSTANCE)[0] == "written"


def test_modes_of_files_that_are_there_are_kept_and_links_are_followed_within_the_root(imds, tmp_path):
    kubeadm_vm(tmp_path)
    (tmp_path / DEFAULT).rename(tmp_path / "etc/real")
    (tmp_path / "etc/real").chmod(0o600)
    (tmp_path / DEFAULT).symlink_to("/etc/real")
    first_boot(tmp_path, imds.url)
    assert (tmp_path / DEFAULT).is_symlink()
    assert ZONE in (tmp_path / "etc/real").read_text()
    assert (tmp_path / "etc/real").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / FACTS).stat().st_mode & 0o777 == 0o644


def test_kubelet_none_writes_facts_alone(imds, tmp_path):
    kubeadm_vm(tmp_path)
    first_boot(tmp_path, imds.url, "--kubelet=none")
    assert arguments(tmp_path) == "--max-pods=50"
    assert (status(tmp_path)["outcome"], status(tmp_path)["labels"]) == ("done", {})


@pytest.mark.parametrize(
    "wrong",
    ["--wait=soon", "--form=x", "--allow-labels=kubernetes.io/", "--allow-labels=e", "--startup-taint=node-role.kubernetes.io/x", "--kubelet=no", "--startup-taint=a b"],
)  # fmt: skip
def test_only_wrong_usage_ends_with_2(wrong, tmp_path):
    assert wrong.partition("=")[0] in refused(2, "first-boot", f"--root={tmp_path}", wrong)
    assert files(tmp_path) == {}
