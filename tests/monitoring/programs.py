"""promtool and Prometheus: built once by Go, from upstream's module, into a cache outside the tree.

`python -m tests.monitoring.programs` builds what is missing and prints the paths.
"""

import hashlib
import os
import platform
import re
import sys
import tempfile
from functools import cache
from pathlib import Path

from tests.controlplane.build import last_lines, one_at_a_time, run
from tests.controlplane.golang import BuildError, go_command
from tests.controlplane.progress import Progress

MODULE = Path(__file__).resolve().parent
PACKAGE = "github.com/prometheus/prometheus"
SECONDS = {"promtool": 300, "prometheus": 30}  # that each took on two cores in this order, downloads apart
NAMES = tuple(SECONDS)


@cache
def cache_folder() -> Path:
    """Return the folder of programs built from exactly this module for this platform."""
    text = (MODULE / "go.mod").read_text()
    [version] = re.findall(rf"^\s*{re.escape(PACKAGE)} v(\S+)", text, re.MULTILINE)
    digest = hashlib.sha256((text + (MODULE / "go.sum").read_text()).encode()).hexdigest()[:12]
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    system = f"{platform.system()}-{platform.machine()}".lower()
    return root / "imds-agent" / "monitoring" / f"prometheus-{version}-{digest}-{system}"


def program(name: str) -> Path:
    """Return the path of one program, building it if it is nowhere yet: several minutes for the first, one for the other.

    Raises:
        BuildError: it cannot be built here, or its build failed.
    """
    path = cache_folder() / name
    if os.access(path, os.X_OK):
        return path
    go, progress = go_command(name), Progress()
    path.parent.mkdir(parents=True, exist_ok=True)
    with one_at_a_time(path.parent / ".lock", progress):
        if not os.access(path, os.X_OK):
            build(go, path, progress)
    return path


def build(go: Path, target: Path, progress: Progress) -> None:
    """Build beside the program's place and move it there when it is whole."""
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    command = ["nice", "-n", "10", str(go), "build", "-mod=readonly", "-buildvcs=false", "-trimpath"]
    command += ["-ldflags", "-s -w", "-o", str(partial), f"{PACKAGE}/cmd/{target.name}"]
    building = f"building {target.name} (once; up to {SECONDS[target.name] / 60:.1f} minutes on two cores)"
    progress.line(building)
    try:
        with tempfile.TemporaryFile() as output:
            if run(command, output, lambda: progress.beat(building), folder=MODULE) != 0:
                raise BuildError(f"monitoring: building {target.name} failed:\n{last_lines(output)}")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def main() -> int:
    try:
        for name in NAMES:
            print(name, program(name))
    except BuildError as error:
        print(error, file=sys.stderr)
        return int(bool(os.environ.get("CI")))  # elsewhere the tests that want them are skipped, with this reason
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
