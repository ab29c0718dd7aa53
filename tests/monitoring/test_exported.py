"""Alerts and dashboard ask only for what an agent really exports: metric by metric, label by label."""

import json
import re

import pytest
import requests
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from agent.hdfs.metrics import SyncMetrics
from tests.addresses import free_address
from tests.monitoring.scenes import healthy
from tests.monitoring.written import FOLDER, alerts, groupings, queries, selectors
from tests.promises.agents import tended, wait_until

SCRAPED = {"node", "instance", "job", "namespace", "pod", "container", "endpoint"}  # given by the PodMonitor, not by us
FOREIGN = {"daemonset"}  # kube-state-metrics'
EXPRESSIONS = {**{name: rule["expr"] for name, rule in alerts().items()}, **queries()}

Exported = dict[str, set[str]]


def exported(text: str) -> Exported:
    """Return the labels of each sample's name; a family without samples has its name alone."""
    found: Exported = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(set(sample.labels) - {"le"})
        if not family.samples:
            name = f"{family.name}_total" if family.type == "counter" else family.name
            found[name] = {"state"} if family.name == "imds_agent_hdfs_hosts" else set()
    return found


@pytest.fixture(scope="module")
def metrics(plane) -> Exported:
    """What a real agent shows once it has cordoned for an event, and what hdfs-sync shows."""
    with tended(plane, probe_address=free_address()) as scene:
        scene.wait_labelled()
        scene.event("Reboot")
        scene.agent.wait_said("node.cordoned")
        wait_until(lambda: scene.metric("imds_agent_kubernetes_events_total"), "Events told")
        text = requests.get(f"{scene.probes}/metrics", timeout=5).text
    return exported(text) | exported(generate_latest(SyncMetrics().registry).decode())


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_asks_only_for_metrics_and_labels_that_there_are(metrics, name):
    asked = selectors(EXPRESSIONS[name])
    for metric, labels in asked:
        assert metric in metrics, metric
        assert labels <= metrics[metric] | SCRAPED, metric
    known = set().union(*(metrics[metric] for metric, _ in asked)) | SCRAPED | FOREIGN | {"le"}
    assert groupings(EXPRESSIONS[name]) <= known


def test_every_metric_of_ours_is_on_the_dashboard_or_in_an_alert(metrics):
    asked = {metric.removesuffix("_bucket") for expr in EXPRESSIONS.values() for metric, _ in selectors(expr)}
    ours = {re.sub(r"_(bucket|count|sum|created)$", "", name) for name in metrics if name.startswith("imds_agent_")}
    assert {name for name in ours if f"{name}_total" not in ours} - asked == set()


def test_the_series_that_alerts_are_tried_with_are_those_of_an_agent(metrics):
    for series in healthy():
        name, _, rest = series.partition("{")
        if name.startswith("imds_agent_"):
            assert set(re.findall(r"(\w+)=", rest)) - SCRAPED <= metrics[name], series


def test_an_agent_that_only_labels_has_no_age_of_events(plane):
    with tended(plane, probe_address=free_address(), events="off") as scene:
        scene.wait_labelled()
        assert scene.metric('imds_agent_answer_age_seconds{partner="imds"}') >= 0
        assert 'partner="events"' not in requests.get(f"{scene.probes}/metrics", timeout=5).text


def test_the_component_opens_the_port_that_the_pod_monitor_asks(plane, tmp_path):
    document = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["base"],
        "components": ["monitoring"],
    }
    for name in ("base", "monitoring"):
        (tmp_path / name).mkdir()
        for path in (FOLDER.parent / name).iterdir():
            (tmp_path / name / path.name).write_bytes(path.read_bytes())
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(document))
    made = {item["kind"]: item for item in yaml.safe_load_all(plane.kubectl("kustomize", str(tmp_path)))}
    template = made["DaemonSet"]["spec"]["template"]
    container = template["spec"]["containers"][0]
    [endpoint] = made["PodMonitor"]["spec"]["podMetricsEndpoints"]
    [port] = [port for port in container["ports"] if port["name"] == endpoint["port"]]
    assert "hostIP" not in port
    [address] = [each["value"] for each in container["env"] if each["name"] == "IMDS_AGENT_PROBE_ADDRESS"]
    assert address == f":{port['containerPort']}"
    assert made["PodMonitor"]["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    dashboard = made["ConfigMap"]
    assert json.loads(dashboard["data"]["dashboard.json"])["uid"] == "imds-agent"
    assert made["PrometheusRule"]["metadata"]["namespace"] == dashboard["metadata"]["namespace"] == "imds-agent"
