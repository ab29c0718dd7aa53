"""Containers of an image's files, as kubelet would start them: nobody's user, a read-only root, no capability, nothing to gain."""

import json
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.image.workshop import Workshop
from tests.promises.agents import Agent, wait_until

OPTIONS = ["nosuid", "noexec", "nodev"]
MOUNTS = [
    {"destination": "/proc", "type": "proc", "source": "proc"},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755"]},
    {"destination": "/sys", "type": "bind", "source": "/sys", "options": [*OPTIONS, "rbind", "ro"]},
]
NAMESPACES = ("pid", "mount", "ipc", "uts")


class Containers:
    """Starts containers of one image.

    Attributes:
        image: its configuration, as the image says it.
        files: where its files are laid out.
    """

    def __init__(self, workshop: Workshop, image: Mapping[str, Any], files: Path) -> None:
        self.workshop, self.image, self.files = workshop, image, files

    def command(
        self,
        arguments: Sequence[str],
        *,
        pid_file: Path,
        network: str | None = None,
        environment: Mapping[str, str] | None = None,
        mounts: Mapping[str, Path] | None = None,
    ) -> list[str]:
        """Return a command that runs one container in the foreground.

        Args:
            network: of another container, by its file below /proc; "" for a new one, None for the machine's.
            mounts: what is shown read-only, by where.
        """
        bundle = self.workshop.folder / f"bundle-{uuid.uuid4().hex[:8]}"
        bundle.mkdir()
        variables = [*self.image["Env"], *(f"{key}={value}" for key, value in (environment or {}).items())]
        shown = [
            {"destination": to, "type": "bind", "source": str(path), "options": [*OPTIONS, "bind", "ro"]}
            for to, path in (mounts or {}).items()
        ]
        namespaces: list[dict[str, str]] = [{"type": kind} for kind in NAMESPACES]
        if network is not None:
            namespaces.append({"type": "network", **({"path": network} if network else {})})
        user, group = map(int, self.image["User"].split(":"))
        document = {
            "ociVersion": "1.0.0",
            "process": {
                "user": {"uid": user, "gid": group},
                "args": [*self.image["Entrypoint"], *arguments],
                "env": variables,
                "cwd": self.image.get("WorkingDir") or "/",
                "noNewPrivileges": True,
                "capabilities": {},
            },
            "root": {"path": str(self.files), "readonly": True},
            "mounts": MOUNTS + shown,
            "linux": {"namespaces": namespaces},
        }
        (bundle / "config.json").write_text(json.dumps(document))
        crun = ["crun", "--root", self.workshop.folder / "crun", "--cgroup-manager=disabled", "run"]
        return self.workshop.command(*crun, "--bundle", bundle, "--pid-file", pid_file, bundle.name)

    def run(self, *arguments: str, **given: Any) -> subprocess.CompletedProcess[str]:
        """Run one to its end."""
        command = self.command(arguments, pid_file=self.workshop.folder / f"{uuid.uuid4().hex}.pid", **given)
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=self.workshop.environment,
        )

    @contextmanager
    def running(self, *arguments: str, **given: Any) -> Iterator[int]:
        """Give the process of one that runs for as long as the block lasts."""
        pid_file = self.workshop.folder / f"{uuid.uuid4().hex}.pid"
        command = self.command(arguments, pid_file=pid_file, **given)
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=self.workshop.environment) as process:
            try:
                pid = int(wait_until(lambda: pid_file.exists() and pid_file.read_text(), "a container"))
                yield pid
            finally:
                stop(pid_file, signal.SIGKILL)
                process.wait(60)


def stop(pid_file: Path, number: int) -> None:
    """Send a signal to a container's first process."""
    if pid_file.exists():
        os.kill(int(pid_file.read_text()), number)


class ContainedAgent(Agent):
    """An agent that runs in a container, with its pod's own token where kubelet would put it."""

    def __init__(self, containers: Containers, service_account: Path, api: str, *given: Any, **settings: str) -> None:
        super().__init__(Path("/none"), *given, {}, **settings)
        host, _, port = api.removeprefix("https://").partition(":")
        self.options = [option for option in self.options if not option.startswith("--kubeconfig")]
        self.containers, self.service_account, self.api = containers, service_account, (host, port)
        self.pid_file = containers.workshop.folder / f"{uuid.uuid4().hex}.pid"
        self.environment = containers.workshop.environment

    def command(self) -> list[str]:
        host, port = self.api
        return self.containers.command(
            ["run", *self.options],
            pid_file=self.pid_file,
            environment={"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port},
            mounts={"/var/run/secrets/kubernetes.io/serviceaccount": self.service_account},
        )

    @property
    def pid(self) -> int:
        """Its process, once the container has one."""
        return int(wait_until(lambda: self.pid_file.exists() and self.pid_file.read_text(), "a container"))

    def send(self, number: int) -> int:
        stop(self.pid_file, number)
        return self.wait()
