"""Ends the control plane's processes when the process that started them is gone, however it ended.

Runs as its own small process in its own session. Standard input is a pipe that only the parent holds: lines
`end PID`, `spare PID`, `remove FOLDER`, and at its end, which also a SIGKILL brings about, everything still named is
killed and removed. `Warden` is the parent's side.
"""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path


class Warden:
    """The parent's end of the pipe."""

    def __init__(self) -> None:
        command = [sys.executable, "-I", "-S", str(Path(__file__).resolve())]
        nowhere = subprocess.DEVNULL
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere, start_new_session=True, cwd="/", text=True
        )

    def say(self, order: str, what: int | Path) -> None:
        """Send one of the orders above."""
        pipe = self.process.stdin
        assert pipe is not None
        print(order, what, file=pipe, flush=True)

    def close(self) -> None:
        """Let everything that is still named end now, and wait for it."""
        pipe = self.process.stdin
        assert pipe is not None
        pipe.close()
        self.process.wait()


def watch() -> None:
    """Follow the orders until the pipe ends, then clean up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    handles: dict[int, int] = {}  # by pid; a handle never means another process that got the same pid
    folders: list[str] = []
    for line in sys.stdin:
        order, _, what = line.rstrip("\n").partition(" ")
        if order == "end":
            with suppress(ProcessLookupError):
                handles[int(what)] = os.pidfd_open(int(what))
        elif order == "spare" and int(what) in handles:
            os.close(handles.pop(int(what)))
        elif order == "remove":
            folders.append(what)
    for handle in handles.values():
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    for folder in folders:
        remove(folder)


def remove(folder: str) -> None:
    """Remove the folder; a process just killed may still write there, so a few times."""
    for _ in range(5):
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    watch()
