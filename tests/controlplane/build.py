"""Where the control plane's programs come from: KUBEBUILDER_ASSETS, else built once by Go into a cache outside the tree.

`python -m tests.controlplane.build [NAME ...]` builds what is missing and prints the paths.
"""

import fcntl
import hashlib
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO

from tests.controlplane.golang import BuildError, go_command
from tests.controlplane.progress import Progress

MODULE = Path(__file__).resolve().parent
# In the order of building, with the seconds each took on two cores in this order (later ones reuse packages).
SECONDS = {"etcd": 80, "kube-apiserver": 230, "kubectl": 35, "kube-scheduler": 30, "kube-controller-manager": 60}
TAIL = 20  # lines of a failed build that are shown


def programs(*names: str) -> dict[str, Path]:
    """Return the path of each named program, building those that are nowhere yet.

    Raises:
        BuildError: one is missing and cannot be built, or its build failed.
    """
    unknown = set(names) - set(SECONDS)
    if unknown:
        raise BuildError(f"controlplane: no program {', '.join(sorted(unknown))}; there are: {', '.join(SECONDS)}")
    ordered = [name for name in SECONDS if name in names]
    found = {name: path for name in ordered if (path := existing(name))}
    missing = [name for name in ordered if name not in found]
    return found | (build(missing) if missing else {})


def existing(name: str) -> Path | None:
    """Return where the program stands already, None where it must be built."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    for folder in ([Path(assets)] if assets else []) + [cache_folder()]:
        if os.access(folder / name, os.X_OK):
            return folder / name
    return None


@cache
def versions() -> dict[str, str]:
    """Return the versions of Kubernetes and etcd that go.mod requires, without their "v"."""
    text = (MODULE / "go.mod").read_text()
    wanted = {"kubernetes": r"k8s\.io/kubernetes", "etcd": r"go\.etcd\.io/etcd/server/v3"}
    return {name: re.findall(rf"^\s*{module} v(\S+)", text, re.MULTILINE)[0] for name, module in wanted.items()}


@cache
def cache_folder() -> Path:
    """Return the folder of programs built from exactly these sources for this platform."""
    digest = hashlib.sha256(linker_flags().encode())
    for path in sorted([MODULE / "go.mod", MODULE / "go.sum", *MODULE.glob("cmd/*/*.go")]):
        digest.update(f"{path.relative_to(MODULE)}\0".encode() + path.read_bytes())
    system = f"{platform.system()}-{platform.machine()}".lower()
    key = f"kubernetes-{versions()['kubernetes']}-etcd-{versions()['etcd']}-{digest.hexdigest()[:12]}-{system}"
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "imds-agent" / "controlplane" / key


def linker_flags() -> str:
    """Return flags that drop debug tables and tell the programs their version, as upstream's release build does."""
    major, minor, _ = versions()["kubernetes"].split(".", 2)
    package = "k8s.io/component-base/version"
    stamps = {"gitVersion": f"v{versions()['kubernetes']}", "gitMajor": major, "gitMinor": minor}
    return " ".join(["-s", "-w", *(f"-X {package}.{name}={value}" for name, value in stamps.items())])


def build(names: list[str]) -> dict[str, Path]:
    """Build the programs one after the other; a second process that wants one waits and finds it built."""
    go = go_command(", ".join(names))
    progress = Progress(MODULE.name)
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with one_at_a_time(folder / ".lock", progress):
        for name in names:
            if not os.access(folder / name, os.X_OK):
                build_one(go, f"./cmd/{name}", folder / name, progress, seconds=SECONDS[name], flags=linker_flags())
    return {name: folder / name for name in names}


@contextmanager
def one_at_a_time(path: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock file; the kernel frees it when its holder dies."""
    waiting = "another process builds here; waiting for it"
    with path.open("w") as lock:
        if not locked(lock):
            progress.line(waiting)
            while not locked(lock):
                progress.beat(waiting)
                time.sleep(0.5)
        yield


def locked(lock: IO[str]) -> bool:
    """Take the lock if nobody has it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def build_one(
    go: Path,
    package: str,
    target: Path,
    progress: Progress,
    *,
    seconds: float,
    flags: str = "-s -w",
    folder: Path = MODULE,
) -> None:
    """Build one program of a module's folder beside its place and move it there when it is whole.

    Args:
        seconds: that it took on two cores.
        flags: for the linker; those given by default drop debug tables.
    """
    name = target.name
    partial = target.with_name(f".{name}.{os.getpid()}")
    command = ["nice", "-n", "10", str(go), "build", "-mod=readonly", "-buildvcs=false", "-trimpath"]
    command += ["-ldflags", flags, "-o", str(partial), package]
    progress.line(f"building {name} (once; up to {minutes(seconds)} on two cores)")
    began = time.monotonic()

    def beat() -> None:
        so_far = time.monotonic() - began
        progress.beat(f"building {name}: {so_far:.0f} s so far, expected up to {minutes(seconds)}")

    try:
        with tempfile.TemporaryFile() as output:
            code = run(command, folder, output, beat)
            if code != 0:
                raise BuildError(f"{folder.name}: building {name} failed with {code}:\n{last_lines(output)}")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    progress.line(f"built {name} in {time.monotonic() - began:.0f} s")


def run(command: list[str], folder: Path, output: IO[bytes], beat: Callable[[], None]) -> int:
    """Run the command in a module's folder to its end, beating meanwhile; an interrupt ends it too."""
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        while process.poll() is None:
            beat()
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=1)
        return process.returncode
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} minutes"


def last_lines(output: IO[bytes]) -> str:
    output.seek(0)
    return "\n".join(output.read().decode(errors="replace").splitlines()[-TAIL:])


def main() -> int:
    try:
        found = programs(*(sys.argv[1:] or SECONDS))
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    for name, path in found.items():
        print(f"{name} {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
