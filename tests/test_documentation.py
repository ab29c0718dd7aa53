"""What README.md says is so."""

import re
import shlex

import pytest

from agent.cli import _parser
from agent.daemon.metrics import Metrics
from tests.documentation import README, ROOT, logged_events, section, settings_table

TEXT = README.read_text(encoding="utf-8")


def test_the_readme_opens_with_the_two_commands():
    first = [line.strip().split("#")[0].strip() for line in TEXT.splitlines() if line.startswith("    ")][:2]
    assert first == ["make demo", "make test"]


def test_every_make_command_in_the_readme_is_a_target():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"(?:`|^ {4})make ([a-z]+)", TEXT, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_table_of_settings_is_the_code_s():
    assert section("settings") == settings_table(), "run: python -m tests.documentation"


def test_every_log_event_is_listed_and_no_other():
    assert set(re.findall(r"`([a-z]+\.[a-z_]+)`", section("log events"))) == logged_events()


def test_every_metric_is_listed_and_no_other():
    families = [family for family in Metrics().registry.collect() if family.name.startswith("imds_agent_")]
    ours = {family.name + "_total" * (family.type == "counter") for family in families}  # as Prometheus has them
    listed = set(re.findall(r"`(imds_agent_[a-z_]+)`", section("metrics")))
    assert listed == ours | {"imds_agent_answer_age_seconds"}


def commands() -> list[str]:
    table = TEXT.partition("## Commands")[2].partition("## ")[0]
    return sorted(set(re.findall(r"`(imds-agent [^`]+)`", table + section("settings"))))


@pytest.mark.parametrize("command", commands())
def test_every_command_line_in_the_readme_is_understood(command):
    assert _parser().parse_args(shlex.split(command)[1:]).command == shlex.split(command)[1]


def test_every_sub_command_is_in_the_readme():
    listed = {shlex.split(command)[1] for command in commands()}
    actions = [action for action in _parser()._actions if action.dest == "command"]
    assert set(actions[0].choices) == listed


def test_every_link_of_the_readme_leads_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_the_probe_port_is_the_same_everywhere():
    daemonset = (ROOT / "manifests" / "base" / "daemonset.yaml").read_text(encoding="utf-8")
    assert "23169" in daemonset
    assert "23169" in TEXT
