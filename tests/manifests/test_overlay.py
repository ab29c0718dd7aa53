"""What manifests/README.md says of overlays."""

import argparse
import os
import re
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from agent.clients.cluster import Access, Cluster
from agent.clients.cluster_taints import write_taints
from agent.core.taints import TaintRules
from agent.settings import Settings
from agent.settings_sources import add_flags, read_settings
from tests.controlplane.installed import BASE, POLICY
from tests.controlplane.plane import ControlPlane
from tests.controlplane.session import MERGE
from tests.manifests.stage import COMPONENTS, OVERLAYS, POLICIES

HEAD = """
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [{base}]
"""
OTHER_NAMESPACE = "namespace: elsewhere\n"
OTHER_IMAGE = "images: [{name: imds-agent, newName: registry.example.com/agent, newTag: 9.9.9}]\n"
GATES = {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}


@pytest.fixture
def overlay(tmp_path: Path):
    """Write an overlay of the base and return its folder."""

    def write(rest: str) -> Path:
        head = HEAD.format(base=os.path.relpath(BASE, tmp_path.resolve()))
        (tmp_path / "kustomization.yaml").write_text(head + rest)
        return tmp_path.resolve()

    return write


def components(folder: Path, *names: str) -> str:
    """Return the lines of an overlay in this folder that take components."""
    found = [os.path.relpath(COMPONENTS / name, folder.resolve()) for name in names]
    return f"components: {found}\n"


def objects_of(plane, folder: Path) -> list[dict]:
    """Return the objects that kustomize makes."""
    return list(yaml.safe_load_all(plane.kubectl("kustomize", str(folder))))


def named(objects: list[dict]) -> set[tuple[str, str]]:
    return {(item["kind"], item["metadata"]["name"]) for item in objects}


def container(objects: list[dict]) -> dict:
    [daemon_set] = [item for item in objects if item["kind"] == "DaemonSet"]
    [found] = daemon_set["spec"]["template"]["spec"]["containers"]
    return found


def image(objects: list[dict]) -> str:
    return container(objects)["image"]


def settings_of(plane, folder: Path) -> Settings:
    """Return what the agent makes of the overlay's arguments and variables."""
    found = container(objects_of(plane, folder))
    parser = argparse.ArgumentParser()
    add_flags(parser, ())
    command, *flags = found["args"]
    assert command == "run"
    environment = {entry["name"]: entry.get("value", "given") for entry in found["env"]}
    return read_settings(parser.parse_args(flags), environment)


def test_the_base_names_its_image_with_a_version(plane):
    assert image(objects_of(plane, BASE)) == "imds-agent:0.1.0"


def test_an_overlay_changes_the_image(plane, overlay):
    assert image(objects_of(plane, overlay(OTHER_IMAGE))) == "registry.example.com/agent:9.9.9"


def test_the_overlay_to_copy_names_the_image_and_switches_nothing_on(plane, tmp_path):
    """Whoever copies it for the image's sake must not get a drain with it."""
    text = (BASE.parent / "README.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```yaml\n(# my-overlay/kustomization.yaml\n.*?)```", text, re.DOTALL)
    folder = tmp_path.resolve()
    (folder / "kustomization.yaml").write_text(example.replace("../manifests", os.path.relpath(BASE.parent, folder)))
    made, base = objects_of(plane, folder), objects_of(plane, BASE)
    assert container(made).pop("image").startswith("registry.example.com/")
    container(base).pop("image")
    assert made == base


def test_an_overlay_leaves_the_policies_out_and_nothing_else(plane, overlay, tmp_path):
    without = named(objects_of(plane, overlay(components(tmp_path, "without-policies"))))
    gone = named(objects_of(plane, BASE)) - without
    assert gone == {(kind, policy) for kind in GATES for policy in POLICIES}


def test_components_go_together_in_one_overlay_of_ones_own(plane, overlay, tmp_path):
    """Also in another namespace: the rights go along."""
    rest = OTHER_NAMESPACE + components(tmp_path, "zone-if-absent", "startup-taint", "drain", "drain-delete")
    objects = objects_of(plane, overlay(rest))
    said = {entry["name"]: entry.get("value") for entry in container(objects)["env"]}
    assert said.keys() >= {
        "IMDS_AGENT_WELL_KNOWN_LABELS", "IMDS_AGENT_STARTUP_TAINT", "IMDS_AGENT_POLICY", "IMDS_AGENT_ON_DEADLINE"
    }  # fmt: skip
    bindings = [item for item in objects if item["kind"] in ("ClusterRoleBinding", "RoleBinding")]
    assert [subject["namespace"] for item in bindings for subject in item["subjects"]] == ["elsewhere"] * 4


def test_by_default_nothing_drains_and_the_switch_is_read(plane):
    settings = settings_of(plane, BASE)
    assert not settings.rules().events.drains
    assert settings.switch_file == Path("/etc/imds-agent/switch/switch.yaml")
    assert settings.rules().own_pod == ("given", "given")


def test_the_drain_overlays_switch_on_what_they_are_named_for(plane):
    drain, deleting = (settings_of(plane, OVERLAYS / name).rules() for name in ("drain", "drain-delete"))
    for rules in (drain, deleting):
        drained = {name for name, rule in rules.events.rules.items() if rule.do == "drain"}
        assert drained == {"Preempt", "Redeploy", "Terminate"}
    assert (drain.drain.on_deadline, deleting.drain.on_deadline) == ("leave", "delete")


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
        assert settings_of(plane, OVERLAYS / "zone-if-absent").well_known_labels == "if-absent"


def test_with_its_overlay_the_agent_may_remove_a_startup_taint_of_anothers_name_and_nothing_more(built):
    gone, plain = ({"key": key, "effect": "NoSchedule"} for key in ("example.com/not-labelled", "dedicated"))
    with ControlPlane() as plane:
        plane.install(OVERLAYS / "startup-taint")
        node = plane.register_node("a", taints=[gone, plain])
        agent = plane.session(token=plane.agent_token("a"))

        def answer(*wanted: dict) -> int:
            return agent.raw("PATCH", node.path, {"spec": {"taints": list(wanted)}}, content_type=MERGE).status_code

        assert answer({**gone, "effect": "NoExecute"}, plain) == 403
        assert answer({**gone, "value": "x"}, plain) == 403
        assert answer(gone) == 403
        assert answer() == 403
        assert answer(plain) == 200
        assert answer(gone, plain) == 403
        assert answer(plain, {"key": "imds-agent.github.io/scheduled-event", "effect": "NoSchedule"}) == 200
        startup = settings_of(plane, OVERLAYS / "startup-taint").startup_taint
        assert startup == gone["key"]
        plane.admin.patch(node.path, {"spec": {"taints": [gone, plain]}})
        with closing(Cluster(Access(kubeconfig=plane.agent_kubeconfig("a")))) as cluster:
            write_taints(
                cluster, "a", node.uid, event_type=None, lift_startup=True,
                rules=TaintRules(startup=startup), domain="imds-agent.github.io",
            )  # fmt: skip
        assert node.get()["spec"]["taints"] == [plain]


def test_with_its_overlay_the_agent_may_set_a_taint_that_ends_pods(built):
    with ControlPlane() as plane:
        plane.install(OVERLAYS / "event-taint-no-execute")
        node = plane.register_node("a")
        settings = settings_of(plane, OVERLAYS / "event-taint-no-execute")
        with closing(Cluster(Access(kubeconfig=plane.agent_kubeconfig("a")))) as cluster:
            given = {"lift_startup": False, "rules": settings.rules().taints, "domain": settings.domain}
            write_taints(cluster, "a", node.uid, event_type="Reboot", **given)
            [taint] = node.get()["spec"]["taints"]
            assert (taint["key"], taint["effect"]) == ("imds-agent.github.io/scheduled-event", "NoExecute")
            write_taints(cluster, "a", node.uid, event_type=None, **given)
        assert "taints" not in node.get()["spec"]
