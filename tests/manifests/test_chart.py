"""The Helm chart: the same as kustomize's base and overlays, and strict about its values."""

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml

import agent
from agent.core.labels import DOMAIN
from agent.doctor.examine import _wanted
from agent.doctor.kubernetes import ZONAL
from agent.settings import FIELDS, Settings
from agent.settings_sources import default_text
from tests.controlplane.installed import BASE
from tests.manifests.helm import CHART, HelmRefused, run_helm, template
from tests.manifests.render import MANIFESTS, VALUES, described, made
from tests.manifests.schema import CHARTS_OWN
from tests.manifests.variants import (
    OVERLAYS,
    PROFILES,
    chart_objects,
    container,
    find,
    profile,
    rights,
    settings_file,
    settings_of,
)

pytestmark = pytest.mark.usefixtures("charted")
GIVEN = {"node_name": "given", "pod_name": "given", "namespace": "given"}  # by the pod itself
SWITCH = {"switch_file": Path("/etc/imds-agent/switch/switch.yaml")}


# -- one source --------------------------------------------------------------------------------------------------------


def test_what_is_made_from_the_chart_is_what_it_makes_now():
    stale = [str(path.relative_to(MANIFESTS)) for path, text in made().items() if path.read_text() != text]
    assert stale == [], "run: python -m tests.manifests.render"


def test_every_file_of_the_base_is_made_but_the_one_that_lists_them():
    listed = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
    assert {path.name for path in made() if path.parent == BASE} == set(listed)
    assert {path.name for path in BASE.iterdir()} == {*listed, "kustomization.yaml"}


def kustomized(plane, folder: Path) -> list[dict]:
    return list(yaml.safe_load_all(plane.kubectl("kustomize", str(folder))))


def bare(objects: list[dict]) -> dict[tuple[str, str], Any]:
    """Return objects by kind and name, without the way in which settings come to the pod, and without folds in CEL."""
    found = {}
    for item in objects:
        key = item["kind"], item["metadata"]["name"]
        if item["kind"] == "DaemonSet":
            template = item["spec"]["template"]
            template["metadata"].pop("annotations", None)
            agent = template["spec"]["containers"][0]
            agent["env"] = [entry for entry in agent["env"] if not entry["name"].startswith("IMDS_AGENT_")]
            for part in (agent["volumeMounts"], template["spec"]["volumes"]):
                part[:] = [entry for entry in part if entry["name"] != "settings"]
        if item["kind"] != "Namespace" and key != ("ConfigMap", "imds-agent-settings"):
            policy = item["kind"] == "ValidatingAdmissionPolicy"
            found[key] = re.sub(r"(\\n| )+", "", json.dumps(item, sort_keys=True)) if policy else item
    return found


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_each_overlay_is_what_the_chart_makes_of_its_values(plane, overlay, tmp_path):
    by_kustomize = kustomized(plane, MANIFESTS / "overlays" / overlay)
    by_helm = chart_objects(values=OVERLAYS[overlay])
    assert (
        settings_of(by_helm, tmp_path) == settings_of(by_kustomize, tmp_path) != settings_of(chart_objects(), tmp_path)
    )
    assert bare(by_helm) == bare(by_kustomize)


def test_there_is_no_overlay_that_the_chart_cannot_make():
    assert {path.name for path in (MANIFESTS / "overlays").iterdir()} == set(OVERLAYS)


def test_without_policies_is_the_same_in_both(plane):
    folder = MANIFESTS / "overlays" / "drain"
    gates = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
    expected = {key: item for key, item in bare(kustomized(plane, folder)).items() if key[0] not in gates}
    assert bare(chart_objects("--set", "policies.enabled=false", values=OVERLAYS["drain"])) == expected


def test_self_managed_is_the_overlay_that_drains(tmp_path):
    assert settings_of(chart_objects(values=profile("self-managed")), tmp_path) == settings_of(
        chart_objects(values=OVERLAYS["drain"]), tmp_path
    )


def test_the_version_is_everywhere_that_of_the_code(plane):
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (agent.__version__, agent.__version__)
    assert container(kustomized(plane, BASE))["image"] == f"imds-agent:{agent.__version__}"


# -- defaults ----------------------------------------------------------------------------------------------------------


def test_without_values_every_setting_is_as_the_code_has_it(tmp_path):
    objects = chart_objects()
    assert settings_of(objects, tmp_path) == Settings(**GIVEN, **SWITCH)
    assert "ConfigMap" not in {item["kind"] for item in objects}


@pytest.mark.parametrize(
    "values", ["settings:", "switch:", "settings: {}\nswitch: {}", "podLabels:\npodAnnotations:\nnodeSelector:"]
)
def test_a_value_left_empty_is_as_if_it_were_not_there(values):
    assert template(values=values) == template()


def test_every_default_written_out_changes_nothing(tmp_path):
    """Each as the schema says it, so that the schema's defaults are the code's and pass the schema."""
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]["settings"]["properties"]
    assert schema.keys() == {name.replace("_", "-") for name in FIELDS.keys() - CHARTS_OWN}
    written: dict[str, Any] = {name: about["default"] for name, about in schema.items() if "default" in about}
    assert written == {n.replace("_", "-"): text for n in FIELDS if n not in CHARTS_OWN and (text := default_text(n))}
    written["policy"] = yaml.safe_load(written["policy"])
    found = settings_of(chart_objects(values=yaml.safe_dump({"settings": written})), tmp_path)
    assert found == Settings(**GIVEN, **SWITCH)


def test_every_value_has_a_row_in_the_readme_and_a_place_in_the_schema():
    schema = json.loads((CHART / "values.schema.json").read_text())

    def look(values: dict, known: dict, path: str = "") -> None:
        for key, value in values.items():
            here = f"{path}{key}"
            assert key in known["properties"], here
            if here not in described():
                assert isinstance(value, dict), f"{here}: say what it is"
                assert value, f"{here}: say what it is"
                look(value, known["properties"][key], f"{here}.")

    look(yaml.safe_load(VALUES.read_text()), schema)
    assert schema["properties"].keys() - {"global"} == yaml.safe_load(VALUES.read_text()).keys()


# -- profiles ----------------------------------------------------------------------------------------------------------


def test_the_readme_names_each_profile():
    assert set(PROFILES) == {"aks", "self-managed", "label-only", "autoscaler-safe"}
    named = re.findall(
        r"^\| `([a-z-]+)` \| .* \| `(?:base|overlays/[a-z-]+)` \|$", (CHART / "README.md").read_text(), re.MULTILINE
    )
    assert set(named) == set(PROFILES)


@pytest.mark.parametrize("name", PROFILES)
def test_helm_lint_finds_nothing_in_a_profile(name):
    said = run_helm("lint", "--strict", str(CHART), "-f", str(CHART / "profiles" / f"{name}.yaml"))
    assert "[WARNING]" not in said
    assert "[ERROR]" not in said
    assert "1 chart(s) linted, 0 chart(s) failed" in said


def test_helm_lint_would_find_something(tmp_path):
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: x\n")
    with pytest.raises(HelmRefused, match=r"chart\.metadata\.version"):
        run_helm("lint", "--strict", str(tmp_path))


def test_aks_drains_and_approves_nothing_and_leaves_the_zone_labels_alone(tmp_path):
    settings = settings_of(chart_objects(values=profile("aks")), tmp_path)
    assert not settings.rules().events.drains
    assert (settings.approval, settings.well_known_labels, settings.events) == ("off", "never", True)
    assert {rule.do for rule in settings.rules().events.rules.values()} == {"notify", "cordon"}


def test_label_only_asks_for_no_events(tmp_path):
    assert settings_of(chart_objects(values=profile("label-only")), tmp_path).events is False


def test_autoscaler_safe_leaves_out_what_the_doctor_warns_of(tmp_path):
    policy = settings_of(chart_objects(values=profile("autoscaler-safe")), tmp_path).rules().labels

    def left_out(key: str) -> bool:
        return any(fnmatchcase(key, glob) for glob in policy.exclude)

    assert all(left_out(f"topology.{DOMAIN}/{name}") for name in ZONAL)
    assert left_out(f"vm.{DOMAIN}/scale-set")
    kept = (
        "topology.{}/region",
        "topology.{}/fault-domain",
        "topology.{}/update-domain",
        "vm.{}/size",
        "vm.{}/priority",
    )
    assert not any(left_out(key.format(DOMAIN)) for key in (*kept, "tag.{}/zone"))


def test_two_profiles_go_together(tmp_path):
    other = ("-f", str(CHART / "profiles" / "autoscaler-safe.yaml"))
    settings = settings_of(chart_objects(*other, values=profile("label-only")), tmp_path)
    assert settings.events is False
    assert "vm.*/scale-set" in settings.exclude_labels


# -- rights follow settings --------------------------------------------------------------------------------------------

SETTINGS = (
    "{}",
    "{events: false}",
    "{events: 'off', policy: {Preempt: drain}, on-deadline: delete}",
    "{policy: {Preempt: drain}}",
    "{policy: {Reboot: {source: User, do: cordon, else: {below: 5m, do: notify, else: drain}}}}",
    "{policy: {Reboot: {do: cordon, drain-before: 10m}}}",
    "{policy: {other: drain}, on-deadline: delete}",
    "{on-deadline: delete}",
    "{drain-budget: off}",
    "{drain-budget: off, freeze-budget: off}",
    "{drain-budget: 'off', freeze-budget: 'off', approval: when-drained}",
    "{drain-budget: off, freeze-budget: off, approval: off}",
    "{kubernetes-events: false}",
    "{kubernetes-events: 'off', events: on}",
)


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_rights_are_those_that_the_settings_need_and_no_others(settings, tmp_path):
    """As `imds-agent doctor` asks for them."""
    objects = chart_objects(values=f"settings: {settings}")
    wanted = _wanted(settings_of(objects, tmp_path))
    named = {(right.group, f"{right.resource}/{right.subresource}".rstrip("/"), right.verb): right for right in wanted}
    at_home = {key for key, right in named.items() if right.namespace == "given"}
    assert rights(objects, "Role") == at_home
    assert rights(objects, "ClusterRole") == named.keys() - at_home


def test_every_right_says_what_it_is_for():
    text = template(values=OVERLAYS["drain-delete"])
    verbs = re.findall(r"^ +- (?:get|patch|list|create|update|delete)\b.*$", text, re.MULTILINE)
    assert len(verbs) == sum(
        len(rights([item], item["kind"])) for item in chart_objects(values=OVERLAYS["drain-delete"]) if "rules" in item
    )
    assert all(" # " in verb for verb in verbs)


def test_another_domain_has_its_own_prefixes_in_the_policy():
    text = template(values="settings: {domain: vm.example.org, startup-taint: vm.example.org/startup}")
    policy = json.dumps(find(list(yaml.safe_load_all(text)), "ValidatingAdmissionPolicy", "imds-agent-own-node"))
    assert "topology.vm.example.org/" in policy
    assert "'vm.example.org/'" in policy
    assert DOMAIN not in policy
    assert "exists(gone" not in policy


# -- settings and switch -----------------------------------------------------------------------------------------------


def pod(objects: list[dict]) -> dict:
    return find(objects, "DaemonSet")["spec"]["template"]


def test_pods_start_anew_when_settings_change_and_not_when_the_switch_turns():
    values = ("settings: {}", "settings: {log-level: debug}", "settings: {log-level: error}")
    still, first, second = (pod(chart_objects(values=each)) for each in values)
    assert len({json.dumps(each) for each in (still, first, second)}) == 3
    assert pod(chart_objects(values="switch: {drain: hold}")) == still


def test_a_switch_in_the_values_is_the_config_map_that_is_mounted():
    objects = chart_objects(values="switch: {drain: hold, cordon: on}")
    switch = find(objects, "ConfigMap", "imds-agent-switch")
    assert yaml.safe_load(switch["data"]["switch.yaml"]) == {"drain": "hold", "cordon": True}
    [volume] = [volume for volume in pod(objects)["spec"]["volumes"] if volume["name"] == "switch"]
    assert volume["configMap"] == {"name": "imds-agent-switch", "optional": True}


@pytest.mark.parametrize("values", ["", "settings: {log-level: debug}"])
def test_no_volume_is_mounted_by_a_sub_path(values):
    assert "subPath:" not in template(values=values)


def test_what_is_run_by_exec_in_a_pod_has_the_settings_of_its_agent(tmp_path):
    """It gets the container's variables, not its arguments: a domain or a policy must not be among these."""
    objects = chart_objects(values="settings: {domain: vm.example.com, policy: {Reboot: drain}}")
    whole = settings_of(objects, tmp_path)
    container(objects)["args"] = ["run"]
    by_exec = settings_of(objects, tmp_path)
    assert (by_exec.domain, by_exec.policy) == (whole.domain, whole.policy) == ("vm.example.com", whole.policy)
    assert by_exec.policy != Settings().policy


def test_settings_come_as_they_were_written(tmp_path):
    written = {"tags-allow": ["a*", "b"], "tags-rename": {"old": "new"}, "drain-budget": 3, "budget-expiry": 999999}
    path = settings_file(chart_objects(values=yaml.safe_dump({"settings": written})), tmp_path)
    assert yaml.safe_load(path.read_text()) == written


# -- metrics -----------------------------------------------------------------------------------------------------------


def ports(objects: list[dict]) -> tuple[list[dict], set[tuple[str, int]]]:
    found = container(objects)
    probes = {
        (found[name]["httpGet"]["host"], found[name]["httpGet"]["port"]) for name in ("livenessProbe", "readinessProbe")
    }
    return found["ports"], probes


@pytest.mark.parametrize(
    ("values", "bound", "asked"),
    [
        ("", "127.0.0.1:23169", "127.0.0.1"),
        ("metrics: {port: 9100}", "127.0.0.1:9100", "127.0.0.1"),
        ("metrics: {address: 10.0.0.4}", "10.0.0.4:23169", "10.0.0.4"),
        ("metrics: {podMonitor: {enabled: true}}", "0.0.0.0:23169", "127.0.0.1"),
        ("metrics: {address: '[::]', podMonitor: {enabled: true}}", "[::]:23169", "::1"),
        ("metrics: {address: '[fd00::1]'}", "[fd00::1]:23169", "fd00::1"),
    ],
)
def test_metrics_are_on_loopback_until_asked_for_and_kubelet_finds_the_probes(values, bound, asked, tmp_path):
    objects = chart_objects(values=values)
    host, _, number = bound.rpartition(":")
    [port], probes = ports(objects)
    assert settings_of(objects, tmp_path).probe_address == bound
    assert probes == {(asked, int(number))}
    assert port["containerPort"] == port["hostPort"] == int(number)
    assert port.get("hostIP") == (None if host in ("0.0.0.0", "[::]") else host.strip("[]"))


def test_a_pod_monitor_comes_only_when_it_is_asked_for_and_is_that_of_the_component():
    """Which tests/monitoring compares with the operator's own definition."""
    assert "PodMonitor" not in {item["kind"] for item in chart_objects()}
    monitor = find(
        chart_objects(values="metrics: {podMonitor: {enabled: true, labels: {release: prom}}}"), "PodMonitor"
    )
    assert monitor["metadata"]["labels"].pop("release") == "prom"
    assert monitor == yaml.safe_load((MANIFESTS / "monitoring" / "pod-monitor.yaml").read_text())
    azure = "metrics: {podMonitor: {enabled: true, apiVersion: azmonitoring.coreos.com/v1}}"
    assert find(chart_objects(values=azure), "PodMonitor") == monitor | {"apiVersion": "azmonitoring.coreos.com/v1"}


def test_alerts_and_dashboard_are_those_of_the_component():
    overlay = "metrics: {alerts: {enabled: true}, dashboard: {enabled: true}}"
    rules = yaml.safe_load((MANIFESTS / "monitoring" / "prometheus-rules.yaml").read_text())
    assert find(chart_objects(values=overlay), "PrometheusRule") == rules
    labelled = "metrics: {alerts: {enabled: true, labels: {release: prom}}}"
    moved = find(chart_objects(values=labelled, namespace="elsewhere"), "PrometheusRule")
    head = rules["metadata"]
    assert moved["metadata"] == {**head, "namespace": "elsewhere", "labels": {**head["labels"], "release": "prom"}}
    assert moved["spec"] == rules["spec"]
    dashboard = find(chart_objects(values=overlay), "ConfigMap", "imds-agent-dashboard")["data"]["dashboard.json"]
    assert dashboard == (MANIFESTS / "monitoring" / "dashboard.json").read_text()
    assert {"PrometheusRule", "ConfigMap"} & {item["kind"] for item in chart_objects()} == set()


# -- wrong values ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "place", "message"),
    [
        ("setings: {}", "", "setings"),
        ("settings: {drain-bugdet: 3}", "/settings", "drain-bugdet"),
        ("settings: {probe-address: '0.0.0.0:1'}", "/settings", "probe-address"),
        ("settings: {node-name: a}", "/settings", "node-name"),
        ("settings: {policy: {Preempt: dran}}", "/settings/policy/Preempt", "'drain'"),
        ("settings: {policy: {Preempt: {do: drain, belw: 3s}}}", "/settings/policy/Preempt", "belw"),
        ("settings: {policy: {Preempt: {below: 3s}}}", "/settings/policy/Preempt", "'do'"),
        (
            "settings: {policy: {Freeze: {below: 3s, do: notify, else: {do: nothing}}}}",
            "/settings/policy/Freeze/else/do",
            "'cordon'",
        ),
        ("settings: {policy: '{Preempt: drain}'}", "/settings/policy", "object"),
        ("settings: {release-after: 5 minutes}", "/settings/release-after", "does not match"),
        ("settings: {events-interval: 0}", "/settings/events-interval", "exclusiveMinimum"),
        ("settings: {events-interval: 0s}", "/settings/events-interval", "not"),
        ("settings: {budget-expiry: 1000000}", "/settings/budget-expiry", "maximum"),
        ("settings: {drain-budget: 0}", "/settings/drain-budget", "minimum"),
        ("settings: {drain-budget: 101%}", "/settings/drain-budget", "does not match"),
        ("settings: {drain-budget-per: region}", "/settings/drain-budget-per", "does not match"),
        ("settings: {approval: on}", "/settings/approval", "'own-user-events'"),
        ("settings: {events: maybe}", "/settings/events", "'off'"),
        ('settings: {startup-taint: "x\'] || true"}', "/settings/startup-taint", "does not match"),
        ('settings: {domain: "x\'"}', "/settings/domain", "does not match"),
        ("switch: {drain: off}", "/switch/drain", "'hold'"),
        ("image: {digest: abc}", "/image/digest", "does not match"),
        ("metrics: {port: 0}", "/metrics/port", "minimum"),
        ("metrics: {address: localhost}", "/metrics/address", "does not match"),
        ("extraEnv: [{name: IMDS_AGENT_POLICY, value: x}]", "/extraEnv/0/name", "not"),
        ("extraEnv: [{name: NODE_NAME, value: x}]", "/extraEnv/0/name", "not"),
        ("nodeExpressions: [{key: a, operator: Not}]", "/nodeExpressions/0/operator", "'NotIn'"),
        ("maxUnavailable: 0", "/maxUnavailable", "minimum"),
        ("policies: {enabled: 'no'}", "/policies/enabled", "boolean"),
    ],
)
def test_a_wrong_value_is_refused_and_the_message_says_where(values, place, message):
    with pytest.raises(HelmRefused) as refusal:
        template(values=values)
    said = str(refusal.value)
    assert f"at '{place}'" in said
    assert message in said


ALIKE = (
    "release-after",
    "events-interval",
    "drain-before",
    "drain-budget",
    "drain-budget-per",
    "imds-url",
    "facts-listen",
    "tags-rename",
    "tags-case",
    "tags-allow",
)
SAMPLES = (
    "30s",
    "1h30m",
    "1.5h",
    "5",
    "0s",
    "x",
    "",
    "auto",
    "off",
    "10%",
    "0%",
    "cluster",
    "rack",
    "label:a/b",
    "a=b",
    "http://h:1",
    "h:1",
    "[::1]:2",
)


def readable(name: str, text: str) -> bool:
    try:
        FIELDS[name.replace("-", "_")].metadata["kind"].read(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_schema_refuses_exactly_what_the_agent_would_refuse(sample):
    refused = {name for name in ALIKE if not readable(name, sample)}
    said = ""
    try:
        template(values=yaml.safe_dump({"settings": dict.fromkeys(ALIKE, sample)}))
    except HelmRefused as refusal:
        said = str(refusal)
    assert set(re.findall(r"at '/settings/([a-z-]+)'", said)) == refused
