"""The dashboard as Grafana has it: Grafana's own model of it reads every field, and each panel says what it shows, and where."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.monitoring.written import DASHBOARD
from tests.not_here import not_here

SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return found


def panels() -> list[dict[str, Any]]:
    """Return what shows something: no rows."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def misread(given: dict[str, Any]) -> list[str]:
    """Return the paths of what Grafana's model, having read it, would write otherwise or not at all: it passes over what it does not know."""
    try:
        from grafana_foundation_sdk.cog.encoder import JSONEncoder  # noqa: PLC0415 - needs Python 3.11
        from grafana_foundation_sdk.cog.plugins import register_default_plugins  # noqa: PLC0415
        from grafana_foundation_sdk.models.dashboard import Dashboard  # noqa: PLC0415
    except ImportError as error:
        not_here(f"{error}: grafana-foundation-sdk needs Python 3.11")
    register_default_plugins()
    return list(lost(given, json.loads(JSONEncoder().encode(Dashboard.from_json(given))), "$"))


def lost(given: Any, read: Any, path: str) -> Iterator[str]:
    """Yield the paths of what is in the first and not in the second."""
    if isinstance(given, dict) and isinstance(read, dict):
        for key, value in given.items():
            yield from lost(value, read[key], f"{path}.{key}") if key in read else (f"{path}.{key}",)
    elif isinstance(given, list) and isinstance(read, list) and len(given) == len(read):
        for number, (one, other) in enumerate(zip(given, read, strict=True)):
            yield from lost(one, other, f"{path}[{number}]")
    elif given != read:
        yield path


def test_grafana_knows_every_field():
    assert misread(dashboard()) == []


@pytest.mark.parametrize(
    "path",
    [
        "panels.1.titel",
        "panels.1.gridPos.height",
        "panels.1.fieldConfig.defaults.units",
        "panels.1.targets.0.query",
        "panels.10.options.legendd",
        "templating.list.0.querry",
        "refreshh",
    ],
)
def test_a_field_that_grafana_does_not_know_would_be_found(path):
    given = copy.deepcopy(dashboard())
    *steps, last = path.split(".")
    place: Any = given
    for step in steps:
        place = place[int(step)] if step.isdigit() else place[step]
    place[last] = "x"
    [found] = misread(given)
    assert found.endswith(f".{last}")


def test_every_panel_says_what_it_shows_in_which_unit_and_asks_the_chosen_prometheus():
    for panel in panels():
        assert panel["title"], panel["id"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]
        assert [panel["datasource"], *(target["datasource"] for target in panel["targets"])] == [SOURCE] * (
            len(panel["targets"]) + 1
        ), panel["title"]
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters), panel["title"]
    [source, node] = dashboard()["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")
    assert (node["name"], node["datasource"]) == ("node", SOURCE)
    assert len({panel["title"] for panel in panels()}) == len(panels())


def test_what_is_asked_of_agents_is_asked_of_the_chosen_nodes():
    for panel in panels():
        for target in panel["targets"]:
            if "imds_agent_hdfs" not in target["expr"]:
                assert 'node=~"$node"' in target["expr"], panel["title"]


def test_each_panel_has_a_place_of_its_own():
    shown = dashboard()["panels"]
    assert len({panel["id"] for panel in shown}) == len(shown)
    taken: set[tuple[int, int]] = set()
    for panel in shown:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert all(x < 24 for x, _ in cells)
        taken |= cells
