"""What is downloaded or built once, into a folder of the cache whose name says of what it was made."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path


def made(there: Path, make: Callable[[Path], object]) -> Path:
    """Make a folder once, whole or not at all, whoever else makes it at the same time.

    Args:
        make: fills the empty folder that it is given.
    """
    if not there.exists():
        making = there.with_name(f"{there.name}.{os.getpid()}")
        making.mkdir(parents=True, exist_ok=True)
        try:
            make(making)
            making.replace(there)
        except OSError:
            if not there.exists():  # another process was not first
                raise
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return there
