"""Each page: its links lead somewhere, its commands of ours are understood, what it applies is there."""

import re
import shlex

import pytest

from agent.cli import _parser
from tests.documentation import ROOT

PAGES = sorted(
    [
        *(ROOT / "docs").glob("*.md"),
        ROOT / "SECURITY.md",
        ROOT / "manifests" / "README.md",
        ROOT / "cloudinit" / "README.md",
    ]
)
OURS = re.compile(r"^ {4}(?:kubectl .* exec AGENT -- )?(imds-agent .*)$", re.MULTILINE)
FOLDER = re.compile(r"kubectl (?:apply|delete|kustomize) (?:-k )?(manifests/[a-z0-9/-]+)")


def commands(text: str) -> list[str]:
    """Return our command lines without remarks, redirections, and what comes behind a pipe; lines that go on are joined."""
    joined = re.sub(r"\\\n\s*", " ", text)
    found = [re.split(r"\s+(?:[#|&>;]|2>)", line)[0].strip() for line in OURS.findall(joined)]
    return [line for line in found if "…" not in line and not line.endswith("emulate")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_of_ours_is_understood(page):
    for line in commands(page.read_text(encoding="utf-8")):
        words = shlex.split(line)
        assert _parser().parse_args(words[1:]).command == words[1], line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_folder_that_is_applied_is_there(page):
    for folder in FOLDER.findall(page.read_text(encoding="utf-8")):
        assert (ROOT / folder / "kustomization.yaml").exists() or (ROOT / folder).suffix, folder


def test_there_are_commands_to_try():
    assert sum(len(commands(page.read_text(encoding="utf-8"))) for page in PAGES) > 20
