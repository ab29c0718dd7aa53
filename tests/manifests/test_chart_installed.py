"""The chart on a real API server: each profile installed by Helm over the one before, and the agent under exactly its rights."""

from collections.abc import Callable
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import yaml

from agent.core.labels import DOMAIN
from agent.doctor.kubernetes import ZONAL
from tests.controlplane.installed import refuses, wait
from tests.controlplane.plane import ControlPlane
from tests.manifests.helm import CHART, HelmRefused, run_helm, template
from tests.manifests.stage import outcome, staged
from tests.manifests.variants import OVERLAYS, PROFILES, chart_objects, flat, profile, rights, settings_file
from tests.promises.agents import annotations, cordoned, labels, node_of, tended
from tests.promises.moving import Pods

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("charted")]
OTHERWISE = """
image: {repository: registry.example.com/agent, digest: "sha256:%s", pullPolicy: IfNotPresent}
imagePullSecrets: [{name: registry}]
settings: {log-level: debug, drain-budget: 3, tags-rename: {Cost: cost-center}, freeze-budget: off}
switch: {drain: hold, cordon: on, withdraw: false}
metrics: {address: "[fd00::1]", port: 9100}
resources: {requests: {cpu: 50m}}
tolerations: [{key: a, operator: Exists}, {operator: Exists, effect: NoSchedule}]
nodeSelector: {pool: blue, "on": "true"}
nodeExpressions: [{key: kubernetes.azure.com/managed, operator: NotIn, values: ["false"]}]
maxUnavailable: 2
extraEnv: [{name: KUBERNETES_SERVICE_HOST, value: 10.0.0.1}]
podLabels: {team: storage}
podAnnotations: {number: "1"}
""" % ("0" * 64)
VARIANTS = {
    "no values": "",
    "otherwise": OTHERWISE,
    "without policies": "policies: {enabled: false}",
    **{name: profile(name) for name in PROFILES},
    **OVERLAYS,
}
OWNER = {"apiVersion": "example.com/v1", "kind": "Set", "name": "set", "uid": "0-0", "controller": True}
ASKING = {"selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews", "clustertrustbundles"}
BUDGETS = {"drain_budget": "10%", "freeze_budget": "10%"}  # places are taken, as by default


@pytest.fixture(scope="module")
def fresh(built):
    """A control plane with nothing of ours but the namespace."""
    with ControlPlane(scheduler=True, controller_manager=True) as plane:
        plane.kubectl("apply", "-f", str(CHART.parents[1] / "base" / "namespace.yaml"))
        yield plane


@pytest.fixture
def install(fresh, tmp_path) -> Callable[[str], SimpleNamespace]:
    """Return a function that has Helm install these values over what is there, and waits until rights and policies are those."""

    def put(values: str) -> SimpleNamespace:
        given = ("upgrade", "--install", "imds-agent", str(CHART), "-n", "imds-agent", "-f", "-")
        given += ("--reset-values",)  # with no values Helm takes those of the release before
        notes = run_helm(*given, kubeconfig=fresh.admin_kubeconfig, input=values or "{}").partition("NOTES:")[2]
        objects = chart_objects(values=values)
        domain = ((yaml.safe_load(values) or {}).get("settings") or {}).get("domain", DOMAIN)
        granted = rights(objects, "ClusterRole") | rights(objects, "Role")
        wait(lambda: allowed(fresh) == granted, "the rights are not those of the chart")
        with node_of(fresh) as node, fresh.new_session(token=fresh.agent_token(node.name)) as session:
            wait(lambda: refuses(session, node.path), "the policy does not refuse a foreign label")
            wait(lambda: not refuses(session, node.path, f"tag.{domain}/own"), "the policy refuses a label of ours")
        return SimpleNamespace(notes=notes, file=settings_file(objects, tmp_path))

    return put


def allowed(plane) -> set[tuple[str, str, str]]:
    """Return all that the agent may do in its namespace, less what every account may ask about itself."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": "imds-agent"},
    }
    with plane.new_session(token=plane.agents.unbound_token("imds-agent", "imds-agent")) as session:
        found = session.post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review)["status"]["resourceRules"]
    return flat([rule for rule in found if not set(rule["resources"]) & ASKING])


@contextmanager
def agent_of(plane, installed: SimpleNamespace):
    """Run the agent with the settings file that its pod would have, and what the chart grants."""
    own = {"config": str(installed.file)} if installed.file else {}
    with tended(plane, **BUDGETS, **own) as scene:
        yield scene
        bad = [entry for entry in scene.agent.log if entry["level"] in ("warning", "error") and "cannot " in str(entry)]
        assert bad == [], "a right is missing"


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_passes_a_strict_dry_run_of_the_server_without_a_warning(fresh, variant):
    said = fresh.kubectl(
        "apply", "--dry-run=server", "--validate=strict", "-f", "-", input=template(values=VARIANTS[variant]), check=False
    )  # fmt: skip
    assert "Warning" not in said
    assert "rror" not in said
    assert len(said.splitlines()) == len(chart_objects(values=VARIANTS[variant]))


@pytest.mark.parametrize("variant", ["no values", "aks", "self-managed"])
def test_the_agent_labels_cordons_and_gives_back(fresh, install, variant):
    installed = install(VARIANTS[variant])
    with agent_of(fresh, installed) as scene:
        scene.wait_labelled()
        scene.agent.wait_said("policy.enforced")
        event = scene.event("Reboot")
        scene.wait_cordoned()
        scene.over(event)
        scene.wait_released()


@pytest.mark.parametrize(("name", "leaves"), [("aks", False), ("self-managed", True)])
def test_self_managed_drains_within_its_budget_and_aks_does_not(fresh, install, name, leaves):
    with agent_of(fresh, install(profile(name))) as scene:
        pods = Pods(fresh, scene.node.name)
        [uid] = pods.add(1, metadata={"ownerReferences": [OWNER]})
        event = scene.event("Preempt", NotBeforeSeconds=120)
        scene.wait_cordoned()
        if leaves:
            wait(lambda: uid not in pods.staying(), "the pod did not leave")
        else:
            scene.polled(5)
            assert pods.staying() == {uid}
        scene.over(event)
        scene.wait_released()
        pods.close()


def test_label_only_labels_and_never_asks_for_events(fresh, install):
    with agent_of(fresh, install(profile("label-only"))) as scene:
        scene.event("Reboot")
        scene.wait_labelled()
        scene.agent.wait_said("policy.enforced")
        scene.asked("/metadata/instance", 4)
        assert [entry for entry in scene.imds.requests() if "scheduledevents" in entry["path"]] == []
        assert not cordoned(scene.get())


def test_a_mark_that_stands_is_tended_with_the_rights_of_label_only(fresh, install):
    install("")
    with tended(fresh, **BUDGETS) as scene:
        event = scene.event("Freeze", DurationInSeconds=300)
        scene.wait_cordoned()
        installed = install(profile("label-only"))
        scene.agent.kill()
        scene.agent.options.append(f"--config={installed.file}")
        scene.agent.start()
        scene.over(event)
        scene.wait_released()


def test_autoscaler_safe_leaves_no_label_that_differs_between_zones(fresh, install):
    with agent_of(fresh, install(profile("autoscaler-safe"))) as scene:
        found = labels(scene.wait_labelled())
        scene.asked("/metadata/instance", 4)
        assert f"topology.{DOMAIN}/region" in found
        assert not {f"topology.{DOMAIN}/{name}" for name in ZONAL} & labels(scene.get()).keys()


def test_another_domain_is_written_and_the_policy_lets_it(fresh, install):
    with agent_of(fresh, install("settings: {domain: vm.example.org}")) as scene:
        scene.wait_for(lambda node: "topology.vm.example.org/rack" in labels(node), "labelled below the domain")
        event = scene.event("Reboot")
        scene.wait_for(lambda node: cordoned(node) and "vm.example.org/events" in annotations(node), "cordoned")
        scene.over(event)
        scene.wait_for(lambda node: not cordoned(node), "given back")


def test_a_token_from_the_chart_changes_no_other_node_and_nothing_foreign(fresh, install):
    install(profile("self-managed"))
    with staged(fresh) as stage:
        stage.wait_for_policies()
        kind = "application/merge-patch+json"
        for path, body in (
            (stage.other.path, {"spec": {"unschedulable": True}}),
            (stage.own.path, {"metadata": {"labels": {"foreign": "label"}}}),
            (stage.own.path, {"metadata": {"finalizers": ["example.com/x"]}}),
        ):
            assert outcome(stage.stolen.raw("PATCH", path, body, content_type=kind)) == "policy"
        assert outcome(stage.stolen.raw("DELETE", stage.pod(stage.own))) == "rights"
        assert stage.stolen.raw("PATCH", stage.own.path, {"spec": {"unschedulable": True}}, content_type=kind).ok


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        ("no values", "drains nothing"),
        ("label-only", "never asks for scheduled events"),
        ("drain", "DRAINS before"),
        ("drain-delete", "are DELETED"),
    ],
)
def test_the_notes_say_what_it_does_and_what_to_look_at_next(fresh, install, variant, words):
    notes = install(VARIANTS[variant]).notes
    for command in (
        "rollout status daemonset imds-agent",
        "get nodes -L",
        "imds-agent doctor",
        "withdraw --all",
        "imds-agent-switch",
    ):
        assert command in notes
    assert words in notes
    assert "NO IMAGE IS NAMED" in notes
    assert "NO IMAGE" not in install(OTHERWISE).notes


def test_helm_takes_everything_away_again(fresh, install):
    install("switch: {drain: hold}")
    run_helm("uninstall", "imds-agent", "-n", "imds-agent", "--wait", kubeconfig=fresh.admin_kubeconfig)
    kinds = (
        "daemonset,configmap,role,rolebinding,clusterrole,clusterrolebinding,validatingadmissionpolicy,serviceaccount"
    )
    left = fresh.kubectl("get", kinds, "-n", "imds-agent", "-l", "app.kubernetes.io/name=imds-agent", "-o", "name")
    assert left == ""


def test_a_second_installation_is_refused(fresh, install):
    """The policies are the cluster's, and so is the account's name."""
    install("")
    with pytest.raises(HelmRefused, match="cannot be imported into the current release"):
        run_helm(
            "install", "other", str(CHART), "-n", "default", "--dry-run=server", kubeconfig=fresh.admin_kubeconfig
        )  # fmt: skip


def test_the_chart_moves_to_another_namespace_whole():
    for item in yaml.safe_load_all(template(values="settings: {log-level: debug}", namespace="elsewhere")):
        text = yaml.safe_dump(item)
        assert "namespace: imds-agent" not in text
        assert item["metadata"].get("namespace", "elsewhere") == "elsewhere"
    assert "-n imds-agent" not in (CHART / "templates" / "NOTES.txt").read_text()


def test_every_value_arrives_in_the_pod(fresh, install):
    """What the API server made of values other than the defaults."""
    install(OTHERWISE)
    found = fresh.admin.get("/apis/apps/v1/namespaces/imds-agent/daemonsets/imds-agent")["spec"]
    pod, [agent] = found["template"]["spec"], found["template"]["spec"]["containers"]
    assert found["updateStrategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 2}
    assert (agent["image"], agent["imagePullPolicy"]) == (
        f"registry.example.com/agent@sha256:{'0' * 64}",
        "IfNotPresent",
    )
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["nodeSelector"] == {"kubernetes.io/os": "linux", "pool": "blue", "on": "true"}
    [term] = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert [each["key"] for each in term["matchExpressions"]] == ["type", "kubernetes.azure.com/managed"]
    assert {"name": "KUBERNETES_SERVICE_HOST", "value": "10.0.0.1"} in agent["env"]
    assert [each.get("effect") for each in pod["tolerations"]] == [None, "NoSchedule"]
    assert agent["resources"] == {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}}
    assert "--probe-address=[fd00::1]:9100" in agent["args"]
    assert (agent["ports"][0]["hostIP"], agent["livenessProbe"]["httpGet"]["host"]) == ("fd00::1", "fd00::1")
    assert found["template"]["metadata"]["labels"]["team"] == "storage"
    assert found["template"]["metadata"]["annotations"].keys() >= {"number", "checksum/settings"}
