"""Programs of Debian's packages, unpacked into a cache and run from there: nothing is installed on the machine."""

import hashlib
import os
import shutil
import subprocess
import time
from pathlib import Path

from tests.cached import made
from tests.controlplane.build import one_at_a_time
from tests.controlplane.progress import Progress

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "imds-agent" / "foreign"
TRIES, REST = 3, 5.0  # and seconds between them
CLOUD_INIT = ("cloud-init", "python3-configobj", "python3-six")
FACTER = ("facter", "ruby3.1", "libruby3.1", "ruby-hocon", "ruby-thor", "ruby-rubygems", "libyaml-0-2")


class NotThere(Exception):
    """The packages cannot be had here; says how to get them."""


def unpacked(*names: str) -> Path:
    """Return a folder with these packages in it, made once for each set of them and release of Debian.

    Raises:
        NotThere: this is no Debian, or its packages cannot be reached.
    """
    release = hashlib.sha256(Path("/etc/os-release").read_bytes()).hexdigest()[:8]
    there = CACHE / release / hashlib.sha256(" ".join(names).encode()).hexdigest()[:12]
    if not there.exists():
        for program in ("apt-get", "dpkg"):
            if not shutil.which(program):
                raise NotThere(f"{program} is missing: {names[0]} is tried on Debian and Ubuntu only")
    return made(there, lambda folder: _unpack(names, folder))


def _unpack(names: tuple[str, ...], folder: Path) -> None:
    _download(names, folder)
    for package in sorted(folder.glob("*.deb")):
        subprocess.run(["dpkg", "-x", package, folder], check=True, capture_output=True)
        package.unlink()


def _download(names: tuple[str, ...], folder: Path) -> None:
    """Download packages; where the machine has no lists of them, with lists of our own."""
    command = ["apt-get", "-q", "download", *names]
    first = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if first.returncode == 0:
        return
    lists = CACHE / "lists"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    own = ["-o", f"Dir::State::lists={lists}", "-o", f"Dir::Cache={CACHE}/apt", "-o", "Debug::NoLocking=true"]
    for _ in range(TRIES):
        with one_at_a_time(CACHE / "lists.lock", Progress(CACHE.name)):
            for arguments in (["apt-get", *own, "-q", "update"], ["apt-get", *own, "-q", "download", *names]):
                done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            break
        time.sleep(REST)
    if done.returncode != 0:
        said = (done.stderr or first.stderr).strip().splitlines()
        raise NotThere(
            f"Debian's packages {', '.join(names)} cannot be downloaded: {said[-1] if said else 'no reason given'}"
        )
