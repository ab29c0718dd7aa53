"""Tells a NameNode to read `dfs.hosts` again, by the command that people would type."""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SHOWN = 400  # characters of what the command said


class RefreshFailed(Exception):
    """The command could not be run, or ended with something else than 0, or not at all."""


def read_command(text: str) -> tuple[str, ...]:
    """Read a command as a shell does, without a shell.

    Raises:
        ValueError: there is none, or a quotation mark is open.
    """
    words = tuple(shlex.split(text))
    if not words:
        raise ValueError("expected a command, found nothing")
    return words


def refresh(command: Sequence[str], *, timeout: float = 60.0) -> None:
    """Run the command and wait for it.

    Args:
        timeout: seconds; `hdfs dfsadmin` starts a JVM, and a NameNode that is busy answers late.

    Raises:
        RefreshFailed: why.
    """
    try:
        done = subprocess.run(  # noqa: S603 - the operator's own command, from a flag
            list(command), stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise RefreshFailed(f"{command[0]}: not done after {timeout:.0f} s") from error
    except OSError as error:
        raise RefreshFailed(f"{command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode("utf-8", "replace")
        raise RefreshFailed(f"{command[0]}: exit code {done.returncode}: {' '.join(said.split())[-SHOWN:]}")
