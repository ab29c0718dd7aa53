"""One control plane for several test processes (pytest-xdist): whoever comes first has it started, it ends after the last.

A process of its own, `python -m tests.controlplane.shared FOLDER`, holds it. Each user holds a shared lock on
FOLDER/users, and the kernel lets go of it however the user ends; the holder ends when it gets that lock alone.
"""

import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.controlplane.build import locked
from tests.controlplane.cluster import Cluster
from tests.controlplane.plane import ControlPlane
from tests.controlplane.process import StartError

STATE = "cluster.json"
ROOT = Path(__file__).resolve().parents[2]
LOOK = 0.2  # seconds


@contextmanager
def shared_cluster(folder: Path, *, whole: bool = False) -> Iterator[Cluster]:
    """Give access to the control plane of this folder, starting it if nobody has yet.

    Args:
        whole: with scheduler and controller manager; all users of a folder ask alike.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "start").open("w") as start, (folder / "users").open("w") as users:
        fcntl.flock(start, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_SH)
        state = folder / STATE
        if not state.exists():
            start_holder(folder, whole=whole)
        fcntl.flock(start, fcntl.LOCK_UN)
        found = json.loads(state.read_text())
        with Cluster(Path(found["workdir"]), found["url"], controller_manager=whole) as cluster:
            yield cluster


def start_holder(folder: Path, *, whole: bool) -> None:
    """Start the holder and wait until its control plane is ready.

    Raises:
        StartError: it ended first; the text is what it said.
    """
    log = folder / "holder.log"
    command = [sys.executable, "-m", "tests.controlplane.shared", str(folder), *(["whole"] if whole else [])]
    output = [
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    # not subprocess: the holder outlives whoever started it
    pid = os.posix_spawn(
        sys.executable, command, {**os.environ, "PYTHONPATH": str(ROOT)}, file_actions=output, setsid=True
    )
    while not (folder / STATE).exists():
        if os.waitpid(pid, os.WNOHANG) != (0, 0):
            raise StartError(log.read_text())
        time.sleep(LOOK)


def hold(folder: Path, *, whole: bool) -> None:
    """Run a control plane until its last user has gone."""
    state = folder / STATE
    with (folder / "users").open("w") as users, ControlPlane(scheduler=whole, controller_manager=whole) as plane:
        partial = folder / f"{STATE}.part"
        partial.write_text(json.dumps({"url": plane.url, "workdir": str(plane.workdir)}))
        partial.replace(state)
        while not locked(users):
            time.sleep(LOOK)
        state.unlink()  # before the lock goes: a user that comes now starts another


if __name__ == "__main__":
    hold(Path(sys.argv[1]), whole=sys.argv[2:] == ["whole"])
