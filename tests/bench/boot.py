"""First boot as a whole process with IMDS ready: what it adds to the boot's critical path, beside an interpreter that asks once."""

import subprocess
import sys
import time
from pathlib import Path

from agent.emulator import Emulator
from agent.hdfs.script import usual_python
from tests.bench.measure import Measurement
from tests.bench.runtime import Unmeasurable
from tests.boot.vm import FACTS, kubeadm_vm

ROOT = Path(__file__).resolve().parents[2]
FLOOR = """
from http.client import HTTPConnection
connection = HTTPConnection("127.0.0.1", {port})
connection.request("GET", "/metadata/instance?api-version=2021-02-01", headers={{"Metadata": "true"}})
assert connection.getresponse().read()
"""


def first_boot(folder: Path, count: int) -> list[Measurement]:
    """Measure so many boots of a fresh VM with the archive, and with what an image unpacks and compiles from it."""
    archive, unpacked = folder / "imds-agent.pyz", folder / "unpacked"
    done = subprocess.run(
        [sys.executable, ROOT / "packaging" / "bundle.py", archive], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise Unmeasurable(f"the archive cannot be built: {done.stderr[-500:]}")
    python = usual_python()
    subprocess.run([python, "-m", "zipfile", "-e", archive, unpacked], check=True)
    subprocess.run([python, "-m", "compileall", "-q", unpacked], check=True)
    with Emulator(rate_limit=None) as imds:
        return [
            _measured("the archive", [python, "-I", "-S", str(archive)], imds.url, folder / "archive", count),
            _measured(
                "unpacked and compiled", [python, "-I", "-S", str(unpacked)], imds.url, folder / "compiled", count
            ),
        ]


def _measured(name: str, command: list[str], url: str, folder: Path, count: int) -> Measurement:
    floor = [*command[:3], "-c", FLOOR.format(port=url.rpartition(":")[2])]
    samples, floors = [], []
    for number in range(count + 1):
        root = kubeadm_vm(folder / str(number))
        floors.append(took(floor))
        samples.append(took([*command, "first-boot", f"--root={root}", f"--imds-url={url}"]))
        if not (root / FACTS).exists():
            raise Unmeasurable(f"first-boot wrote no facts: {name}")
    return Measurement(
        name=f"first-boot, {name}: start -> files written",
        unit="s",
        samples=samples[1:],  # the first one reads from disk
        floor=floors[1:],
        floor_is="interpreter and one GET",
    )


def took(command: list[str]) -> float:
    """Return the seconds that a process takes."""
    begun = time.monotonic()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - begun
