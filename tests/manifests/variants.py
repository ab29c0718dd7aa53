"""What is installed, in both forms: a kustomize overlay, and the values with which the chart makes the same."""

import argparse
from pathlib import Path
from typing import Any

import yaml

from agent.settings import Settings
from agent.settings_sources import add_flags, read_settings
from tests.manifests.helm import CHART, template
from tests.manifests.render import DELETE, DRAIN

PROFILES = tuple(sorted(path.stem for path in (CHART / "profiles").glob("*.yaml")))
Object = dict[str, Any]


def profile(name: str) -> str:
    """Return a profile's values."""
    return (CHART / "profiles" / f"{name}.yaml").read_text(encoding="utf-8")


OVERLAYS = {
    "drain": DRAIN,
    "drain-delete": DELETE,
    "zone-if-absent": "settings: {well-known-labels: if-absent}",
    "startup-taint": "settings: {startup-taint: example.com/not-labelled}",
    "event-taint-no-execute": "settings: {event-taint: NoExecute}",
    "label-only": profile("label-only"),
    "autoscaler-safe": profile("autoscaler-safe"),
}


def chart_objects(*arguments: str, values: str = "", namespace: str = "imds-agent") -> list[Object]:
    """Return the objects that the chart makes."""
    text = template(*arguments, values=values, namespace=namespace)
    return [item for item in yaml.safe_load_all(text) if item]


def find(objects: list[Object], kind: str, name: str = "imds-agent") -> Object:
    [found] = [item for item in objects if (item["kind"], item["metadata"]["name"]) == (kind, name)]
    return found


def container(objects: list[Object]) -> Object:
    [found] = find(objects, "DaemonSet")["spec"]["template"]["spec"]["containers"]
    return found


def settings_file(objects: list[Object], folder: Path) -> Path | None:
    """Write the settings file as the pod would have it; None where the pod has none."""
    maps = [
        item for item in objects if item["kind"] == "ConfigMap" and item["metadata"]["name"] == "imds-agent-settings"
    ]
    if not maps:
        return None
    [text] = maps[0]["data"].values()
    path = folder / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def settings_of(objects: list[Object], folder: Path) -> Settings:
    """Return what the agent makes of its arguments, variables and file."""
    found = container(objects)
    parser = argparse.ArgumentParser()
    add_flags(parser, ())
    command, *flags = found["args"]
    assert command == "run"
    path = settings_file(objects, folder)
    environment = {entry["name"]: entry.get("value", "given") for entry in found["env"]}
    assert environment.get("IMDS_AGENT_CONFIG") == ("/etc/imds-agent/settings/settings.yaml" if path else None)
    return read_settings(parser.parse_args(flags), {**environment, "IMDS_AGENT_CONFIG": str(path or "")})


def flat(rules: list[Object]) -> set[tuple[str, str, str]]:
    """Return each right that rules of RBAC grant: group, resource, verb."""
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def rights(objects: list[Object], kind: str) -> set[tuple[str, str, str]]:
    """Return what the roles of a kind grant."""
    return flat([rule for item in objects if item["kind"] == kind for rule in item["rules"]])
