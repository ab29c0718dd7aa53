"""What is made from the chart, or from the code for it: `python -m tests.manifests.render` writes it.

The chart is the source. The files of the kustomize base are what it makes of no values, comments included; so are the rights of the
drain components. Alerts and dashboard go the other way. `values.schema.json` has the settings as the code reads them, and the chart's README a table of its values.
"""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from tests.manifests.helm import CHART, template
from tests.manifests.schema import rule_schema, settings_schema

MANIFESTS = CHART.parents[1]
SOURCE = re.compile(r"# Source: imds-agent/templates/(\S+)\n")
HEAD = "# Made from the chart (../{}) by `python -m tests.manifests.render`: change it there.\n"
COPIED = ("prometheus-rules.yaml", "dashboard.json")  # a chart reads no file outside its folder
VALUES = CHART / "values.yaml"
DRAIN = "settings: {policy: {Preempt: drain, Redeploy: drain, Terminate: drain}}"
DELETE = "settings: {on-deadline: delete, policy: {Preempt: drain, Redeploy: drain, Terminate: drain}}"


def made() -> dict[Path, str]:
    """Return each file that is made, with what should be in it."""
    base = {MANIFESTS / "base" / name: text for name, text in by_template(template(values="namespace: {create: true}"))}
    drain = dict(by_template(template(values=DELETE)))
    parts = {
        MANIFESTS / "components" / name / "rbac.yaml": drain[f"{name}-rbac.yaml"] for name in ("drain", "drain-delete")
    }
    yaml_files = {path: head(path) + text for path, text in (base | parts).items()}
    monitoring = {
        CHART / "made" / name: (MANIFESTS / "monitoring" / name).read_text(encoding="utf-8") for name in COPIED
    }
    return yaml_files | monitoring | {CHART / "values.schema.json": schema(), CHART / "README.md": readme()}


def head(path: Path) -> str:
    up = "../" * (len(path.relative_to(MANIFESTS).parts) - 2)
    return HEAD.format(f"{up}chart/imds-agent")


def by_template(text: str) -> list[tuple[str, str]]:
    """Return the text of each template, under its name; documents of one stay together."""
    found: dict[str, list[str]] = {}
    for part in re.split(r"^---\n", text, flags=re.MULTILINE):
        if source := SOURCE.match(part):
            found.setdefault(source[1], []).append(part[source.end() :].strip("\n") + "\n")
    return [(name, "---\n".join(parts)) for name, parts in found.items()]


def schema() -> str:
    """Return values.schema.json with the settings of the code."""
    path = CHART / "values.schema.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    document["properties"]["settings"] = settings_schema()
    document["$defs"] = {"rule": rule_schema()}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def readme() -> str:
    """Return the chart's README with the table of its values."""
    text = (CHART / "README.md").read_text(encoding="utf-8")
    table = f"<!-- values -->\n{values_table()}\n<!-- /values -->"
    return re.sub(r"<!-- values -->.*<!-- /values -->", lambda _: table, text, flags=re.DOTALL)


def values_table() -> str:
    """Return the table of values, a row for each that has a comment."""
    rows = ["| value | default | what |", "|---|---|---|"]
    document = yaml.safe_load(VALUES.read_text(encoding="utf-8"))
    for path, about in described().items():
        value: Any = document
        for key in path.split("."):
            value = value[key]
        rows.append(f"| `{path}` | `{json.dumps(value, ensure_ascii=False)}` | {about} |")
    return "\n".join(rows)


def described() -> dict[str, str]:
    """Return the comment right above each value that has one, by its path."""
    found: dict[str, str] = {}
    place: list[str] = []
    comment: list[str] = []
    for line in VALUES.read_text(encoding="utf-8").splitlines():
        if about := re.match(r" *# (.*)", line):
            comment.append(about[1])
            continue
        if key := re.match(r"( *)(\w+):", line):
            place[len(key[1]) // 2 :] = [key[2]]
            if comment:
                found[".".join(place)] = " ".join(comment)
        comment = []
    return found


def write() -> None:
    for path, text in made().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
