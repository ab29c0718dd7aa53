"""shellcheck has nothing to say against any shell script of the tree, found by its first line wherever it stands."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.documentation import ROOT
from tests.foreign.packages import NotThere, unpacked
from tests.not_here import not_here

FIRST_LINE = re.compile(r"#!.*[/ ](?:ba|da|k)?sh\b")
SHOWN = re.compile(r"^```\w*\n(#!.*?)^```$", re.MULTILINE | re.DOTALL)
USER_DATA = ROOT / "cloudinit" / "user-data.yaml"


def files() -> list[Path]:
    """Return all files of the tree, also those that nobody has added yet."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [path for name in sorted(set(listed)) if (path := ROOT / name).is_file()]


def scripts() -> dict[str, str]:
    """Return each script by where it stands: whole files, those that pages show, and the user data's."""
    found = {"user-data": f"#!/bin/sh\n{inline()}"}
    for path in files():
        text, where = path.read_text(encoding="utf-8", errors="replace"), path.relative_to(ROOT).as_posix()
        if FIRST_LINE.match(text) or path.suffix == ".sh":
            found[where] = text
        elif path.suffix == ".md":
            shown = [script for script in SHOWN.findall(text) if FIRST_LINE.match(script)]
            found |= {f"{where} {number}": script for number, script in enumerate(shown, 1)}
    return found


def inline() -> str:
    """Return the script that cloud-init runs."""
    [[shell, option, text]] = yaml.safe_load(USER_DATA.read_text())["bootcmd"]
    assert (shell, option) == ("sh", "-c")
    return text


def said(script: str) -> str:
    """Return what shellcheck says, at its strictest: the machine's own, else Debian's."""
    try:
        program = shutil.which("shellcheck") or unpacked("shellcheck") / "usr" / "bin" / "shellcheck"
    except NotThere as error:
        not_here(error)
    command = [program, "--severity=style", "-"]
    return subprocess.run(command, input=script, capture_output=True, text=True, timeout=60, check=False).stdout


def test_the_scripts_that_we_know_of_are_found_and_nothing_else_counts_as_one():
    assert {".ci/run", "cloudinit/bake.sh", "docs/host.md 1", "user-data"} <= scripts().keys()
    assert not [where for where in scripts() if where.endswith((".py", ".yaml"))]


@pytest.mark.parametrize("where", scripts())
def test_shellcheck_has_nothing_to_say(where):
    assert said(scripts()[where]) == ""


def test_it_would_say_something_of_a_variable_without_quotes():
    assert "SC2086" in said('#!/bin/sh\nrm -r "$1" $2\n')
