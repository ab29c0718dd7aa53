"""kube-state-metrics itself beside a control plane, with the flag that our page asks for."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.addresses import free_address
from tests.controlplane.cluster import Cluster
from tests.monitoring.written import FOLDER
from tests.promises.agents import wait_until

ASKED = re.compile(r"--metric-annotations-allowlist=[^`\s]+")


def asked() -> str:
    """Return the flag as manifests/monitoring/README.md has it."""
    [flag] = set(ASKED.findall((FOLDER / "README.md").read_text(encoding="utf-8")))
    return flag


@contextmanager
def stating(program: Path, plane: Cluster, folder: Path) -> Iterator[str]:
    """Run it; yields HOST:PORT of its metrics."""
    address, telemetry = free_address(), free_address()
    host, port = address.split(":")
    command = [program, f"--kubeconfig={plane.admin_kubeconfig}", asked(), f"--host={host}", f"--port={port}"]
    command += [f"--telemetry-host={host}", f"--telemetry-port={telemetry.split(':')[1]}"]
    log = folder / "kube-state-metrics.log"
    with log.open("w") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream)
        try:
            wait_until(lambda: "kube_node_info" in metrics(address), "kube-state-metrics answers", log.read_text)
            yield address
        finally:
            process.terminate()
            process.wait()


def metrics(address: str) -> str:
    try:
        return requests.get(f"http://{address}/metrics", timeout=10).text
    except (requests.ConnectionError, requests.Timeout):
        return ""
