"""From the start of the process to labels on a node that had none; the floor is the same modules without the agent."""

import json
import subprocess
import time
from pathlib import Path

from tests.bench.bed import Bed
from tests.bench.measure import Budget, Measurement
from tests.bench.runtime import Runtime, Unmeasurable
from tests.bench.watch import NodeWatch, labelled

BUDGET = Budget(limits={"ratio": 1.4})
# What the agent has loaded once it runs, its own modules aside.
LIST = """
import json, sys, agent.cli, agent.daemon.run
names = [name for name, module in sys.modules.items() if getattr(module, "__spec__", None)]
print(json.dumps([name for name in names if name.partition(".")[0] not in ("agent", "__main__")]))
"""
STATUS = """
import re
print(re.search(r"VmRSS:\\s*(\\d+)", open("/proc/self/status").read())[1])
"""


def start_to_labels(bed: Bed, runtime: Runtime, count: int) -> Measurement:
    """Measure so many starts, and beside each the floor, so that both meet the same machine."""
    floor = floor_program(runtime, bed.plane.workdir)
    run_floor(runtime, floor)  # the first one reads from disk
    samples, floors = [], []
    with bed.imds() as imds:
        for _ in range(count):
            floors.append(run_floor(runtime, floor)[0])
            with bed.node() as node, NodeWatch(bed.plane, node.name) as watch:
                bed.plane.agent_kubeconfig(node.name)
                begun = time.monotonic()
                with bed.agent(runtime, node, imds) as agent:
                    samples.append(watch.first("labels", labelled, since=begun, agent=agent) - begun)
    return Measurement(
        name="process start -> labels on the node",
        unit="s",
        samples=samples,
        floor=floors,
        floor_is="interpreter and imports",
        budget=BUDGET,
    )


def floor_program(runtime: Runtime, folder: Path) -> Path:
    """Write a program that imports all that the agent imports, in its order, and says its memory."""
    done = subprocess.run(
        [str(runtime.python), "-c", LIST], capture_output=True, env=runtime.environment(), cwd="/", check=False
    )
    if done.returncode != 0:
        raise Unmeasurable(f"the agent cannot be imported: {done.stderr.decode()[-1000:]}")
    path = folder / f"floor-{runtime.kind.replace(' ', '-')}.py"
    imports = "".join(f"import {name}\n" for name in json.loads(done.stdout) if importable(name))
    path.write_text(imports + STATUS)
    return path


def importable(name: str) -> bool:
    """Whether the name can stand in an import statement."""
    return all(part.isidentifier() for part in name.split("."))


def run_floor(runtime: Runtime, program: Path) -> tuple[float, float]:
    """Return the seconds from start to end of that program, and its resident MiB at the end."""
    begun = time.monotonic()
    done = subprocess.run(
        [str(runtime.python), str(program)], capture_output=True, env=runtime.environment(), cwd="/", check=False
    )
    seconds = time.monotonic() - begun
    if done.returncode != 0:
        raise Unmeasurable(f"the floor's imports failed: {done.stderr.decode()[-1000:]}")
    return seconds, int(done.stdout) / 1024
