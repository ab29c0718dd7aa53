"""`python -m tests.bench`: the budgets of the agent, measured on real parts, each beside its floor.

Ends with 0 whatever the verdicts are, and with 1 if something could not be measured.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from tests.bench.bed import Bed, bed
from tests.bench.boot import first_boot
from tests.bench.emulator import emulator
from tests.bench.events import event_to_cordon
from tests.bench.idle import idle
from tests.bench.measure import Measurement, row
from tests.bench.racks import rack_script
from tests.bench.runtime import Unmeasurable, bare, compiled, stripped
from tests.bench.start import start_to_labels
from tests.controlplane.build import BuildError, programs

WHAT = ("emulator", "racks", "boot", "events", "start", "idle")


def arguments() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("what", nargs="*", metavar="WHAT", help=f"which of {', '.join(WHAT)} [all]")
    parser.add_argument("--quick", action="store_true", help="1 idle minute instead of 10, 10 events instead of 30")
    parser.add_argument("--minutes", type=float, metavar="N", help="idle minutes")
    parser.add_argument("--events", type=int, metavar="N", help="events")
    parser.add_argument("--starts", type=int, default=10, metavar="N", help="starts [%(default)s]")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="what to print [text]")
    found = parser.parse_args()
    if unknown := set(found.what) - set(WHAT):
        parser.error(f"expected some of {', '.join(WHAT)}, found {', '.join(sorted(unknown))}")
    found.minutes = found.minutes or (1.0 if found.quick else 10.0)
    found.events = found.events or (10 if found.quick else 30)
    return found


def measured(ground: Bed, folder: Path, asked: argparse.Namespace, tell: Callable[[Measurement], None]) -> list[str]:
    """Measure what was asked for, telling each result at once; returns what could not be measured."""
    whole = compiled(folder)
    jobs: dict[str, Callable[[], list[Measurement]]] = {
        "emulator": lambda: emulator(0.3 if asked.quick else 1.0),
        "racks": lambda: rack_script(folder),
        "boot": lambda: first_boot(folder, 5 if asked.quick else 20),
        "events": lambda: [event_to_cordon(ground, whole, asked.events)],
        "start": lambda: [start_to_labels(ground, whole, asked.starts)],
        "idle": lambda: idle(ground, [whole, bare(folder), stripped(folder, whole)], asked.minutes),
    }
    failed = []
    for name in asked.what or WHAT:
        try:
            for measurement in jobs[name]():
                tell(measurement)
        except Unmeasurable as error:
            failed.append(f"{name}: {error}")
    return failed


def machine() -> str:
    """Return the machine in general words."""
    kind = "busy" if os.getloadavg()[0] > 1.0 else "idle"
    return f"{os.cpu_count()} cores ({kind} before the start), Python {platform.python_version()}, {platform.machine()}"


def main() -> int:
    """Measure, print, and say whether all could be measured."""
    asked = arguments()
    here, today = machine(), datetime.now(timezone.utc).date().isoformat()
    done: list[Measurement] = []
    quiet = asked.output == "json"

    def tell(measurement: Measurement) -> None:
        done.append(measurement)
        if not quiet:
            print(row(measurement), flush=True)

    programs("etcd", "kube-apiserver", "kubectl")
    if not quiet:
        print(f"bench of {today}: {here}", flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, bed() as ground:
        failed = measured(ground, Path(folder), asked, tell)
    if quiet:
        rows = [measurement.document() for measurement in done]
        print(json.dumps({"date": today, "machine": here, "measurements": rows, "failed": failed}, indent=1))
    for line in failed:
        print(f"bench: could not be measured: {line}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BuildError as error:
        sys.exit(f"bench: {error}")
