"""The one archive: the same bytes each time, and at work under any Python of a VM with nothing installed."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from agent.emulator import Emulator
from agent.sub_commands import SUBS
from tests.boot.vm import DEFAULT, FACTS, INSTANCE, STATUS, UNIT, files, kubeadm_vm, put
from tests.cli.running import ROOT
from tests.not_here import not_here

PYTHONS = ("3.10", "3.11", "3.13")


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    return built(tmp_path_factory.mktemp("archive") / "imds-agent.pyz")


@pytest.fixture(scope="module")
def imds():
    with Emulator(rate_limit=None) as found:
        yield found


def built(path: Path) -> Path:
    done = subprocess.run(
        [sys.executable, ROOT / "packaging" / "bundle.py", path],
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    if done.returncode != 0 and "CI" not in os.environ:
        not_here(f"{done.stderr.strip()[-300:]} (the libraries are downloaded once)")
    assert done.returncode == 0, done.stderr
    return path


def interpreter(version: str) -> str:
    """Return an interpreter of this version: on the PATH, or pyenv's."""
    named = shutil.which(f"python{version}")
    if named and subprocess.run([named, "-c", "pass"], check=False, capture_output=True).returncode == 0:
        return named
    roots = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = sorted(roots.glob(f"{version}.*/bin/python3"))
    if not found:
        not_here(f"python{version} is missing (pyenv install {version})")
    return str(found[-1])


def run(python: str, archive: Path, *arguments: object, folder: Path, **given: str) -> subprocess.CompletedProcess[str]:
    """Run it as at boot: isolated, without site-packages, nearly without an environment, and nowhere to unpack anything."""
    environment = {"TMPDIR": "/proc/nowhere", "HOME": "/proc/nowhere", "LANG": "C.UTF-8", "COLUMNS": "80", **given}
    command = [python, "-I", "-S", "-W", "error", "-B", str(archive), *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_two_builds_are_the_same_bytes_whoever_builds_them(archive, tmp_path):
    other = tmp_path / "other.pyz"
    command = ["sh", "-c", 'umask 077; exec "$@"', "sh", sys.executable, ROOT / "packaging" / "bundle.py", other]
    subprocess.run(
        command, check=True, capture_output=True, env={**os.environ, "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7"}
    )
    first, second = (hashlib.sha256(each.read_bytes()).hexdigest() for each in (archive, other))
    assert first == second


def test_it_holds_sources_alone_and_their_licences(archive):
    with zipfile.ZipFile(archive) as found:
        names = found.namelist()
    assert [name for name in names if name.endswith((".so", ".pyc", ".pyd"))] == []
    packages = {name.partition("/")[0] for name in names} - {"licences", "__main__.py"}
    assert packages == {"agent", "certifi", "charset_normalizer", "idna", "requests", "tenacity", "urllib3"}
    licensed = {name.split("/")[1] for name in names if name.startswith("licences/")}
    assert licensed == {"charset_normalizer", "idna", "imds-agent", "requests", "tenacity", "urllib3"}
    assert archive.read_bytes().startswith(b"#!/usr/bin/env python3\n")


@pytest.mark.parametrize("version", PYTHONS)
def test_it_does_first_boot_with_nothing_installed(archive, imds, tmp_path, version):
    python = interpreter(version)
    done = run(
        python, archive, "first-boot", f"--root={kubeadm_vm(tmp_path)}", f"--imds-url={imds.url}", folder=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert set(files(tmp_path)) == {UNIT, DEFAULT, INSTANCE, FACTS, STATUS}
    assert b"rack=westeurope-1-fd0" in files(tmp_path)[DEFAULT]


@pytest.mark.parametrize("version", PYTHONS)
def test_the_other_commands_that_it_carries_work(archive, imds, tmp_path, version):
    python, url = interpreter(version), f"--imds-url={imds.url}"
    assert run(python, archive, "rack", url, folder=tmp_path).stdout == "/westeurope-1\n"
    assert run(python, archive, "facts", "placement.zone", url, folder=tmp_path).stdout == "1\n"
    assert run(python, archive, "hdfs-rack", "10.0.0.1", folder=tmp_path).stdout == "/default-rack\n"
    assert run(python, archive, "explain-tag", "a", "b", folder=tmp_path).stdout.startswith(
        "tag.imds-agent.github.io/a=b\n"
    )
    put(tmp_path, "var/lib/waagent/CustomData", "aGVsbG8=")
    given = json.loads(
        run(python, archive, "custom-data", url, f"--root={tmp_path}", "-o", "json", folder=tmp_path).stdout
    )
    assert given["spoke"] == str(tmp_path / "var/lib/waagent/CustomData")
    script = tmp_path / "hdfs-rack"
    assert run(python, archive, "hdfs-rack", f"--install={script}", folder=tmp_path).returncode == 0
    assert "def answers(" in script.read_text()


def test_its_help_lists_what_it_carries_and_nothing_else(archive, tmp_path):
    done = run(sys.executable, archive, "--help", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    listed = re.findall(r"^ {4}([a-z][a-z-]+)\b", done.stdout, re.MULTILINE)
    assert sorted(listed) == ["custom-data", "explain-tag", "facts", "first-boot", "hdfs-rack", "rack"]


def test_a_command_that_it_does_not_carry_says_so_in_one_line(archive, tmp_path):
    carried = {"custom-data", "explain-tag", "facts", "first-boot", "hdfs-rack", "rack"}
    for name in {*(sub.name for sub in SUBS), "emulate"} - carried:
        done = run(sys.executable, archive, name, "--help", folder=tmp_path)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done
        assert done.stderr.startswith(f"imds-agent: {name}: this archive does not carry it")


def test_a_settings_file_says_what_is_missing(archive, tmp_path):
    done = run(
        sys.executable,
        archive,
        "first-boot",
        f"--config={put(tmp_path, 'x.yaml')}",
        f"--root={tmp_path}",
        folder=tmp_path,
    )
    assert (done.returncode, "PyYAML is missing" in done.stderr) == (2, True)


def test_an_old_python_is_told_so(archive, tmp_path):
    python = interpreter("3.8")
    done = run(python, archive, "first-boot", folder=tmp_path)
    assert (done.returncode, done.stderr) == (1, "imds-agent: expected Python 3.10 or newer, found 3.8\n")


def test_unpacked_and_compiled_it_is_the_same(archive, imds, tmp_path):
    unpacked = tmp_path / "unpacked"
    subprocess.run([sys.executable, "-m", "zipfile", "-e", archive, unpacked], check=True)
    subprocess.run([sys.executable, "-m", "compileall", "-q", unpacked], check=True)
    done = run(sys.executable, unpacked, "rack", f"--imds-url={imds.url}", folder=tmp_path)
    assert (done.stdout, done.stderr) == ("/westeurope-1\n", "")
