"""What systemd says of a unit, without starting it."""

import shutil
import subprocess

from tests.not_here import not_here


def analyzed(*arguments: object) -> str:
    """Run systemd-analyze; returns what it had to say."""
    if shutil.which("systemd-analyze") is None:
        not_here("systemd-analyze is missing (Debian, Ubuntu: apt-get install systemd)")
    done = subprocess.run(
        ["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
