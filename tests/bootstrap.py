"""Make .venv with all that the tests and the demo need; the one thing that runs before there is one.

Standard library only, and old syntax: it may be started by a Python that is too old, to say so.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
FLOOR = (3, 10)
NEWER = ["python3.13", "python3.12", "python3.11", "python3.10", "python3.14"]


def fail(line) -> NoReturn:
    print("setup: " + line, file=sys.stderr)
    raise SystemExit(1)


def suitable_python():
    """Return this Python, or the first one on PATH that is new enough."""
    if sys.version_info >= FLOOR:
        return sys.executable
    for name in NEWER:
        path = shutil.which(name)
        if path and subprocess.call([path, "-c", "pass"]) == 0:
            return path
    found = ".".join(map(str, sys.version_info[:2]))
    fail(f"Python 3.10 or newer is needed; found {found} (Debian, Ubuntu: apt-get install python3)")


def main():
    venv = Path(os.environ.get("VENV") or ROOT / ".venv")
    lock = ROOT / "requirements-dev.lock"
    sources = lock.read_bytes() + bytes(ROOT)
    wanted = hashlib.sha256(sources).hexdigest()
    stamp = venv / "made-from"
    python = suitable_python()
    if stamp.exists() and stamp.read_text() == wanted and (venv / "bin" / "python").exists():
        return
    if subprocess.call([python, "-c", "import venv, ensurepip"], stderr=subprocess.DEVNULL) != 0:
        fail("the venv module is missing (Debian, Ubuntu: apt-get install python3-venv)")
    print(f"setup: making {venv} (once; about a minute)", flush=True)
    subprocess.check_call([python, "-m", "venv", "--clear", str(venv)])
    pip = [str(venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    # The lock is whole, so nothing is left to resolve: pip's resolver would look at newer releases of `coverage[toml]`,
    # which the lock names without the extra, and fail for want of their hashes on the day that one appears (tried).
    locked = ["--no-deps", "--require-hashes", "-r", str(lock)]
    for arguments in (locked, ["--no-deps", "--no-build-isolation", "-e", str(ROOT)]):
        if subprocess.call(pip + arguments) != 0:
            fail("packages could not be installed: see above (is a package index reachable?)")
    stamp.write_text(wanted)


if __name__ == "__main__":
    main()
