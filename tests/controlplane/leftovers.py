"""Looks for what a control plane may have left behind."""

import time
from pathlib import Path

GRACE = 20.0  # seconds within which processes must have gone; they take well below one


def processes_of(workdir: str) -> list[str]:
    """Return command lines of the programs started for this folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if workdir in command and "pytest" not in command:
            found.append(command)
    return found


def wait_until_gone(workdir: str) -> None:
    """Wait until neither process nor folder is left; fail if they stay."""
    last = time.monotonic() + GRACE
    while (processes_of(workdir) or Path(workdir).exists()) and time.monotonic() < last:
        time.sleep(0.05)
    assert processes_of(workdir) == []
    assert not Path(workdir).exists()
