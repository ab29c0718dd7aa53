"""Every command of docs/recipes.md prints what the page says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from agent.emulator import Emulator
from tests.cli.running import PATIENCE, ROOT, environment

PAGE = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
ELSEWHERE = ("imds-agent attest",)  # needs a root that is trusted: tests/cli/test_attest.py


def recipes() -> list[tuple[str, str]]:
    """Return each command and what it should print."""
    found = []
    for block in re.findall(r"^```\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = part.partition("\n")
            found.append((command, printed.rstrip("\n")))
    return found


@pytest.fixture(scope="module")
def imds():
    with Emulator(rate_limit=None) as found:
        yield found


@pytest.fixture(scope="module")
def programs(tmp_path_factory) -> Path:
    """Give a folder with `imds-agent` in it, as pip puts it on the PATH."""
    folder = tmp_path_factory.mktemp("bin")
    for name, more in (("imds-agent", "-m agent "), ("python3", "")):
        (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {more}"$@"\n')
        (folder / name).chmod(0o755)
    return folder


def test_the_page_has_recipes_with_and_without_this_program():
    found = [command.split()[0] for command, _ in recipes()]
    assert {"imds-agent", "curl", "python3"} == set(found)
    assert len(found) >= 18


@pytest.mark.parametrize(
    ("command", "printed"), [each for each in recipes() if each[0] not in ELSEWHERE], ids=lambda text: text[:60]
)
def test_a_recipe_prints_what_the_page_says(imds, programs, command, printed):
    given = environment(IMDS_AGENT_IMDS_URL=imds.url)
    given["PATH"] = f"{programs}:{given['PATH']}"
    there = command.replace("http://169.254.169.254", imds.url)
    done = subprocess.run(
        ["bash", "-c", there], env=given, cwd="/", capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    pattern = "".join(".*" if part == "…" else re.escape(part) for part in re.split("(…)", printed))
    assert re.fullmatch(pattern, done.stdout.rstrip("\n"), re.DOTALL), done.stdout
