"""Build all files of a release from the commit that is checked out: the same bytes from the same commit.

Wheel, sources, the archive for first boot, manifests, chart, bill of materials, and checksums of them all. What is not
committed is left out. The image is not among them: a registry's digest is its checksum (`make image`).
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUMS = "SHA256SUMS"


def git(*arguments: str) -> bytes:
    """Return what git says of the repository.

    Raises:
        SystemExit: there is none, or no git.
    """
    try:
        return subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, capture_output=True).stdout  # noqa: S603, S607
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", b"").decode().strip() or str(error)
        sys.exit(f"release: a release is made from a commit: {said}")


def run(folder: Path, epoch: int, *arguments: str) -> None:
    """Run one of the commit's own programs, with its time instead of now.

    Raises:
        SystemExit: it failed; it has said why.
    """
    variables = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch), "PYTHONDONTWRITEBYTECODE": "1"}
    if subprocess.run([sys.executable, *arguments], cwd=folder, env=variables, check=False).returncode != 0:  # noqa: S603
        sys.exit(f"release: {' '.join(arguments[:2])} failed: see above")


def archive(source: Path, prefix: str, target: Path, epoch: int) -> None:
    """Write a folder as .tar.gz: names sorted, one owner, one time, and two modes, so that no umask shows."""
    with (
        target.open("wb") as stream,
        gzip.GzipFile("", "wb", mtime=epoch, fileobj=stream) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in sorted(path for path in source.rglob("*") if path.is_file()):
            content = path.read_bytes()
            entry = tarfile.TarInfo(f"{prefix}/{path.relative_to(source).as_posix()}")
            entry.size, entry.mtime = len(content), epoch
            entry.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            tar.addfile(entry, io.BytesIO(content))


def build(target: Path) -> None:
    """Build everything into a folder that has nothing else of ours in it."""
    epoch = int(git("log", "-1", "--format=%ct"))
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        sources = Path(made)
        subprocess.run(["tar", "-x", "-C", made], input=git("archive", "HEAD"), check=True)  # noqa: S603, S607
        flatten_modes(sources)
        version = version_of(sources)
        run(sources, epoch, "-m", "flit_core.wheel", "--outdir", str(target))
        run(sources, epoch, "-c", f"from flit_core.buildapi import build_sdist; build_sdist({str(target)!r})")
        run(sources, epoch, "packaging/bundle.py", str(target / f"imds-agent-{version}.pyz"))
        run(sources, epoch, "packaging/sbom.py", str(target / f"imds-agent-{version}.cdx.json"))
        name = f"imds-agent-manifests-{version}"
        archive(sources / "manifests", name, target / f"{name}.tar.gz", epoch)
        archive(sources / "manifests/chart/imds-agent", "imds-agent", target / f"imds-agent-chart-{version}.tgz", epoch)


def flatten_modes(folder: Path) -> None:
    """Give all files one of two modes: an umask decides what was unpacked."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def version_of(sources: Path) -> str:
    """Return the version, from the one place that has it."""
    found = re.search(
        r'^__version__ = "([^"]+)"$', (sources / "agent" / "__init__.py").read_text(encoding="utf-8"), re.MULTILINE
    )
    return found[1] if found else sys.exit("release: agent/__init__.py: expected __version__, found none")


def checksums(folder: Path) -> str:
    """Return what `sha256sum --check` reads, for all files of a folder."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != SUMS)
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)


def main() -> None:
    """Build, and say what was built from what."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "dist" / "release")
    folder = parser.parse_args().folder.absolute()
    if folder.exists() and any(folder.iterdir()):
        sys.exit(f"release: {folder}: expected an empty folder or none")
    build(folder)
    (folder / SUMS).write_text(checksums(folder))
    flatten_modes(folder)  # flit's wheel is its owner's alone
    commit = git("rev-parse", "HEAD").decode().strip()
    said = f"in {folder}, of commit {commit}; what is not committed is not in it\n"
    sys.stdout.write((folder / SUMS).read_text() + said)


if __name__ == "__main__":
    main()
