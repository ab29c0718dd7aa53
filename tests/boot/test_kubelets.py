"""Which kubelets a VM has, and whether they may be told anything: by what lies on its disk."""

import os

import pytest

from agent.boot.kubelets import kubelets, marked
from tests.boot.vm import DEFAULT, SYSCONFIG, UNIT, UNIT_TEXT, kubeadm_vm, put


def paths(root):
    return [each.path for each in kubelets(root).found]


@pytest.mark.parametrize("file", [DEFAULT, SYSCONFIG])
def test_the_file_that_kubelets_unit_reads_is_the_one_whether_it_is_there_or_not(tmp_path, file):
    kubeadm_vm(tmp_path, file, content=None)
    assert paths(tmp_path) == [file]
    put(tmp_path, SYSCONFIG if file == DEFAULT else DEFAULT, "KUBELET_EXTRA_ARGS=--x\n")
    assert paths(tmp_path) == [file]


def test_a_unit_in_etc_and_a_unit_without_drop_in_are_found(tmp_path):
    put(tmp_path, "etc/systemd/system/kubelet.service", UNIT_TEXT.format(file="/etc/default/kubelet"))
    assert paths(tmp_path) == [DEFAULT]


def test_without_a_unit_a_file_that_assigns_kubelets_flags_is_taken_for_its_file(tmp_path):
    put(tmp_path, SYSCONFIG, "KUBELET_EXTRA_ARGS=\n")
    put(tmp_path, DEFAULT, "# KUBELET_EXTRA_ARGS=\n")
    assert paths(tmp_path) == [SYSCONFIG]


def test_a_unit_that_reads_neither_is_told(tmp_path):
    put(tmp_path, UNIT, "[Service]\nExecStart=/usr/bin/kubelet\n")
    put(tmp_path, DEFAULT, "KUBELET_EXTRA_ARGS=\n")
    found = kubelets(tmp_path)
    assert found.found == ()
    assert "reads no KUBELET_EXTRA_ARGS" in found.notes[0]


def test_a_vm_without_kubelet_has_none_and_nothing_is_said(tmp_path):
    put(tmp_path, "etc/default/cron", "X=1\n")
    found = kubelets(tmp_path)
    assert (found.found, found.notes) == ((), ())


@pytest.mark.parametrize("name", ["k3s", "rke2"])
@pytest.mark.parametrize("sign", ["etc/rancher/{}/config.yaml", "usr/local/bin/{}", "opt/{}/bin/{}"])
def test_k3s_and_rke2_are_told_by_a_drop_in(tmp_path, name, sign):
    put(tmp_path, sign.format(name, name))
    [found] = kubelets(tmp_path).found
    assert (found.path, found.form) == (f"etc/rancher/{name}/config.yaml.d/90-imds-agent.yaml", "drop-in")
    assert found.admitted is None
    put(tmp_path, f"var/lib/rancher/{name}/agent/client-kubelet.crt")
    assert kubelets(tmp_path).found[0].admitted == f"var/lib/rancher/{name}/agent/client-kubelet.crt"


@pytest.mark.parametrize("sign", ["opt/azure/containers/provision.sh", DEFAULT])
def test_aks_is_left_to_the_daemonset(tmp_path, sign):
    kubeadm_vm(tmp_path)
    put(tmp_path, sign, "KUBELET_NODE_LABELS=agentpool=a\nKUBELET_EXTRA_ARGS=\n")
    found = kubelets(tmp_path)
    assert found.found == ()
    assert "AKS" in found.notes[0]
    assert "DaemonSet" in found.notes[0]


@pytest.mark.parametrize(
    "sign",
    ["var/lib/kubelet/kubeconfig", "etc/kubernetes/kubelet.conf", "var/lib/kubelet/pki/kubelet-client-current.pem"],
)
def test_credentials_of_a_kubelet_say_that_its_node_has_registered(tmp_path, sign):
    kubeadm_vm(tmp_path)
    assert kubelets(tmp_path).found[0].admitted is None
    put(tmp_path, sign)
    assert kubelets(tmp_path).found[0].admitted == sign


def test_a_certificate_that_is_a_link_is_looked_for_within_the_root(tmp_path):
    kubeadm_vm(tmp_path)
    link = put(tmp_path, "var/lib/kubelet/pki/kubelet-client-current.pem")
    link.unlink()
    link.symlink_to("/var/lib/kubelet/pki/kubelet-client-2026.pem")
    assert kubelets(tmp_path).found[0].admitted is None
    put(tmp_path, "var/lib/kubelet/pki/kubelet-client-2026.pem")
    assert kubelets(tmp_path).found[0].admitted is not None


def test_taints_that_kubeadm_names_are_not_replaced(tmp_path):
    kubeadm_vm(tmp_path)
    put(tmp_path, "var/lib/kubelet/kubeadm-flags.env", 'KUBELET_KUBEADM_ARGS="--register-with-taints=a=b:NoSchedule"\n')
    assert "kubeadm" in kubelets(tmp_path).found[0].foreign_taints


def test_only_files_that_we_wrote_are_marked(tmp_path):
    kubeadm_vm(tmp_path)
    put(tmp_path, "etc/rancher/k3s/config.yaml.d/90-imds-agent.yaml", "node-label: [a=b]\n")
    assert list(marked(tmp_path)) == []


def test_odd_things_in_the_place_of_files_are_no_files(tmp_path):
    kubeadm_vm(tmp_path, content=None)
    (tmp_path / DEFAULT).mkdir()
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    (tmp_path / "etc/systemd/system/kubelet.service").symlink_to("/etc/systemd/system/kubelet.service")
    assert paths(tmp_path) == [DEFAULT]
    os.mkfifo(tmp_path / "usr/lib/systemd/system/kubelet.service.d/20-pipe.conf")
    assert paths(tmp_path) == [DEFAULT]
