"""The Prometheus operator makes of our PodMonitors and rules what Prometheus then scrapes, and the labels are those that alerts are tried with."""

import base64
import gzip
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.addresses import free_address
from tests.controlplane.golang import BuildError
from tests.controlplane.plane import ControlPlane
from tests.monitoring.crds import definitions
from tests.monitoring.scenes import SYNC, target
from tests.monitoring.server import Server, running
from tests.monitoring.written import FOLDER, RULES
from tests.not_here import not_here
from tests.promises.agents import ROOT, tended, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MANIFESTS = FOLDER.parent
SECRETS, CONFIG_MAPS = (f"/api/v1/namespaces/monitoring/{kind}" for kind in ("secrets", "configmaps"))


@dataclass(frozen=True, kw_only=True)
class Operated:
    """What the operator made, and the Prometheus that runs with it."""

    settings: dict[str, Any]
    rules: dict[str, Any]
    server: Server


@pytest.fixture(scope="module")
def operated(built_whole, operator, prometheus, tmp_path_factory) -> Iterator[Operated]:
    folder = tmp_path_factory.mktemp("operator")
    agent_at, sync_at = free_address(), free_address()
    with ControlPlane(scheduler=True, controller_manager=True) as plane:
        define(plane)
        plane.install(overlay(folder / "overlay", int(agent_at.split(":")[1])))
        plane.kubectl("delete", "pods", "--all", "-n", "imds-agent", "--force", "--grace-period=0")
        plane.kubectl("create", "namespace", "hdfs")
        for name in ("base", "monitoring"):
            plane.kubectl("apply", "-k", str(MANIFESTS / "hdfs-sync" / name))
        plane.kubectl("apply", "-f", "-", input=namenode(int(sync_at.split(":")[1])))
        plane.play_pods("node-a")
        command = [sys.executable, "-m", "agent", "hdfs-sync", f"--probes={sync_at}"]
        command += [f"--kubeconfig={plane.admin_kubeconfig}", f"--table={folder / 'racks'}"]
        sync = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        try:
            with tended(plane, node=plane.register_node("node-a"), probe_address=agent_at):
                settings, rules = made(plane, operator, folder)
                with running(prometheus, folder / "prometheus", hastened(settings)) as server:
                    wait_until(lambda: len(server.ask("up == 1")) == 2, "both are scraped", server.targets)
                    yield Operated(settings=settings, rules=rules, server=server)
        finally:
            sync.terminate()
            sync.wait()


def define(plane: ControlPlane) -> None:
    """Give the API server the operator's kinds."""
    try:
        folder = definitions()
    except BuildError as error:
        not_here(str(error))
    plane.kubectl("apply", "--server-side", "-f", str(folder))
    for kind in ("podmonitors", "prometheuses", "prometheusrules"):
        wait_until(lambda kind=kind: "error" not in plane.kubectl("get", kind, "-A", check=False), f"the kind {kind}")


def overlay(folder: Path, port: int) -> Path:
    """Write an overlay of base and monitoring with a port that is free here."""
    folder.mkdir()
    ports = "/spec/template/spec/containers/0/ports/0"
    patch = [{"op": "replace", "path": f"{ports}/{name}", "value": port} for name in ("containerPort", "hostPort")]
    document = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(MANIFESTS / "base", folder)],
        "components": [os.path.relpath(MANIFESTS / "monitoring", folder)],
        "patches": [{"target": {"kind": "DaemonSet"}, "patch": yaml.safe_dump(patch)}],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(document))
    return folder


def namenode(port: int) -> str:
    """Return the example of a NameNode with hdfs-sync at a port that is free here."""
    text = (MANIFESTS / "hdfs-sync" / "sidecar" / "namenode.yaml").read_text(encoding="utf-8")
    assert "containerPort: 23171" in text
    return text.replace("containerPort: 23171", f"containerPort: {port}")


def made(plane: ControlPlane, operator: Path, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Have the operator make a Prometheus of all there is; returns its settings, and its rules."""
    keys = plane.identity("admin", "system:masters")
    files = {"caFile": plane.ca_file, "certFile": keys.certificate, "keyFile": keys.key}
    spec = {
        name: {}
        for name in ("podMonitorSelector", "podMonitorNamespaceSelector", "ruleSelector", "ruleNamespaceSelector")
    }
    access = {"host": plane.url, "tlsConfig": {name: str(path) for name, path in files.items()}}
    wanted = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "Prometheus",
        "metadata": {"name": "p", "namespace": "monitoring"},
    }
    plane.kubectl("create", "namespace", "monitoring")
    plane.kubectl("apply", "-f", "-", input=yaml.safe_dump({**wanted, "spec": {**spec, "apiserverConfig": access}}))
    command = [operator, f"--apiserver={plane.url}", f"--ca-file={plane.ca_file}", f"--cert-file={keys.certificate}"]
    log = folder / "operator.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [*command, f"--key-file={keys.key}", f"--web.listen-address={free_address()}"], stdout=stream, stderr=stream
        )
        try:
            settings = wait_until(lambda: settings_of(plane), "both in its settings", log.read_text)
            rules = wait_until(lambda: rules_of(plane), "its rules", log.read_text)
        finally:
            process.terminate()
            process.wait()
    return settings, rules


def settings_of(plane: ControlPlane) -> dict[str, Any] | None:
    """Return the settings that the operator wrote, once they have both PodMonitors."""
    answer = plane.admin.raw("GET", f"{SECRETS}/prometheus-p")
    if not answer.ok:
        return None
    written = gzip.decompress(base64.b64decode(answer.json()["data"]["prometheus.yaml.gz"])).decode()
    found: dict[str, Any] = yaml.safe_load(written.replace("$(SHARD)", "0").replace("$(POD_NAME)", "p-0"))
    return found if len(found.get("scrape_configs") or ()) == 2 else None


def rules_of(plane: ControlPlane) -> dict[str, Any] | None:
    answer = plane.admin.raw("GET", f"{CONFIG_MAPS}/prometheus-p-rulefiles-0")
    texts = list(answer.json().get("data", {}).values()) if answer.ok else []
    return yaml.safe_load(texts[0]) if texts else None


def hastened(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the same, scraped each second and with rules from where they are here."""
    jobs = [{**each, "scrape_interval": "1s"} for each in settings["scrape_configs"]]
    return {**settings, "scrape_configs": jobs, "rule_files": [str(RULES)]}


def test_an_agent_has_the_labels_that_alerts_are_tried_with(operated):
    [found] = wait_until(lambda: operated.server.ask('up{job="imds-agent"}'), "a scrape")
    labels = found["metric"]
    assert set(labels) - {"__name__"} == set(target("n1"))
    assert (labels["node"], labels["namespace"]) == ("node-a", "imds-agent")
    assert (labels["container"], labels["endpoint"]) == (target("n1")["container"], target("n1")["endpoint"])
    wait_until(lambda: operated.server.ask('imds_agent_build_info{node="node-a"}'), "the agent's own series")


def test_hdfs_sync_has_the_labels_that_alerts_are_tried_with(operated):
    [found] = wait_until(lambda: operated.server.ask('up{job="hdfs-sync"}'), "a scrape")
    labels = found["metric"]
    assert set(labels) - {"__name__"} == set(SYNC)
    assert {name: labels[name] for name in ("namespace", "container", "endpoint", "pod")} == {
        name: SYNC[name] for name in ("namespace", "container", "endpoint", "pod")
    }
    wait_until(lambda: operated.server.ask("imds_agent_hdfs_table_rows"), "the synchronizer's own series")


def test_the_operator_takes_all_our_rules_as_they_are(operated):
    assert operated.rules["groups"] == yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
