"""The locked libraries are there as wheels for arm64, for each Python that we support: an image for it needs no compiler."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.cli.running import ROOT
from tests.not_here import not_here

pytestmark = [pytest.mark.slow]
LOCK = ROOT / "requirements.lock"
PYTHONS = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', (ROOT / "pyproject.toml").read_text())
ARM64 = "manylinux2014_aarch64"  # glibc 2.17 and newer
NOT_FOUND = "No matching distribution found"


def locked(python: str, machine: str) -> dict[str, str]:
    """Return what the lock has for a Python and a machine, by name, with its hashes.

    pip would judge the conditions by the Python that it runs in itself.
    """
    there = {"python_version": python, "python_full_version": f"{python}.0", "platform_machine": machine}
    found = {}
    for line in LOCK.read_text().replace("\\\n", " ").splitlines():
        if line and not line.lstrip().startswith("#"):
            head, hashes = re.fullmatch(r"(.*?) +(--hash=.*)", line).groups()
            wanted = Requirement(head)
            if wanted.marker is None or wanted.marker.evaluate(there):
                found[wanted.name] = f"{wanted.name}{wanted.specifier} {hashes}"
    return found


def refusal(folder: Path, lines: list[str], *, python: str, platform: str) -> str:
    """Return why pip could not install these for a platform; "" if it could."""
    lock = folder / "requirements.lock"
    lock.write_text("\n".join(lines))
    command = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "-q",
        "--dry-run",
        "--target",
        folder,
    ]
    command += ["--no-deps", "--require-hashes", "--only-binary=:all:", "--implementation=cp", f"--platform={platform}"]
    done = subprocess.run(
        [*command, f"--python-version={python}", "-r", lock], capture_output=True, text=True, timeout=250, check=False
    )
    assert (done.returncode == 0) or done.stderr
    return done.stderr if done.returncode else ""


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """A package index that has what is of pure Python."""
    only = [locked(PYTHONS[0], "aarch64")["certifi"]]
    if why := refusal(tmp_path_factory.mktemp("index"), only, python=PYTHONS[0], platform=ARM64):
        not_here(f"no package index is reached, as pip would: {why.strip().splitlines()[-1]}")


@pytest.mark.parametrize("python", PYTHONS)
def test_each_locked_library_has_a_wheel_for_arm64(index, tmp_path, python):
    lines = locked(python, "aarch64")
    assert {"requests", "kubernetes", "pyyaml", "pydantic-core"} <= lines.keys()
    assert refusal(tmp_path, list(lines.values()), python=python, platform=ARM64) == ""


def test_one_without_a_wheel_would_be_found(index, tmp_path):
    line = locked(PYTHONS[0], "aarch64")["pydantic-core"]
    assert NOT_FOUND in refusal(tmp_path, [line], python=PYTHONS[0], platform="manylinux2014_elsewhere")


def test_conditions_are_judged_by_the_python_that_is_asked_about():
    assert "async-timeout" in locked("3.10", "aarch64")
    assert "async-timeout" not in locked("3.13", "aarch64")
