"""Bases to build on, made without a registry: Debian with its own Python, and Debian with CPython 3.13 as the official images have it."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.cloudinit.debian import PLAIN, debian_root
from tests.foreign.packages import NotThere
from tests.image.workshop import Workshop

PACKAGES = sorted([*PLAIN, "python3-pip"])
PYTHON = "3.13"  # the Dockerfile's own
# As the official images have it: `python`, and a pip that installs.
DEBIAN = """FROM scratch
COPY . /
RUN ln -s python3 /usr/bin/python && rm /usr/lib/python3*/EXTERNALLY-MANAGED
"""
LIKE_OFFICIAL = """FROM scratch
COPY . /
RUN ldconfig && python -c "import ctypes, ssl"
"""


def build_debian(workshop: Workshop, name: str) -> None:
    """Build a base of Debian's Python.

    Raises:
        NotThere: it cannot be made here; says how it can.
    """
    workshop.build(name, debian_root(PACKAGES), workshop.write("debian.base", DEBIAN))


def build_like_official(workshop: Workshop, name: str) -> None:
    """Build a base with a Python of its own below /usr/local, no bytecode in it, and none of Debian's.

    Raises:
        NotThere: it cannot be made here; says how it can.
    """
    python, files = own_python(), workshop.folder / "like-official"
    shutil.copytree(debian_root(PACKAGES), files, symlinks=True, ignore=devices)
    for path in [*files.glob("usr/bin/python3*"), *files.glob("usr/bin/pip*")]:
        path.unlink()
    for path in files.glob("usr/lib/python3*"):
        shutil.rmtree(path)
    left_out = shutil.ignore_patterns("__pycache__", "test", "tests")
    shutil.copytree(python, files / "usr" / "local", symlinks=True, dirs_exist_ok=True, ignore=left_out)
    workshop.build(name, files, workshop.write("like-official.base", LIKE_OFFICIAL))
    shutil.rmtree(files)


def own_python() -> Path:
    """Return a folder with a CPython of this version and nothing else in it, as pyenv builds them.

    Raises:
        NotThere: there is none.
    """
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for folder in sorted(root.glob(f"{PYTHON}.*"), reverse=True):
        python = folder / "bin" / "python"
        if python.exists() and subprocess.run([python, "-c", "import ssl"], check=False).returncode == 0:
            return folder
    raise NotThere(f"no CPython {PYTHON} of pyenv's is here to make a base of: pyenv install {PYTHON}")


def devices(folder: str, names: list[str]) -> list[str]:
    """Return what a container gets from elsewhere."""
    return names if folder.endswith(("/dev", "/proc", "/sys")) else []
