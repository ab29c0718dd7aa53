"""A VM without Kubernetes: an IMDS, an agent as its own process, and hooks that write down what they were told."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.emulator import Emulator
from tests.promises.agents import Agent, Document, Tended, wait_until

KUBERNETES = ("kubeconfig", "node-name", "pod-name")
NOTE = """#!/bin/sh
# One line for each run: hook, phase, id, what came on standard input, and all else that was told.
printf '%s %s %s %s %s\\n' "$(basename "$0")" "$IMDS_EVENT_PHASE" "$IMDS_EVENT_ID" "$IMDS_EVENT_DO" "$(cat)" >> FOLDER/notes
exec >/dev/null 2>&1  # a hook that outlives an agent must not keep its log open
REST
"""


class Host(Tended):
    """The VM's file system as far as the agent knows it, beside its IMDS and its agent."""

    def __init__(self, folder: Path, imds: Emulator, **settings: str) -> None:
        self.folder, self.imds, self.vm = folder, imds, None
        self.events_file, self.hooks, self.state = folder / "run/events.json", folder / "events.d", folder / "lib/state"
        self.hooks.mkdir(parents=True, exist_ok=True)
        places = {"events-file": self.events_file, "hooks": self.hooks, "host-state": self.state}
        self.agent = Agent(
            Path("-"), "-", imds.url, {}, **{name: str(path) for name, path in places.items()}, **settings
        )
        options = [option for option in self.agent.options if option.partition("=")[0][2:] not in KUBERNETES]
        self.agent.options = ["--no-kubernetes", *options]

    def hook(self, name: str, rest: str = "", mode: int = 0o755, folder: Path | None = None) -> Path:
        """Put a hook in place, whole at once, that notes what it was told, and then does the rest."""
        draft = self.folder / f"{name}.draft"
        draft.write_text(NOTE.replace("FOLDER", str(self.folder)).replace("REST", rest))
        draft.chmod(mode)
        return draft.rename((folder or self.hooks) / name)

    def notes(self) -> list[tuple[str, str, str]]:
        """Return hook, phase and id of each run so far."""
        return [tuple(line.split(" ", 3)[:3]) for line in self._lines()]

    def told(self) -> list[Document]:
        """Return what hooks read on standard input."""
        return [json.loads(line.split(" ", 4)[4]) for line in self._lines()]

    def _lines(self) -> list[str]:
        notes = self.folder / "notes"
        return notes.read_text().splitlines() if notes.exists() else []

    def wait_noted(self, *expected: tuple[str, str, str]) -> None:
        wait_until(lambda: len(self.notes()) >= len(expected), f"{expected}", self.agent.tail)
        assert self.notes() == list(expected)

    def shown(self) -> Document:
        """Return the events file, whole: it never is anything else."""
        return json.loads(self.events_file.read_text()) if self.events_file.exists() else {}

    def wait_shown(self, found, what: str) -> Document:
        def look():
            document = self.shown()
            return document if document and found(document) else None

        return wait_until(look, what, self.agent.tail)

    def wait_ready(self) -> Document:
        """Wait until the agent knows who it is and that there is no event."""
        return self.wait_shown(lambda each: each["current"] and each["vm"]["name"], "a current file")


@contextmanager
def host(folder: Path, *, start: bool = True, **settings: str) -> Iterator[Host]:
    """Give a VM without Kubernetes; what the agent says besides log events is a failure."""
    with Emulator() as imds:
        scene = Host(folder, imds, **settings)
        try:
            if start:
                scene.agent.start()
            yield scene
        finally:
            scene.agent.kill()
        assert scene.agent.noise == [], scene.agent.noise
