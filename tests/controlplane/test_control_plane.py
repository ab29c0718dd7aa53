"""The control plane of the tests itself: it starts, serves whom it should, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.controlplane.leftovers import processes_of, wait_until_gone
from tests.controlplane.nodes import NodeActor
from tests.controlplane.plane import ControlPlane
from tests.controlplane.session import ApiError

ROOT = Path(__file__).resolve().parents[2]


def test_a_control_plane_leaves_no_process_and_no_folder(built):
    with ControlPlane() as plane:
        assert len(processes_of(str(plane.workdir))) == 2  # etcd and kube-apiserver
    wait_until_gone(str(plane.workdir))


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_a_control_plane_ends_with_its_parent_however_that_ends(built, end):
    story = (
        "import time\n"
        "from tests.controlplane.plane import ControlPlane\n"
        "with ControlPlane() as plane:\n"
        "    print(plane.workdir, flush=True)\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", story], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        workdir = parent.stdout.readline().strip()
        assert len(processes_of(workdir)) == 2
        parent.send_signal(end)
    wait_until_gone(workdir)


def test_a_folder_of_ones_own_keeps_the_logs(built, tmp_path):
    with ControlPlane(workdir=tmp_path / "plane") as plane:
        assert plane.admin.get("/version")["gitVersion"].startswith("v1.")
    assert (tmp_path / "plane" / "kube-apiserver.log").stat().st_size > 0


def test_an_outage_refuses_connections_and_the_server_returns_on_the_same_address(built):
    with ControlPlane() as plane:
        plane.register_node("before")
        plane.stop_apiserver()
        with pytest.raises(requests.ConnectionError):
            plane.admin.get("/api/v1/nodes/before")
        plane.start_apiserver()
        assert plane.admin.get("/api/v1/nodes/before")["metadata"]["name"] == "before"


def test_a_registered_node_is_ready_and_kubelets_own(plane, node: NodeActor):
    found = node.get()
    assert {c["type"]: c["status"] for c in found["status"]["conditions"]}["Ready"] == "True"
    assert found["status"]["nodeInfo"]["bootID"] == node.boot_id
    assert found["spec"]["providerID"].endswith(node.name)
    assert "taints" not in found["spec"]
    assert "kubelet" in {entry["manager"] for entry in found["metadata"]["managedFields"]}


def test_a_kubelet_may_not_change_another_node(plane, node: NodeActor):
    other = plane.register_node(f"{node.name}-other")
    with pytest.raises(ApiError) as refused:
        node.kubelet.patch(other.path, {"metadata": {"labels": {"a": "b"}}})
    assert refused.value.status == 403
    other.delete()


def test_a_node_that_is_not_ready_carries_the_taint_until_it_is(plane, node: NodeActor):
    node.set_ready(False)
    assert node.get()["spec"]["taints"] == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]
    node.set_ready(True)
    assert "taints" not in node.get()["spec"]


def test_a_reboot_changes_the_boot_id_and_nothing_else_of_the_machine(plane, node: NodeActor):
    before = node.get()["status"]["nodeInfo"]
    node.reboot()
    after = node.get()["status"]["nodeInfo"]
    assert before.pop("bootID") != after.pop("bootID")
    assert before == after


def test_a_recreated_node_has_a_new_uid(plane, node: NodeActor):
    before = node.uid
    node.recreate()
    assert node.get()["metadata"]["uid"] == node.uid != before


def test_an_agents_token_carries_its_nodes_name(plane, node: NodeActor):
    session = plane.session(token=plane.agent_token(node.name))
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    user = session.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", review)["status"]["userInfo"]
    assert user["username"] == "system:serviceaccount:imds-agent:imds-agent"
    assert user["extra"]["authentication.kubernetes.io/node-name"] == [node.name]


def test_an_agents_kubeconfig_reads_a_rotated_token(plane, node: NodeActor):
    config = plane.agent_kubeconfig(node.name)
    token_file = config.with_suffix(".token")
    first = token_file.read_text()
    assert plane.agent_kubeconfig(node.name) == config
    assert token_file.read_text() != first
    assert node.name in plane.kubectl("get", "node", node.name, kubeconfig=config)
    assert oct(token_file.stat().st_mode & 0o777) == oct(0o600)


def test_nobody_gets_in_without_a_name(plane):
    assert plane.session().raw("GET", "/api/v1/nodes").status_code == 401


def test_a_pod_is_scheduled_runs_and_ends(whole_plane):
    node = whole_plane.register_node(f"runs-{os.getpid()}")
    with whole_plane.play_pods(node.name):
        whole_plane.admin.post("/apis/apps/v1/namespaces/default/deployments", deployment(node.name))
        whole_plane.kubectl("rollout", "status", "deployment", node.name, "--timeout=180s")
        whole_plane.kubectl("delete", "deployment", node.name)
        whole_plane.kubectl("wait", "pods", "-l", f"app={node.name}", "--for=delete", "--timeout=180s")
    node.close()
    node.delete()


def deployment(node: str) -> dict[str, object]:
    """Return two pods for this node alone: others' nodes run no pods of this test."""
    labels = {"app": node}
    spec = {"nodeSelector": {"kubernetes.io/hostname": node}, "containers": [{"name": "web", "image": "web"}]}
    template = {"metadata": {"labels": labels}, "spec": spec}
    wanted = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": node}, "spec": wanted}
