"""What manifests/README.md says of overlays."""

import os
from pathlib import Path

import pytest
import yaml

from tests.controlplane.installed import BASE, POLICY
from tests.controlplane.plane import ControlPlane
from tests.controlplane.session import MERGE

OVERLAYS = BASE.parent / "overlays"
HEAD = """
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [{base}]
"""
OTHER_NAMESPACE = "namespace: elsewhere\n"
OTHER_IMAGE = "images: [{name: imds-agent, newName: registry.example.com/agent, newTag: 9.9.9}]\n"
WITHOUT_POLICY = """
patches:
  - patch: |
      $patch: delete
      apiVersion: admissionregistration.k8s.io/v1
      kind: ValidatingAdmissionPolicy
      metadata: {name: imds-agent-own-node}
  - patch: |
      $patch: delete
      apiVersion: admissionregistration.k8s.io/v1
      kind: ValidatingAdmissionPolicyBinding
      metadata: {name: imds-agent-own-node}
"""


@pytest.fixture
def overlay(tmp_path: Path):
    """Write an overlay of the base and return its folder."""

    def write(rest: str) -> Path:
        head = HEAD.format(base=os.path.relpath(BASE, tmp_path.resolve()))
        (tmp_path / "kustomization.yaml").write_text(head + rest)
        return tmp_path.resolve()

    return write


def objects_of(plane, folder: Path) -> dict[str, dict]:
    """Return the objects that kustomize makes, by kind."""
    return {item["kind"]: item for item in yaml.safe_load_all(plane.kubectl("kustomize", str(folder)))}


def image(objects: dict[str, dict]) -> str:
    [container] = objects["DaemonSet"]["spec"]["template"]["spec"]["containers"]
    return container["image"]


def test_the_base_names_its_image_with_a_version(plane):
    assert image(objects_of(plane, BASE)) == "imds-agent:0.1.0"


def test_an_overlay_changes_the_image(plane, overlay):
    assert image(objects_of(plane, overlay(OTHER_IMAGE))) == "registry.example.com/agent:9.9.9"


def test_an_overlay_leaves_the_policy_out_and_nothing_else(plane, overlay):
    gone = set(objects_of(plane, BASE)) - set(objects_of(plane, overlay(WITHOUT_POLICY)))
    assert gone == {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}


def test_in_another_namespace_the_rights_and_the_policy_go_along(built, overlay):
    with ControlPlane() as plane:
        plane.install(overlay(OTHER_NAMESPACE), namespace="elsewhere")
        node = plane.register_node("a")
        agent = plane.session(token=plane.agent_token("a", "elsewhere"))
        assert agent.patch(node.path, {"metadata": {"labels": {"vm.imds-agent.github.io/size": "x"}}})
        refused = agent.raw("PATCH", node.path, {"metadata": {"labels": {"a": "b"}}}, content_type=MERGE)
        assert refused.status_code == 403
        assert POLICY in refused.text
        labels = plane.admin.get("/api/v1/namespaces/elsewhere")["metadata"]["labels"]
        assert labels["pod-security.kubernetes.io/enforce"] == "privileged"


def test_with_its_overlay_the_agent_may_give_a_zone_where_none_is_and_nothing_more(built, overlay):
    def zone(value: str | None, key: str = "topology.kubernetes.io/zone") -> dict:
        return {"metadata": {"labels": {key: value}}}

    with ControlPlane() as plane:
        plane.install(OVERLAYS / "zone-if-absent")
        node = plane.register_node("a")
        agent = plane.session(token=plane.agent_token("a"))

        def answer(body: dict) -> int:
            return agent.raw("PATCH", node.path, body, content_type=MERGE).status_code

        assert answer(zone("westeurope", key="topology.kubernetes.io/region")) == 200
        assert answer(zone("westeurope-1")) == 200
        assert answer(zone("westeurope-2")) == 403
        assert answer(zone(None)) == 403
        assert answer(zone("x", key="topology.kubernetes.io/hostgroup")) == 403
        assert answer(zone("x", key="vm.imds-agent.github.io/size")) == 200
        [container] = objects_of(plane, OVERLAYS / "zone-if-absent")["DaemonSet"]["spec"]["template"]["spec"][
            "containers"
        ]
        assert {entry["name"] for entry in container["env"]} == {"NODE_NAME", "IMDS_AGENT_WELL_KNOWN_LABELS"}
