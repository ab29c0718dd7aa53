"""What manifests/monitoring holds, read; and prometheus-rules.yaml, made from rules.yaml: `python -m tests.monitoring.written`."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "manifests" / "monitoring"
RULES, OBJECT, DASHBOARD = FOLDER / "rules.yaml", FOLDER / "prometheus-rules.yaml", FOLDER / "dashboard.json"
RUNBOOK = ROOT / "docs" / "runbook.md"
HEAD = """# Made from rules.yaml by python -m tests.monitoring.written; change that.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: imds-agent
  namespace: imds-agent
  labels:
    app.kubernetes.io/name: imds-agent
spec:
"""


def rules_object() -> str:
    """Return the PrometheusRule that rules.yaml makes."""
    groups = RULES.read_text(encoding="utf-8").partition("\ngroups:\n")[2]
    lines = ["  groups:", *(f"  {line}".rstrip() for line in groups.splitlines())]
    return HEAD + "\n".join(lines) + "\n"


def alerts() -> dict[str, dict[str, Any]]:
    """Return the rules by name."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def queries() -> dict[str, str]:
    """Return the dashboard's queries as Prometheus gets them for all nodes, by panel and letter."""
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    found = {
        f"{panel['title']} {target['refId']}": target["expr"] for panel in panels for target in panel.get("targets", ())
    }
    return {name: expr.replace("$node", ".*").replace("$__rate_interval", "1m") for name, expr in found.items()}


def selectors(expr: str) -> list[tuple[str, set[str]]]:
    """Return our metrics in an expression, each with the labels that are matched on."""
    found = re.findall(r"\b(imds_agent_\w+)(?:\{([^}]*)\})?", re.sub(r"#.*", "", expr))
    return [(name, set(re.findall(r"(\w+)\s*[=!]", matchers))) for name, matchers in found]


def groupings(expr: str) -> set[str]:
    """Return the labels that an expression groups or joins by."""
    listed = re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expr)
    return {label.strip() for each in listed for label in each.split(",") if label.strip()}


if __name__ == "__main__":
    OBJECT.write_text(rules_object(), encoding="utf-8")
