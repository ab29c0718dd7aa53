"""Look at the switch's file with an audit hook, which tells, or does, what happens while the file is opened.

    python -m tests.clients.audited {opened|taken_away} FOLDER

A process keeps its hooks to its end, and with one CPython before 3.12 refuses `sys.settrace` in two threads at once. Under
coverage each new thread asks for it, and the one that is refused ends before its first line: so not in the tests' own process.
Prints what was found as JSON.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from agent.clients.switch_file import SwitchFile
from tests.clients.volumes import Volume


def on_open(path: Path, do: Callable[[], None]) -> None:
    """Do something whenever this path is opened, before it is."""

    def hook(event: str, found: tuple[object, ...]) -> None:
        if event == "open" and str(found[0]) == str(path):
            do()

    sys.addaudithook(hook)  # noqa: TID251 - this process has nothing else to do


def opened(volume: Volume) -> dict[str, object]:
    """Count how often an unchanged file has been read after each of four looks; then change it."""
    count = 0

    def add() -> None:
        nonlocal count
        count += 1

    volume.put("cordon: hold")
    file = SwitchFile(volume.path)
    on_open(volume.path, add)
    reads = []
    for _ in range(4):
        file.look()
        reads.append(count)
    volume.put("cordon: on")
    return {"reads": reads, "changed": file.look().changed}


def taken_away(volume: Volume) -> dict[str, object]:
    """The path leads through `..data` into a directory that is gone an instant later: in slow motion."""
    volume.put("cordon: hold")
    file = SwitchFile(volume.path)
    file.look()
    away = volume.folder / "away"
    steps = [lambda: volume.path.rename(away), lambda: away.rename(volume.path)]
    on_open(volume.path, lambda: steps and steps.pop(0)())
    found = file.look()
    return {"cordon": found.switch.cordon, "trouble": found.trouble, "steps_left": len(steps)}


if __name__ == "__main__":
    print(json.dumps({"opened": opened, "taken_away": taken_away}[sys.argv[1]](Volume(Path(sys.argv[2])))))
