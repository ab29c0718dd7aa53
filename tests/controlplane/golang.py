"""The Go toolchain that builds the control plane: where it is, or one line that says what to do."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

FLOOR = (1, 24)  # etcd 3.6 and Kubernetes 1.34 need it
ELSEWHERE = ("/usr/local/go/bin/go", "/usr/lib/go-1.26/bin/go", "/usr/lib/go-1.25/bin/go", "/usr/lib/go-1.24/bin/go")


class BuildError(Exception):
    """A program of the control plane is neither there nor can it be built; the text is one line for a person."""


def go_command(wanted: str, candidates: Iterable[str] | None = None) -> Path:
    """Return a Go that is new enough.

    Args:
        wanted: the programs it is needed for, for the message.
        candidates: where to look; None is PATH, and where Debian and go.dev put it.

    Raises:
        BuildError: no such Go.
    """
    found = []
    for candidate in (shutil.which("go") or "go", *ELSEWHERE) if candidates is None else candidates:
        version = go_version(candidate)
        if version and version >= FLOOR:
            return Path(candidate)
        if version:
            found.append(f"{candidate} is {version[0]}.{version[1]}")
    raise BuildError(
        f"controlplane: Go 1.24 or newer is needed to build {wanted} ({'; '.join(found) or 'no Go found'}): "
        "apt-get install golang-1.24 or https://go.dev/dl, or set KUBEBUILDER_ASSETS"
    )


def go_version(command: str) -> tuple[int, int] | None:
    """Return major and minor of the Go at this path, None where it does not run."""
    if not Path(command).is_file():
        return None
    # GOTOOLCHAIN=local: the version that is installed, not one that would be downloaded
    asked = subprocess.run(
        [command, "env", "GOVERSION"],
        env={**os.environ, "GOTOOLCHAIN": "local"},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    match = re.match(r"go(\d+)\.(\d+)", asked.stdout)
    return (int(match[1]), int(match[2])) if asked.returncode == 0 and match else None
