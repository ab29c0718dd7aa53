"""What is downloaded or built once, into a folder of the cache whose name says of what it was made."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def made(there: Path, make: Callable[[Path], object]) -> Path:
    """Make a folder once, whole or not at all; who wants it meanwhile waits.

    Args:
        make: fills the empty folder that it is given.
    """
    if not there.exists():
        there.parent.mkdir(parents=True, exist_ok=True)
        with alone(there.with_name(f"{there.name}.lock")):
            if not there.exists():  # nobody was first
                _make(there, make)
    return there


def _make(there: Path, make: Callable[[Path], object]) -> None:
    making = there.with_name(f"{there.name}.{os.getpid()}")
    making.mkdir()
    try:
        make(making)
        making.replace(there)
    finally:
        shutil.rmtree(making, ignore_errors=True)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Be the only one who holds this lock file; the kernel frees it when its holder dies."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
