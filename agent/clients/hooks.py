"""Hooks: executables in a folder, run one by one and for a bounded time; only what nobody else could have written is run."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

# What editors and package managers leave behind. A dot within a name is fine: run-parts, which wants none, surprises people.
_LEFT_BEHIND = ("~", ".bak", ".swp", ".orig", ".disabled", ".rpmsave", ".rpmnew", ".rpmorig")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
GRACE = 5.0  # seconds between SIGTERM and SIGKILL for a hook whose time is over

Result = Literal["done", "failed", "late"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """What one look at the folder found.

    Attributes:
        hooks: names of what can be run, in order.
        skipped: files that are not executable.
        trouble: why there is none although the folder is there; None otherwise.
    """

    hooks: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    trouble: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a hook ended.

    Attributes:
        because: exit code or signal, for a person; "" where it is done.
    """

    result: Result
    because: str
    seconds: float


def look(folder: Path) -> Folder:
    """Return the hooks of a folder; none where it is not there."""
    try:
        names = sorted(each.name for each in folder.iterdir())
        found = [name for name in names if not _left_behind(name) and (folder / name).is_file()]
    except FileNotFoundError:
        return Folder()
    except OSError as error:
        return Folder(trouble=f"{folder}: {error.strerror}")
    runnable = [name for name in found if os.access(folder / name, os.X_OK)]
    return Folder(hooks=tuple(runnable), skipped=tuple(name for name in found if name not in runnable))


def _left_behind(name: str) -> bool:
    return name.startswith(".") or name.endswith(_LEFT_BEHIND) or ".dpkg-" in name


def distrust(path: Path) -> str | None:
    """Return why somebody else could change a file, or what stands in its place; None where only root and we can.

    Each folder on the way counts: who may rename in one of them chooses what is run. In one that is sticky, as /tmp, nobody
    renames what is another's.
    """
    try:
        real = path.resolve(strict=True)
        for each in (real, *real.parents, *path.absolute().parents):
            found = each.stat()
            if found.st_uid not in (0, os.geteuid()):
                return f"{each} belongs to uid {found.st_uid}, neither to root nor to us"
            sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
            if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not sticky:
                return f"{each} can be written by others (mode {stat.S_IMODE(found.st_mode):o})"
    except OSError as error:
        return f"{path}: {error.strerror}"
    return None


def unstartable(error: OSError) -> str:
    """Return why a hook that is there and executable was not started, and where to look: mostly at its first line."""
    hints = {
        errno.ENOEXEC: ": its first line must name an interpreter, such as #!/bin/sh",
        errno.ENOENT: ": the interpreter that its first line names",
    }
    return f"{error.strerror}{hints.get(error.errno or 0, '')}"


class Hook:
    """One hook that runs; a thread of its own waits for its end."""

    def __init__(
        self,
        path: Path,
        *,
        environment: Mapping[str, str],
        document: str,
        at_most: float,
        ended: Callable[[Ended], None],
    ) -> None:
        """Start it, in a session of its own, with nothing of our environment.

        Args:
            document: what it reads on standard input; what it writes goes to our standard error.
            at_most: seconds; then it gets SIGTERM, and five seconds later SIGKILL, with all its children.
            ended: told how it ended, from another thread.

        Raises:
            OSError: it cannot be started.
        """
        self._at_most, self._ended, self._begun = at_most, ended, time.monotonic()
        with os.fdopen(
            os.memfd_create("event"), "w+b"
        ) as sent:  # a pipe would fill up before a hook that does not read
            sent.write(document.encode())
            sent.seek(0)
            self._process = subprocess.Popen(  # noqa: S603 - what only root and we could have written
                [str(path)],
                stdin=sent,
                stdout=2,
                stderr=2,
                cwd="/",
                env={"PATH": PATH, "LANG": "C.UTF-8", **environment},
                start_new_session=True,
            )
        threading.Thread(target=self._wait, name=f"hook {path.name}", daemon=True).start()

    def stop(self) -> None:
        """End it now, since we end."""
        self._kill(signal.SIGTERM)

    def _kill(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _wait(self) -> None:
        late = False
        try:
            self._process.wait(self._at_most)
        except subprocess.TimeoutExpired:
            late = True
            self._kill(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE)
            self._kill(signal.SIGKILL)
            self._process.wait()
        seconds = time.monotonic() - self._begun
        self._ended(
            Ended(result=_result(self._process.returncode, late=late), because=self._because(late), seconds=seconds)
        )

    def _because(self, late: bool) -> str:  # noqa: FBT001
        code = self._process.returncode
        if late:
            return f"it took longer than {self._at_most:g} s"
        return "" if code == 0 else f"exit code {code}" if code > 0 else f"signal {-code}"


def _result(code: int, *, late: bool) -> Result:
    return "late" if late else "done" if code == 0 else "failed"
