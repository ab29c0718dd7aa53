"""What is downloaded or built once, into a folder of the cache whose name says of what it was made."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.controlplane.build import one_at_a_time
from tests.controlplane.progress import Progress


def made(there: Path, make: Callable[[Path], object]) -> Path:
    """Make a folder once, whole or not at all; who wants it meanwhile waits.

    Args:
        make: fills the empty folder that it is given.
    """
    if not there.exists():
        there.parent.mkdir(parents=True, exist_ok=True)
        with one_at_a_time(there.with_name(f"{there.name}.lock"), Progress(there.parent.name)):
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
