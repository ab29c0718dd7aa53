"""`doctor`: why does it not work? Looks at everything, changes nothing, and says what to do."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING

from agent.commands.output import BOLD, DIM, YELLOW, columns, paint, say, say_json
from agent.settings import SettingsError

if TYPE_CHECKING:
    import argparse

    from agent.doctor.finding import Finding
    from agent.settings import Settings

HADOOP_CONF = "/etc/hadoop/conf"  # where Debian's and most vendors' packages have it
WORDS = {"ok": "ok", "warn": "warning", "bad": "BAD", "unknown": "unknown"}


def doctor(settings: Settings, arguments: argparse.Namespace) -> int:
    """Examine; 1 where something is bad."""
    findings = _hdfs(arguments) if arguments.subject == "hdfs" else _node(settings, arguments)
    bad = any(finding.verdict == "bad" for finding in findings)
    if arguments.output == "json":
        say_json({"well": not bad, "findings": [dataclasses.asdict(finding) for finding in findings]})
    else:
        _show(findings)
    return 1 if bad else 0


def _node(settings: Settings, arguments: argparse.Namespace) -> tuple[Finding, ...]:
    from agent.doctor.examine import examine  # noqa: PLC0415 - beside a NameNode nothing of IMDS is needed

    if arguments.hadoop_conf or arguments.namenode:
        raise SettingsError("--hadoop-conf, --namenode: expected `imds-agent doctor hdfs`")
    return examine(settings, Path(arguments.root)).findings


def _hdfs(arguments: argparse.Namespace) -> tuple[Finding, ...]:
    from agent.doctor.hadoop import look  # noqa: PLC0415 as above
    from agent.doctor.hdfs import judge  # noqa: PLC0415 as above

    folder = arguments.hadoop_conf or os.environ.get("HADOOP_CONF_DIR") or HADOOP_CONF
    for url in arguments.namenode or ():
        if not url.startswith(("http://", "https://")):
            raise SettingsError(f"--namenode: expected a URL such as http://127.0.0.1:9870, found {url[:60]!r}")
    return judge(look(Path(folder), arguments.namenode or ()))


def _show(findings: tuple[Finding, ...]) -> None:
    alike = _alike(findings)
    columns(
        (_word(each), paint(each.check, BOLD), each.found)
        for each in findings
        if each.verdict != "unknown" or each.found not in alike
    )
    for found, those in alike.items():
        say(f"  {_word(those[0])}  {', '.join(each.check for each in those)}: {found}")
    advised = [finding for finding in findings if finding.advice]
    if advised:
        say("\n" + paint("what to do", BOLD))
    for finding in advised:
        say(f"  {finding.check}: {finding.advice}")
        say(paint(f"    looked at: {finding.looked_at}", DIM))


def _alike(findings: tuple[Finding, ...]) -> dict[str, list[Finding]]:
    """Return what was not looked at for one and the same reason, by the reason: a line for all of it is enough."""
    found: dict[str, list[Finding]] = {}
    for each in findings:
        if each.verdict == "unknown":
            found.setdefault(each.found, []).append(each)
    return {reason: those for reason, those in found.items() if len(those) > 1}


def _word(finding: Finding) -> str:
    word = WORDS[finding.verdict]
    return paint(word, YELLOW) if finding.verdict in ("warn", "bad") else word
