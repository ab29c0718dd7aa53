"""What is measured: the agent with its locked dependencies and nothing else, with bytecode, without, and without docstrings.

The tests' own environment has more installed, and some libraries import what they find (structlog imports rich).
"""

import compileall
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements.lock"
CACHE = "__pycache__"


class Unmeasurable(Exception):
    """A measurement could not be made."""


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """An interpreter and the environment in which the agent runs.

    Attributes:
        python: of an environment with the locked dependencies alone.
        paths: put before everything else.
        kind: how it is called in the report.
        extra: variables that make the difference.
    """

    python: Path
    paths: tuple[Path, ...]
    kind: str
    extra: dict[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """Return variables for a process: nothing of this one's proxies and certificates."""
        found = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": os.pathsep.join(map(str, self.paths))}
        # Bytecode is there or it is not: the agent runs from a read-only image, so it never writes any.
        return found | {"PYTHONDONTWRITEBYTECODE": "1"} | self.extra


def compiled(folder: Path) -> Runtime:
    """Return the agent as the image has it; `folder` keeps a copy of it."""
    agent = folder / "compiled"
    copy_sources(ROOT / "agent", agent / "agent", link=False)
    compileall.compile_dir(agent, quiet=1, ddir=str(agent))
    return Runtime(python=environment() / "bin" / "python", paths=(agent,), kind="with .pyc")


def bare(folder: Path) -> Runtime:
    """Return the same without a `.pyc` beside any package; those of the standard library stay."""
    agent = folder / "bare"
    copy_sources(ROOT / "agent", agent / "agent", link=False)
    lean = environment()
    packages = lean / "without-bytecode"
    with alone(lean):
        if not packages.exists():
            partial = lean / "without-bytecode.part"
            shutil.rmtree(partial, ignore_errors=True)
            copy_sources(site_packages(lean), partial, link=True)
            partial.rename(packages)
    return Runtime(python=lean / "bin" / "python", paths=(agent, packages), kind="without .pyc")


def stripped(folder: Path, whole: Runtime) -> Runtime:
    """Return the compiled agent with bytecode that has no docstrings and no assertions, as `python -OO` compiles it."""
    extra = {"PYTHONOPTIMIZE": "2", "PYTHONPYCACHEPREFIX": str(folder / "stripped")}
    found = replace(whole, kind="with .pyc of python -OO", extra=extra)
    # a start that fails for want of credentials writes the bytecode of all that is imported
    writing = found.environment() | {"PYTHONDONTWRITEBYTECODE": ""}
    flags = ["--node-name=none", f"--kubeconfig={folder / 'none'}", "--probe-address=off"]
    subprocess.run(
        [str(found.python), "-m", "agent", "run", *flags], env=writing, cwd="/", check=False, capture_output=True
    )
    if not any((folder / "stripped").rglob("*.opt-2.pyc")):
        raise Unmeasurable("python -OO wrote no bytecode")
    return found


def environment() -> Path:
    """Return a virtual environment with the locked dependencies alone, made once for each lock and Python."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    key = hashlib.sha256(LOCK.read_bytes() + version.encode()).hexdigest()[:12]
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = root / "imds-agent" / "bench" / key
    with alone(folder):
        if not (folder / "whole").exists():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            (folder / "whole").touch()
    return folder


def make(folder: Path) -> None:
    """Make the environment; pip compiles what it installs."""
    print(f"bench: making {folder} (once; half a minute)", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--require-hashes", "-r", str(LOCK)], check=True)


def site_packages(venv: Path) -> Path:
    """Return where the environment keeps its packages."""
    return next((venv / "lib").glob("python3.*")) / "site-packages"


def copy_sources(source: Path, target: Path, *, link: bool) -> None:
    """Copy a tree without bytecode; `link` makes hard links, for a tree of 190 MB."""
    copy = os.link if link else shutil.copy2
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(CACHE), copy_function=copy)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the lock beside a folder."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(folder.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
