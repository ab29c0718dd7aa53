"""`doctor`: why does it not work? Looks at everything, changes nothing, and says what to do."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from agent.commands.output import BOLD, DIM, YELLOW, columns, paint, say, say_json
from agent.doctor.examine import examine

if TYPE_CHECKING:
    import argparse

    from agent.doctor.finding import Finding
    from agent.settings import Settings

WORDS = {"ok": "ok", "warn": "warning", "bad": "BAD", "unknown": "unknown"}


def doctor(settings: Settings, arguments: argparse.Namespace) -> int:
    """Examine; 1 where something is bad."""
    findings = examine(settings, Path(arguments.root)).findings
    bad = any(finding.verdict == "bad" for finding in findings)
    if arguments.output == "json":
        say_json({"well": not bad, "findings": [dataclasses.asdict(finding) for finding in findings]})
    else:
        _show(findings)
    return 1 if bad else 0


def _show(findings: tuple[Finding, ...]) -> None:
    columns((_word(finding), paint(finding.check, BOLD), finding.found) for finding in findings)
    advised = [finding for finding in findings if finding.advice]
    if advised:
        say("\n" + paint("what to do", BOLD))
    for finding in advised:
        say(f"  {finding.check}: {finding.advice}")
        say(paint(f"    looked at: {finding.looked_at}", DIM))


def _word(finding: Finding) -> str:
    word = WORDS[finding.verdict]
    return paint(word, YELLOW) if finding.verdict in ("warn", "bad") else word
