"""Real systemd as the first process of namespaces of its own: it knows our units and a few targets, and nothing of this machine's.

The network is this machine's, so that units reach an emulator and a control plane; `/etc`, `/var/lib`, `/opt` and `/run` are not.
"""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.not_here import not_here
from tests.promises.agents import ROOT, wait_until

SYSTEMD = "/lib/systemd/systemd"
TARGETS = (
    "default",
    "sysinit",
    "basic",
    "sockets",
    "timers",
    "paths",
    "slices",
    "multi-user",
    "network-online",
    "shutdown",
)
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
# The program at its place, as an installation would have it: by the interpreter that runs the tests, which units may not see.
PROGRAM = f"""#!/bin/sh
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/opt/imds-agent/source:/opt/imds-agent/packages
export LD_LIBRARY_PATH=/opt/imds-agent/python/lib
exec /opt/imds-agent/python/bin/{PYTHON} -m agent "$@"
"""
BOOT = f"""set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mount --bind $FOLDER/var /var/lib
mkdir -p $FOLDER/opt/imds-agent/source $FOLDER/opt/imds-agent/python $FOLDER/opt/imds-agent/packages
mount --bind $FOLDER/opt /opt
mount --bind {ROOT} /opt/imds-agent/source
mount --bind {sys.base_prefix} /opt/imds-agent/python
mount --bind {sysconfig.get_path("purelib")} /opt/imds-agent/packages
mount -t tmpfs tmpfs $FOLDER/over
mkdir $FOLDER/over/upper $FOLDER/over/work
mount -t overlay overlay -o lowerdir=/etc,upperdir=$FOLDER/over/upper,workdir=$FOLDER/over/work /etc
cp -a $FOLDER/etc/. /etc/
mount -t tmpfs tmpfs /sys/fs/cgroup
mkdir /sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
export container=podman SYSTEMD_UNIT_PATH=$FOLDER/units
exec {SYSTEMD} --system --unit=default.target --log-target=null --show-status=false
"""  # container: so that it leaves the kernel's settings alone


class Booted:
    """A system that runs; commands are run inside of it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def try_run(self, *command: str) -> subprocess.CompletedProcess[str]:
        inside = ["nsenter", "-t", str(self.pid), "-m", "-p", "-u", "-i", "--", *command]
        return subprocess.run(inside, capture_output=True, text=True, timeout=60, check=False)

    def run(self, *command: str) -> str:
        done = self.try_run(*command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def wait(self, found: Callable[[], object], what: str) -> object:
        """Wait for something inside, and tell what the agent said where it does not come."""
        return wait_until(found, what, lambda: self.read("/run/agent.log")[-3000:])

    def read(self, path: str) -> str:
        """Return a file, "" where it is not there yet."""
        return self.try_run("cat", path).stdout


@contextmanager
def booted(folder: Path, etc: Mapping[str, str], opt: Mapping[str, bytes] | None = None) -> Iterator[Booted]:
    """Boot with our units, none of them started.

    Args:
        etc, opt: files by their path below these; those in etc are executable where they begin with `#!`.
    """
    missing = [name for name in ("unshare", "nsenter", SYSTEMD) if shutil.which(name) is None]
    if os.geteuid() != 0 or missing:
        not_here(f"needs root and {', '.join(missing) or 'namespaces'}: apt-get install systemd util-linux")
    _lay(folder, etc, opt or {})
    boot = ["unshare", "-mpfui", "--mount-proc", "bash", "-c", BOOT]
    with (folder / "boot.log").open("w") as log:
        process = subprocess.Popen(boot, env={**os.environ, "FOLDER": str(folder)}, stdout=log, stderr=log)
    try:
        yield Booted(_first(process, folder))
    finally:
        for child in _children(process.pid):
            os.kill(child, signal.SIGKILL)  # all in its namespace end with it
        process.wait(60)


def _first(process: subprocess.Popen, folder: Path) -> int:
    def up() -> int | None:
        if process.poll() is not None:
            not_here(f"this machine cannot boot systemd in namespaces: {(folder / 'boot.log').read_text()[-300:]}")
        found = _children(process.pid)
        return (
            found[0]
            if found and Booted(found[0]).try_run("systemctl", "is-active", "default.target").stdout == "active\n"
            else None
        )

    return wait_until(up, "systemd", (folder / "boot.log").read_text)


def _children(pid: int) -> list[int]:
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _lay(folder: Path, etc: Mapping[str, str], opt: Mapping[str, bytes]) -> None:
    for name in ("var", "opt", "over", "etc", "units"):
        (folder / name).mkdir(parents=True)
    for target in TARGETS:
        (folder / "units" / f"{target}.target").write_text(f"[Unit]\nDescription={target}\nDefaultDependencies=no\n")
    for unit in (ROOT / "cloudinit" / "units").glob("imds-agent*.service"):
        shutil.copy(unit, folder / "units")
        (folder / "units" / f"{unit.name}.d").mkdir()
        (folder / "units" / f"{unit.name}.d" / "log.conf").write_text(
            "[Service]\nStandardError=append:/run/agent.log\n"
        )
    program = {"imds-agent/bin/imds-agent": PROGRAM.encode()}
    files = {folder / "etc" / path: text.encode() for path, text in etc.items()}
    files |= {folder / "opt" / path: content for path, content in {**opt, **program}.items()}
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755 if content.startswith(b"#!") else 0o600)
