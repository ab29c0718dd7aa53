"""The rack script as a whole process, beside the interpreter's own start and beside a shell script that greps."""

import subprocess
import time
from pathlib import Path

from agent.core.racks import read_form, table_text
from agent.hdfs.script import script, usual_python
from tests.bench.measure import Budget, Measurement

SIZES = (100, 1000, 5000)
ARGUMENTS = 100  # as many as Hadoop gives at once
RUNS = 30
BUDGET = Budget(limits={"ratio": 2.0})
GREP = """#!/bin/sh
for host in "$@"; do grep -m1 "^$host " {table} | cut -d" " -f2 || echo /default-rack; done
"""


def took(command: list[str]) -> float:
    """Return the milliseconds that a process takes."""
    begun = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - begun) * 1000


def rack_script(folder: Path) -> list[Measurement]:
    """Measure 100 arguments on tables of several sizes, each beside its floor in the same run."""
    return [_measured(folder, size) for size in SIZES]


def _measured(folder: Path, size: int) -> Measurement:
    names = [f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}" for n in range(size)]
    rows = {name: f"/westeurope-{n % 3 + 1}" for n, name in enumerate(names)}
    rows |= {f"aks-pool1-12345678-vmss{n:06}": f"/westeurope-{n % 3 + 1}" for n in range(size)}
    table, path, shell, python = (
        folder / f"racks-{size}",
        folder / f"rack-{size}",
        folder / f"grep-{size}",
        usual_python(),
    )
    table.write_text(table_text(rows, read_form("auto")))
    path.write_text(script(table, 1, strict=False, python=python))
    shell.write_text(GREP.format(table=table))
    for each in (path, shell):
        each.chmod(0o755)
    asked = names[:: max(1, size // ARGUMENTS)][:ARGUMENTS]
    mine, floor = [], []
    for _ in range(RUNS):
        mine.append(took([str(path), *asked]))
        floor.append(took([python, "-IS", "-c", "pass"]))
    grep = [took([str(shell), *asked]) for _ in range(3)]
    return Measurement(
        name=f"hdfs-rack: {ARGUMENTS} hosts, {size} nodes",
        unit="ms",
        samples=mine,
        floor=floor,
        floor_is="the interpreter's start with -IS",
        budget=BUDGET,
        notes=[f"a shell script that greps: {sorted(grep)[1]:.0f} ms"],
    )
