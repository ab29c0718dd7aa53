"""A shell beside an IMDS at its own address, in a network made for it: by the very lines that docs/emulator.md gives."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.cli.running import PATIENCE, ROOT

PAGE = (ROOT / "docs" / "emulator.md").read_text(encoding="utf-8")
LINES = re.search(r"<!-- two lines -->\n\n((?: {4}[^\n]+\n)+)", PAGE)[1].replace("    ", "").splitlines()
READY = """
for _ in $(seq 600); do curl -s --noproxy '*' -o /dev/null http://169.254.169.254/ && break; sleep 0.1; done
"""


class Missing(Exception):
    """A part of the operating system is not there; says how to get it."""


def beside_imds(script: str, *options: str, path: str = "", pids: bool = False, **environment: str) -> str:
    """Run a shell script beside the emulator; returns what it printed.

    Args:
        options: of the emulator.
        path: folders to look for programs in first.
        pids: with processes of its own, too, for those who look at the first one's.
    """
    for program, package in (("unshare", "util-linux"), ("ip", "iproute2"), ("curl", "curl")):
        if not shutil.which(program):
            raise Missing(f"{program} is missing (Debian, Ubuntu: apt-get install {package})")
    network, emulate = LINES
    network = network.replace("unshare -Urn ", "unshare -Urnpf --mount-proc ") if pids else network
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / "imds-agent"  # as pip puts it on the PATH
        own.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m agent "$@"\n')
        own.chmod(0o755)
        started = emulate.removesuffix(" &") + "".join(f" {option}" for option in options) + " >&2 &"
        given = f"{started}\nimds=$!\ntrap 'kill $imds' EXIT\n{READY}\n{script}\nexit $?\n"
        done = subprocess.run(
            ["sh", "-c", network],
            input=given,
            env={
                "PATH": f"{path}:{folder}:{os.environ['PATH']}",
                "PYTHONPATH": str(ROOT),
                "HOME": folder,
                **environment,
            },
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE * 2,
            check=False,
        )
    if done.returncode != 0 and done.stderr.startswith("unshare:"):
        raise Missing("no user namespaces here (sysctl kernel.unprivileged_userns_clone=1)")
    assert done.returncode == 0, f"{done.stderr}\n{done.stdout}"
    return done.stdout
