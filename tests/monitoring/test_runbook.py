"""What docs/runbook.md tells people to type: our own commands and flags are understood, kubectl's too, and log events exist."""

import re
import shlex

import pytest

from agent.cli import _parser
from agent.settings import FIELDS, flag
from tests.documentation import logged_events
from tests.monitoring.written import RUNBOOK

TEXT = RUNBOOK.read_text(encoding="utf-8")
BLOCKS = [line.strip() for line in TEXT.splitlines() if line.startswith("    ")]
INLINE = [text for text in re.findall(r"`([^`]+)`", TEXT) if text.startswith(("kubectl ", "imds-agent "))]
COMMANDS = [part.strip() for line in dict.fromkeys([*BLOCKS, *INLINE]) for part in line.split(" | ")]
OURS = sorted(
    {text.partition("-- ")[2] or text for text in COMMANDS if "imds-agent " in (text.partition("-- ")[2] or text[:11])}
)


@pytest.mark.parametrize("command", OURS)
def test_each_command_of_ours_is_understood(command):
    assert _parser().parse_args(shlex.split(command)[1:]).command == shlex.split(command)[1]


def test_there_is_something_to_type_for_each_alert():
    for entry in TEXT.split("\n### ")[1:]:
        assert "\n    " in entry, entry[:40]
        assert "*Do:*" in entry, entry[:40]
    assert len(OURS) >= 6


def test_every_log_event_that_it_looks_for_is_one():
    names = set(re.findall(r"(?:grep|-e) ([a-z_]+\.[a-z_]+)", TEXT)) | {
        name for name in re.findall(r"`([a-z_]+\.[a-z_]+)`", TEXT) if not name.startswith("dfs.")
    }
    assert len(names) > 10
    assert names <= logged_events()


def test_every_flag_of_ours_in_its_prose_is_one():
    flags = set(re.findall(r"`(--[a-z-]+)", TEXT))
    [commands] = [action.choices for action in _parser()._actions if action.dest == "command"]
    known = {flag(name) for name in FIELDS} | set(commands["hdfs-sync"]._option_string_actions)
    assert {each.rstrip("-") for each in flags} <= known | {"--metric-annotations-allowlist"}  # kube-state-metrics'


KUBECTL = sorted({text for text in COMMANDS if text.startswith("kubectl ")})
NAMES = {"NODE": "node-x", "AGENT": "pod-x", "NAMESPACE": "default", "NAMENODE": "pod-x"}


@pytest.mark.parametrize("command", KUBECTL)
def test_kubectl_understands_each_of_its_commands(plane, command):
    """Against a cluster that has no such node or pod: what it says is that, and nothing about how it was asked."""
    arguments = [
        re.sub(r"\b(NODE|AGENT|NAMESPACE|NAMENODE)\b", lambda found: NAMES[found[0]], each)
        for each in shlex.split(command)[1:]
    ]
    if arguments[-2:] == ["-f", "-"]:  # what comes out of the command before the pipe
        arguments = ["version", "--client"]
    said = plane.kubectl(*DRY.get(arguments[0], lambda given: given)(arguments), check=False)
    for trouble in (
        "unknown flag",
        "unknown command",
        "unknown shorthand",
        "See 'kubectl",
        "field label not supported",
        "error parsing",
    ):
        assert trouble not in said, said


DRY = {
    "rollout": lambda given: given if "status" in given else [*given, "--help"],  # flags are read first
    "cordon": lambda given: [*given, "--dry-run=client"],
    "uncordon": lambda given: [*given, "--dry-run=client"],
    "drain": lambda given: [*given, "--dry-run=client"],
}
