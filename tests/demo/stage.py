"""The parts on stage: the emulator and the agent as processes of their own, a node of a real control plane."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from tests.controlplane.plane import ControlPlane

NODE = "aks-pool1-12345678-vmss000002"  # the node name is not the VM's name, as on AKS
AGENT = [sys.executable, "-m", "agent"]

# Shortened so that the story fits into a minute; the defaults are said beside them.
WAITS = {
    "release-after": ("3s", "1m"),
    "release-after-restart": ("5s", "5m"),
    "instance-interval": ("2s", "5m"),
    "confirm-interval": ("1s", "10s"),
}


class StepFailed(Exception):
    """What should have happened did not."""


def wait_for(what: str, seen: Callable[[], Any], *, limit: float = 30.0) -> float:
    """Wait until something is so; returns the seconds it took."""
    began = time.monotonic()
    while time.monotonic() - began < limit:
        if seen():
            return time.monotonic() - began
        time.sleep(0.02)
    raise StepFailed(f"{what}: not within {limit:.0f} s")


class Emulator:
    """`imds-agent emulate` as its own process."""

    def __init__(self) -> None:
        command = [*AGENT, "emulate", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "-o", "json"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        ready = json.loads(self.process.stdout.readline())
        self.url, self.admin = ready["listen"], ready["admin"]
        self._session = requests.Session()
        self._session.trust_env = False

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._session.request(method, self.admin + path, json=body, timeout=10)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def schedule(self, kind: str, **fields: object) -> str:
        """Schedule an event for the VM and return its id."""
        return self.ask("POST", "/events", {"EventType": kind, **fields})["EventId"]

    def cancel(self, event_id: str) -> None:
        self.ask("DELETE", f"/events/{event_id}")

    def close(self) -> None:
        self._session.close()
        self.process.terminate()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


class Agent:
    """`imds-agent run` as its own process, with a pod-bound token; what it logs is repeated below the steps."""

    def __init__(self, environment: dict[str, str], tell: Callable[[str], None]) -> None:
        self._environment = environment
        self._tell = tell
        self._start()

    def said(self, event: str) -> bool:
        """Return whether the process that runs now has logged this event."""
        return any(f'"{event}"' in line for line in self._lines)

    def _start(self) -> None:
        self._lines: list[str] = []
        self.process = subprocess.Popen([*AGENT, "run"], env=self._environment, stderr=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            self._lines.append(line)
            self._tell(line.rstrip())
        process.stderr.close()

    def kill(self) -> None:
        """SIGKILL: no clean-up of any kind."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._reader.join()

    def start_again(self) -> None:
        self._start()

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()
        self._reader.join()


class Stage:
    """Everything the steps touch."""

    def __init__(self, plane: ControlPlane, emulator: Emulator, tell: Callable[[str], None]) -> None:
        self.plane, self.emulator = plane, emulator
        self.node = plane.register_node(NODE)
        self.environment = self._settings()
        self.agent = Agent(self.environment, tell)

    def _settings(self) -> dict[str, str]:
        probes = tempfile.mkdtemp(dir=self.plane.workdir)  # a folder of our own, so that nothing is written elsewhere
        return {
            **environment_for(self.emulator.url),
            "NODE_NAME": NODE,
            "IMDS_AGENT_KUBECONFIG": str(self.plane.agent_kubeconfig(NODE)),
            "IMDS_AGENT_PROBE_ADDRESS": "127.0.0.1:0",
            "IMDS_AGENT_LOG_FORMAT": "json",
            "POD_NAME": f"imds-agent-{NODE}",  # as the DaemonSet says it
            "IMDS_AGENT_POLICY": "{Terminate: drain}",
            "IMDS_AGENT_DRAIN_BEFORE": "1h",
            "TMPDIR": probes,
        }

    def labels(self) -> dict[str, str]:
        return {key: value for key, value in self.node.get()["metadata"]["labels"].items() if "imds-agent" in key}

    def cordoned(self) -> bool:
        return self.node.get()["spec"].get("unschedulable") is True

    def mark(self) -> dict[str, Any]:
        text = self.node.get()["metadata"].get("annotations", {}).get("imds-agent.github.io/events")
        return json.loads(text)["events"] if text else {}

    def command(self, *arguments: str) -> str:
        """Run a sub-command as an admin would, from anywhere with a kubeconfig."""
        environment = {**self.environment, "IMDS_AGENT_KUBECONFIG": str(self.plane.admin_kubeconfig)}
        done = subprocess.run([*AGENT, *arguments], env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise StepFailed(f"imds-agent {' '.join(arguments)}: exit {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def close(self) -> None:
        self.agent.close()


def environment_for(imds_url: str) -> dict[str, str]:
    """Return a clean environment with the shortened waits."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("IMDS_AGENT_")}
    waits = {"IMDS_AGENT_" + name.upper().replace("-", "_"): short for name, (short, _) in WAITS.items()}
    return {**kept, **waits, "IMDS_AGENT_IMDS_URL": imds_url, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
