"""The DaemonSet in manifests/base, where scheduler and controllers act on it."""

import base64
import json
import time
import uuid

import pytest
import yaml

from tests.controlplane.installed import BASE

GATES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
PATIENCE = 60.0  # seconds


def until(look, seconds: float = PATIENCE):
    """Return what `look` finds once it finds something."""
    last = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < last, "it did not come about"
        time.sleep(0.2)


def agent_pods(plane, node_name: str) -> list[dict]:
    return plane.admin.get(
        "/api/v1/namespaces/imds-agent/pods",
        fieldSelector=f"spec.nodeName={node_name}",
        labelSelector="app.kubernetes.io/name=imds-agent",
    )["items"]


@pytest.fixture
def nodes(whole_plane):
    made = []

    def make(**options):
        made.append(whole_plane.register_node(f"daemon-{uuid.uuid4().hex[:8]}", **options))
        return made[-1]

    yield make
    for node in made:
        node.close()
        node.delete()


def test_type_checking_would_find_something(whole_plane):
    name = f"broken-{uuid.uuid4().hex[:8]}"
    broken = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {
                "resourceRules": [
                    {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["nodes"]}
                ]
            },
            "validations": [{"expression": "object.spec.nonsense == 'x'"}],
        },
    }
    whole_plane.admin.post(GATES, broken)
    warned = until(
        lambda: (
            whole_plane.admin.get(f"{GATES}/{name}").get("status", {}).get("typeChecking", {}).get("expressionWarnings")
        )
    )
    whole_plane.admin.delete(f"{GATES}/{name}")
    assert "nonsense" in json.dumps(warned)


def test_the_agent_runs_on_a_node_that_is_cordoned_tainted_and_not_ready(whole_plane, nodes):
    node = nodes(taints=[{"key": "dedicated", "effect": "NoExecute"}])
    whole_plane.kubectl("cordon", node.name)
    node.set_ready(False)
    with whole_plane.play_pods(node.name):
        [pod] = until(lambda: [p for p in agent_pods(whole_plane, node.name) if p["status"]["phase"] == "Running"])
    assert pod["spec"]["serviceAccountName"] == "imds-agent"
    assert pod["spec"]["priorityClassName"] == "system-node-critical"
    assert pod["spec"]["hostNetwork"] is True


@pytest.mark.parametrize("labels", [{"type": "virtual-kubelet"}, {"kubernetes.io/os": "windows"}])
def test_no_agent_runs_on_a_virtual_or_a_windows_node(whole_plane, nodes, labels):
    other, real = nodes(labels=labels), nodes()
    until(lambda: agent_pods(whole_plane, real.name))
    assert agent_pods(whole_plane, other.name) == []


def test_but_for_the_hosts_network_the_pod_passes_the_restricted_standard(whole_plane):
    namespace = f"strict-{uuid.uuid4().hex[:8]}"
    labels = {"pod-security.kubernetes.io/warn": "restricted"}
    whole_plane.admin.post("/api/v1/namespaces", {"metadata": {"name": namespace, "labels": labels}})
    manifests = whole_plane.kubectl("kustomize", str(BASE))
    [daemonset] = [part for part in manifests.split("\n---\n") if "kind: DaemonSet" in part]
    moved = daemonset.replace("namespace: imds-agent", f"namespace: {namespace}")
    said = whole_plane.kubectl("create", "--dry-run=server", "-f", "-", input=moved, check=False)
    whole_plane.admin.delete(f"/api/v1/namespaces/{namespace}")
    assert 'would violate PodSecurity "restricted' in said
    faults = said.split('latest":')[1].split("\n")[0]
    assert "hostNetwork" in faults
    assert "hostPort" in faults
    for other in ("runAsNonRoot", "seccompProfile", "capabilities", "allowPrivilegeEscalation", "volume"):
        assert other not in faults


def container() -> dict:
    [found] = yaml.safe_load((BASE / "daemonset.yaml").read_text())["spec"]["template"]["spec"]["containers"]
    return found


def test_the_pod_knows_its_node_and_itself():
    names = {entry["name"]: entry["valueFrom"]["fieldRef"]["fieldPath"] for entry in container()["env"]}
    assert names == {
        "NODE_NAME": "spec.nodeName",
        "POD_NAME": "metadata.name",
        "POD_NAMESPACE": "metadata.namespace",
    }


def test_the_switch_is_a_whole_volume_that_need_not_be_there(whole_plane, nodes):
    """A subPath would never be refreshed; a ConfigMap of the base would be put back at every apply."""
    node = nodes()
    [pod] = until(lambda: agent_pods(whole_plane, node.name))
    [volume] = [volume for volume in pod["spec"]["volumes"] if "configMap" in volume]
    assert (volume["configMap"]["name"], volume["configMap"]["optional"]) == ("imds-agent-switch", True)
    [mount] = [mount for mount in pod["spec"]["containers"][0]["volumeMounts"] if mount["name"] == volume["name"]]
    assert mount.get("subPath") is None
    assert f"--switch-file={mount['mountPath']}/switch.yaml" in pod["spec"]["containers"][0]["args"]
    assert "kind: ConfigMap" not in whole_plane.kubectl("kustomize", str(BASE))


def test_a_stolen_token_is_good_for_an_hour_and_not_for_a_year(whole_plane, nodes):
    """Of tokens that kubelet asks for by itself, which are for 3607 seconds, the API server makes such of a year."""
    node = nodes()
    [pod] = until(lambda: agent_pods(whole_plane, node.name))
    [sources] = [volume["projected"]["sources"] for volume in pod["spec"]["volumes"] if "projected" in volume]
    [seconds] = [
        source["serviceAccountToken"]["expirationSeconds"] for source in sources if "serviceAccountToken" in source
    ]
    assert lasts(whole_plane, pod, seconds) == 3600
    assert lasts(whole_plane, pod, 3607) > 300 * 86400


def lasts(plane, pod, seconds: int) -> int:
    """Ask for a token as kubelet does, and return the seconds for which the API server takes it."""
    bound = {"apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
    body["spec"] = {"expirationSeconds": seconds, "boundObjectRef": bound}
    token = plane.admin.post("/api/v1/namespaces/imds-agent/serviceaccounts/imds-agent/token", body)["status"]["token"]
    claims = token.split(".")[1]
    said = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    return said["exp"] - said["iat"]
