"""Each alert, by promtool: it fires after its time and not before, says what it should, and a healthy cluster is quiet."""

import subprocess

import pytest
import yaml

from tests.monitoring.calm import CALM
from tests.monitoring.scenes import TROUBLES, Trouble, healthy
from tests.monitoring.written import OBJECT, RULES, RUNBOOK, alerts, rules_object


def run(promtool, *arguments) -> str:
    done = subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tried(promtool, folder, scene: dict[str, str], checks: list[dict]) -> None:
    """Have promtool try the rules on these series."""
    given = [{"series": name, "values": values} for name, values in scene.items()]
    test = {"interval": "1m", "input_series": given, "alert_rule_test": checks}
    path = folder / "test.yaml"
    path.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]}))
    run(promtool, "test", "rules", path)


def expected(trouble: Trouble) -> dict:
    rule = alerts()[trouble.alert]
    said = {**rule["annotations"], "summary": trouble.says}
    return {"exp_labels": {**rule["labels"], **trouble.labels}, "exp_annotations": said}


def test_promtool_finds_nothing_wrong_with_the_rules(promtool):
    assert "SUCCESS" in run(promtool, "check", "rules", "--lint=all", "--lint-fatal", RULES)


@pytest.mark.parametrize("trouble", TROUBLES, ids=[f"{each.alert}-{n}" for n, each in enumerate(TROUBLES)])
def test_an_alert_fires_after_its_time_and_not_before_and_says_what_is_the_matter(promtool, tmp_path, trouble):
    quiet = {"eval_time": trouble.quiet, "alertname": trouble.alert, "exp_alerts": []}
    fires = {"eval_time": trouble.fires, "alertname": trouble.alert, "exp_alerts": [expected(trouble)]}
    tried(promtool, tmp_path, trouble.scene(), [quiet, fires])


def test_a_healthy_cluster_with_an_event_under_way_is_quiet_for_a_day(promtool, tmp_path):
    moments = ("30m", "25h")
    checks = [{"eval_time": at, "alertname": name, "exp_alerts": []} for name in alerts() for at in moments]
    tried(promtool, tmp_path, healthy(), checks)


@pytest.mark.parametrize("scene", CALM)
def test_what_happens_every_week_wakes_nobody(promtool, tmp_path, scene):
    moments = [f"{minute}m" for minute in range(1, 90)]
    checks = [{"eval_time": at, "alertname": name, "exp_alerts": []} for name in alerts() for at in moments]
    tried(promtool, tmp_path, scene(), checks)


def test_where_kube_state_metrics_and_hdfs_sync_are_not_scraped_nothing_fires(promtool, tmp_path):
    scene = {name: values for name, values in healthy().items() if not name.startswith(("kube_", "imds_agent_hdfs"))}
    tried(promtool, tmp_path, scene, [{"eval_time": "25h", "alertname": name, "exp_alerts": []} for name in alerts()])


def test_an_agent_that_only_labels_and_once_tended_a_mark_is_not_missed_for_events(promtool, tmp_path):
    scene = {name: values for name, values in healthy().items() if 'partner="events"' not in name}
    tried(promtool, tmp_path, scene, [{"eval_time": "1h", "alertname": "ImdsAgentEventsSilent", "exp_alerts": []}])


def test_what_happened_once_is_told_once():
    for name in ("ImdsAgentEventWithoutNotice", "ImdsAgentDrainFailed"):
        assert "for" not in alerts()[name]
        assert alerts()[name]["expr"].startswith("increase(")


def test_every_alert_is_tried():
    assert {each.alert for each in TROUBLES} == set(alerts())


def test_the_object_is_made_from_the_rules():
    assert OBJECT.read_text(encoding="utf-8") == rules_object(), "run: python -m tests.monitoring.written"
    assert yaml.safe_load(rules_object())["spec"] == yaml.safe_load(RULES.read_text(encoding="utf-8"))


def test_every_alert_has_its_place_in_the_runbook_and_no_other():
    headings = [line[4:] for line in RUNBOOK.read_text(encoding="utf-8").splitlines() if line.startswith("### ")]
    assert headings == list(alerts())
    for name, rule in alerts().items():
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{name.lower()}"
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
