"""A root file system of Debian with systemd and cloud-init, made once into the cache by Debian's own mmdebstrap."""

import hashlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.cached import made
from tests.controlplane.build import one_at_a_time
from tests.controlplane.progress import Progress
from tests.foreign.packages import CACHE, NotThere, unpacked

SUITE = "bookworm"
PLAIN = [
    "base-files",
    "base-passwd",
    "bash",
    "coreutils",
    "dash",
    "debianutils",
    "diffutils",
    "findutils",
    "grep",
    "gzip",
    "hostname",
    "init-system-helpers",
    "libc-bin",
    "mawk",
    "passwd",
    "python3",
    "sed",
    "tar",
    "util-linux",
]  # a system that can run Python, and no more
PACKAGES = sorted([*PLAIN, "cloud-init", "iproute2", "mount", "netbase", "systemd", "systemd-sysv"])
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")
MINUTES = 15  # it takes one or two on an idle machine
MAKER = ("mmdebstrap",)


def debian_root(packages: Sequence[str] = PACKAGES) -> Path:
    """Return the root; nobody writes to it, since others boot from it, too.

    Args:
        packages: what is installed in it, besides what they need.

    Raises:
        NotThere: it cannot be made here; says how it can.
    """
    if os.geteuid() != 0:
        raise NotThere("a root file system of Debian is made by root only")
    options = [f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT]
    command = ["mmdebstrap", "--mode=root", "--variant=custom", f"--include={','.join(packages)}", *options]
    command += ["--dpkgopt=force-unsafe-io", "--format=directory", SUITE]
    there = CACHE / f"{SUITE}-{hashlib.sha256(' '.join(command).encode()).hexdigest()[:12]}"
    return made(there, lambda folder: _make([*command, str(folder), str(_sources())]))


def _make(command: list[str]) -> None:
    maker = unpacked(*MAKER) / "usr" / "bin"
    done = subprocess.run(
        command,
        env={**os.environ, "PATH": f"{maker}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=MINUTES * 60,
        check=False,
    )
    if done.returncode != 0:
        raise NotThere(f"mmdebstrap could not make {SUITE}: {done.stderr.strip()[-500:]}")


def _sources() -> Path:
    """Write where the machine's own apt has this suite from.

    Raises:
        NotThere: its apt knows no such place.
    """
    found = _known() or _known(own=True)
    if not found:
        raise NotThere(f"apt has no {SUITE} here, or cannot reach it: it is made on Debian {SUITE}")
    CACHE.mkdir(parents=True, exist_ok=True)
    sources = CACHE / f"{SUITE}.list"
    sources.write_text(f"deb {found[0]} {SUITE} main\n")
    return sources


def _known(*, own: bool = False) -> list[str]:
    """Return where apt has the suite from, by the machine's lists or, freshly downloaded, by lists of our own."""
    lists = CACHE / "lists"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    options = ["-o", f"Dir::State::lists={lists}", "-o", f"Dir::Cache={CACHE}/apt"] if own else []
    if own:
        with one_at_a_time(CACHE / "lists.lock", Progress(CACHE.name)):
            subprocess.run(["apt-get", *options, "-q", "update"], capture_output=True, check=False)
    command = ["apt-get", *options, "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    return subprocess.run([*command, f"Codename: {SUITE}"], capture_output=True, text=True, check=False).stdout.split()
