"""A release: the same bytes from the same commit, complete, and of one version everywhere."""

import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

from agent import __version__
from tests.cli.running import ROOT
from tests.not_here import not_here

pytestmark = [pytest.mark.slow]
NAMES = {
    "SHA256SUMS",
    f"imds_agent-{__version__}-py3-none-any.whl",
    f"imds_agent-{__version__}.tar.gz",
    f"imds-agent-{__version__}.pyz",
    f"imds-agent-{__version__}.cdx.json",
    f"imds-agent-manifests-{__version__}.tar.gz",
    f"imds-agent-chart-{__version__}.tgz",
}


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> Path:
    return released(tmp_path_factory.mktemp("release"))


def released(folder: Path, umask: str = "022", **environment: str) -> Path:
    """Build a release in a clone, as somebody with this umask and environment."""
    subprocess.run(["sh", "-c", f'umask {umask}; git clone -q "$1" "$2"', "sh", ROOT, folder / "clone"], check=True)
    (folder / "clone" / "agent" / "stray.py").write_text("left by an editor\n")
    command = ["sh", "-c", f'umask {umask}; exec "$@"', "sh", sys.executable, folder / "clone/packaging/release.py"]
    done = subprocess.run(
        [*command, folder / "made"],
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
        env={**os.environ, **environment},
    )
    if done.returncode != 0 and "cannot be downloaded" in done.stderr and "CI" not in os.environ:
        not_here(f"{done.stderr.strip()[-300:]} (the libraries are downloaded once)")
    assert done.returncode == 0, done.stderr
    return folder / "made"


def test_two_builds_in_two_folders_are_the_same_bytes(release, tmp_path):
    other = released(tmp_path, umask="077", TZ="Asia/Tokyo", PYTHONHASHSEED="7", LC_ALL="C")
    digests = [
        {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in each.iterdir()}
        for each in (release, other)
    ]
    assert digests[0] == digests[1]


def test_it_is_complete_and_its_checksums_are_right(release):
    assert {path.name for path in release.iterdir()} == NAMES
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=release, check=True)
    assert len((release / "SHA256SUMS").read_text().splitlines()) == len(NAMES) - 1


def test_what_is_not_committed_is_not_in_it(release):
    with zipfile.ZipFile(next(release.glob("*.whl"))) as wheel:
        names = wheel.namelist()
    assert "agent/cli.py" in names
    assert "agent/stray.py" not in names


def test_the_wheel_says_the_version_and_brings_the_licence(release):
    with zipfile.ZipFile(next(release.glob("*.whl"))) as wheel:
        metadata = wheel.read(f"imds_agent-{__version__}.dist-info/METADATA").decode()
        licences = [name for name in wheel.namelist() if name.endswith("/LICENSE")]
    assert f"\nVersion: {__version__}\n" in metadata
    assert len(licences) == 1


def test_the_archive_of_manifests_is_what_the_commit_has(release, tmp_path):
    with tarfile.open(next(release.glob("*manifests*"))) as found:
        names = {name.partition("/")[2] for name in found.getnames()}
        owners = {(entry.uid, entry.gid, entry.mtime) for entry in found}
    listed = subprocess.run(["git", "ls-files", "manifests"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert names == {name.partition("/")[2] for name in listed.stdout.split()}
    assert len(owners) == 1


def test_the_chart_s_archive_has_the_shape_that_helm_reads(release):
    with tarfile.open(next(release.glob("*chart*"))) as found:
        chart = yaml.safe_load(found.extractfile("imds-agent/Chart.yaml").read())
    assert (chart["name"], chart["version"], chart["appVersion"]) == ("imds-agent", __version__, __version__)


def test_a_folder_that_has_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "mine").write_text("")
    done = subprocess.run(
        [sys.executable, ROOT / "packaging/release.py", tmp_path], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, f"release: {tmp_path}: expected an empty folder or none\n")


def test_the_version_stands_in_one_place_and_the_manifests_agree():
    assert "\nversion = " not in (ROOT / "pyproject.toml").read_text()
    daemonset = (ROOT / "manifests/base/daemonset.yaml").read_text()
    assert re.findall(r"image: imds-agent:(\S+)", daemonset) == [__version__]
    chart = yaml.safe_load((ROOT / "manifests/chart/imds-agent/Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


@pytest.fixture(scope="module")
def bill(release):
    return json.loads(next(release.glob("*.cdx.json")).read_text())


def test_the_bill_names_each_line_of_the_lock_with_its_hashes(bill):
    lock = (ROOT / "requirements.lock").read_text()
    listed = [(each["name"], each["version"]) for each in bill["components"]]
    assert listed == re.findall(r"^([a-z0-9-]+)==([^ ]+)", lock, re.MULTILINE)
    hashes = [
        sum_["content"] for each in bill["components"] for file in each["externalReferences"] for sum_ in file["hashes"]
    ]
    assert hashes == re.findall(r"sha256:([0-9a-f]{64})", lock)


def test_all_parts_of_the_bill_hang_on_the_agent(bill):
    """Nothing is wanted by nobody, and no reference leads nowhere."""
    wants = {each["ref"]: each["dependsOn"] for each in bill["dependencies"]}
    assert set(wants) == {each["bom-ref"] for each in bill["components"]} | {bill["metadata"]["component"]["bom-ref"]}
    reached, left = set(), [bill["metadata"]["component"]["bom-ref"]]
    while left:
        ref = left.pop()
        if ref not in reached:
            reached.add(ref)
            left += wants[ref]
    assert reached == set(wants)


def test_the_bill_keeps_cyclonedx_s_rules_for_what_must_be_unique(bill):
    references = [each["bom-ref"] for each in bill["components"]]
    assert len(set(references)) == len(references)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", bill["serialNumber"])
    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.6", 1)
