"""One program of the control plane as a child process with a log of its own."""

import os
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.controlplane.warden import Warden

TAIL = 25  # log lines shown when a start fails
PAUSE = 0.05  # seconds between two looks


class StartError(Exception):
    """A program ended or did not become ready; the text has the last lines of its log."""


class Process:
    """A program, started and ended as often as a test likes; its log grows on."""

    def __init__(self, program: Path, flags: Mapping[str, object], *, workdir: Path, warden: Warden) -> None:
        self.name = program.name
        self.command = [str(program), *(f"--{name}={value}" for name, value in flags.items())]
        self.workdir = workdir
        self.log = workdir / f"{self.name}.log"
        self.warden = warden
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start the program; it sees nothing of this process's proxies and certificates, nor Ctrl-C."""
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(self.workdir), "TMPDIR": str(self.workdir)}
        environment["GOGC"] = "60"  # a few tens of MiB less, for a little more CPU
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                cwd=self.workdir,
                start_new_session=True,
            )
        self.warden.say("end", self.process.pid)

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until `ready` says so.

        Raises:
            StartError: the program ended first, or it took longer.
        """
        last = time.monotonic() + seconds
        while not ready():
            if not self.running:
                code = self.process.returncode if self.process else "no process"
                raise StartError(f"controlplane: {self.name} ended with {code}; the end of {self.log}:\n{self.tail()}")
            if time.monotonic() > last:
                raise StartError(
                    f"controlplane: {self.name} was not ready in {seconds:.0f} s; the end of {self.log}:\n{self.tail()}"
                )
            time.sleep(PAUSE)

    def kill(self) -> None:
        """End the program at once: its data are thrown away, and an outage does not say goodbye either."""
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        self.warden.say("spare", self.process.pid)
        self.process = None

    def tail(self) -> str:
        with self.log.open(errors="replace") as lines:
            return "".join(deque(lines, maxlen=TAIL))
