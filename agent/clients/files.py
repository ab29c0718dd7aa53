"""Files that are there whole or not at all, for their owner alone."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import tempfile
from pathlib import Path
from typing import BinaryIO

from agent.told import Told


def open_file(path: Path) -> BinaryIO:
    """Open for reading what is a file: a pipe would be waited for, and a device may have no end, or do something.

    Raises:
        OSError: it cannot be opened, or is none.
    """
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no file")
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # or a pipe by now
    return os.fdopen(number, "rb")


def private_folder(path: Path) -> None:
    """Make a folder for its owner alone; one that is there must be empty, so that nothing in it is mistaken for ours.

    Raises:
        Told: it cannot be made, or something is in it.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        there = next(path.iterdir(), None)
        if there is None:
            path.chmod(0o700)  # it may have been there, open to others; mkdir's mode is for a new one
    except OSError as error:
        raise Told(f"{path}: expected a folder that can be written: {error.strerror}") from error
    if there is not None:
        raise Told(f"{path}: expected an empty folder, found {there.name!r} in it")


def write_whole(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a file beside its place and put it there in one step.

    Raises:
        Told: it cannot be written; then nothing has changed.
    """
    made: Path | None = None
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:80]}.", dir=path.parent)
        made = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        made.replace(path)
    except OSError as error:
        if made is not None:
            made.unlink(missing_ok=True)
        raise Told(f"{path}: cannot be written: {error.strerror}") from error


def clear_halves(path: Path) -> None:
    """Remove what `write_whole` left beside a file where it was killed in the midst, and nothing of anybody else's.

    Where that cannot be done the next write will say what is the matter.
    """
    half = re.compile(rf"\.{re.escape(path.name[:80])}\.[a-z0-9_]{{8}}")  # tempfile's own letters
    with contextlib.suppress(OSError):
        for each in path.parent.iterdir():
            if half.fullmatch(each.name):
                each.unlink(missing_ok=True)


def write_for_good(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a file whole, so that it is there after the VM lost its power, too; its folder is made if need be.

    Raises:
        Told: it cannot be written, or nobody knows whether it would last.
    """
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        write_whole(path, content, mode)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)  # the name in it is what was changed
        finally:
            os.close(folder)
    except OSError as error:
        raise Told(f"{path}: cannot be written: {error.strerror}") from error
