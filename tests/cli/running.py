"""The program as a user runs it: a process of its own, without a terminal unless one is given."""

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0  # seconds


class Done(NamedTuple):
    code: int
    out: str
    err: str


def environment(**given: str) -> dict[str, str]:
    """Return an environment without anything of whoever runs the tests."""
    return {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(ROOT), "COLUMNS": "80", "LANG": "C.UTF-8", **given}


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "agent", *map(str, arguments)]


def imds_agent(*arguments: object, **given: str) -> Done:
    """Run the program to its end; a traceback is never right."""
    done = subprocess.run(
        command(*arguments),
        cwd="/",
        env=environment(**given),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


def refused(code: int, *arguments: object, **given: str) -> str:
    """Run what must end with this code, nothing on standard output and one line on standard error; returns that line."""
    done = imds_agent(*arguments, **given)
    assert (done.code, done.out) == (code, ""), done
    assert done.err.startswith("imds-agent: ")
    assert done.err.count("\n") == 1
    return done.err.removeprefix("imds-agent: ").rstrip("\n")


def on_a_terminal(*arguments: object, **given: str) -> str:
    """Run the program on a terminal of its own and return what that shows."""
    screen, terminal = pty.openpty()
    process = subprocess.Popen(
        command(*arguments), cwd="/", env=environment(TERM="xterm", **given), stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    shown = b""
    try:
        while piece := os.read(screen, 65536):
            shown += piece
    except OSError:  # the last writer left
        pass
    finally:
        os.close(screen)
    assert process.wait(PATIENCE) == 0
    return shown.decode()
