"""Run `first-boot` and kill it before its n-th call of anything while it writes, for every n; then let it run to its end.

    python -m tests.boot.killed TEMPLATE FOLDER ARGUMENTS...

Each run has a copy of TEMPLATE below FOLDER: `N/killed` as the kill left it, `N/after` as the next run left that. Prints how many
were killed. Forks, so that modules are read once.
"""

import os
import shutil
import signal
import sys
from pathlib import Path

from agent.boot import drafts
from agent.cli import main
from agent.clients import files

WRITING = {files.__file__, drafts.__file__}
SURVIVED = 7


def run(root: Path, arguments: list[str], kill_at: int | None) -> int:
    """Fork and run; returns the wait status."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    left = kill_at

    def count(frame, event, _argument) -> None:
        nonlocal left
        if left is not None and event == "c_call" and frame.f_code.co_filename in WRITING:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.setprofile(count)
    main(["first-boot", f"--root={root}", *arguments])
    sys.setprofile(None)
    os._exit(SURVIVED)


def survived(status: int) -> bool:
    return os.WIFEXITED(status) and os.WEXITSTATUS(status) == SURVIVED


def every_kill(template: Path, folder: Path, arguments: list[str]) -> int:
    """Kill at every place; returns how many there were."""
    number = 0
    while True:
        killed, after = folder / str(number) / "killed", folder / str(number) / "after"
        shutil.copytree(template, killed)
        status = run(killed, arguments, number)
        shutil.copytree(killed, after)
        assert survived(run(after, arguments, None))
        if survived(status):
            return number
        assert os.WTERMSIG(status) == signal.SIGKILL
        number += 1


if __name__ == "__main__":
    import agent.commands.first_boot  # noqa: F401 - before the first fork

    print(every_kill(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
