"""Build `dist/imds-agent.pyz`: one archive of pure Python for a VM's own interpreter, the same bytes from the same sources.

It carries what `first-boot` and a few other commands import, and their libraries from requirements.lock, by hash. Nothing is
compressed: compressors differ from machine to machine, and reading is quicker.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = {
    "custom-data": "agent.commands.custom_data",
    "explain-tag": "agent.commands.facts",
    "facts": "agent.commands.facts",
    "first-boot": "agent.commands.first_boot",
    "hdfs-rack": "agent.commands.racks",
    "rack": "agent.commands.racks",
}
LIBRARIES = ("charset-normalizer", "idna", "requests", "tenacity", "urllib3")
SHEBANG = b"#!/usr/bin/env python3\n"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first that a zip can hold

# IMDS is plain HTTP, so no certificate is ever looked at. The real certifi unpacks its file into a temporary folder when
# requests is imported, and early in a boot there may be none that can be written.
CERTIFI = '''"""Where the system keeps root certificates; in place of certifi, which would unpack its own at every start."""


def where():
    return "/etc/ssl/certs/ca-certificates.crt"


def contents():
    with open(where(), encoding="ascii") as file:
        return file.read()
'''

MAIN = '''"""Run the commands that this archive carries."""

import sys

CARRIED = {carried!r}
OTHERS = {others!r}


def main():
    if sys.version_info < (3, 10):
        sys.exit("imds-agent: expected Python 3.10 or newer, found %d.%d" % sys.version_info[:2])
    name = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    if name in OTHERS:
        sys.exit("imds-agent: " + name + ": this archive does not carry it, only " + ", ".join(CARRIED) + "; install imds-agent")
    from agent.cli import main

    return main(carried=CARRIED)


if __name__ == "__main__":
    sys.exit(main())
'''


def needed(entry: str) -> set[str]:
    """Return our modules that a module imports when it is imported, and so on; what is imported later is not carried."""
    found: set[str] = set()
    left = [entry]
    while left:
        name = left.pop()
        path = source(name)
        if name in found or path is None:
            continue
        found.add(name)
        left += [name.rpartition(".")[0], *imported(ast.parse(path.read_text(encoding="utf-8")))]
    return found


def imported(tree: ast.Module) -> Iterator[str]:
    """Return all names of ours that the top of a module may import; of `from a import b` both, since b may be a module."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "agent":
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] == "agent")


def source(name: str) -> Path | None:
    """Return a module's file; None where the name is no module of ours."""
    plain = ROOT.joinpath(*name.split("."))
    return next((path for path in (plain / "__init__.py", plain.with_suffix(".py")) if path.is_file()), None)


def own_files() -> dict[str, bytes]:
    """Return our part of the archive, by name."""
    modules = set().union(*(needed(name) for name in ("agent.cli", *COMMANDS.values())))
    paths = {path for name in modules if (path := source(name)) is not None}
    return {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in paths}


def library_files(wheels: Path) -> dict[str, bytes]:
    """Return the libraries' part: their modules, and their licences, which must travel along."""
    found = {}
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if ".dist-info/" not in name:
                    found[name] = archive.read(name)
                elif re.search(r"/(LICEN[CS]E|NOTICE|COPYING)[^/]*$", name):
                    found[f"licences/{name.partition('-')[0]}/{name.rpartition('/')[2]}"] = archive.read(name)
    return {name: content for name, content in found.items() if not name.endswith("/")}


def locked() -> str:
    """Return the libraries' lines of requirements.lock, versions and hashes.

    Raises:
        SystemExit: one of them is not there.
    """
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    blocks = re.findall(r"^[a-z0-9].*\n(?:[ ].*\n)*", text, re.MULTILINE)
    by_name = {block.partition("==")[0]: block for block in blocks}
    missing = [name for name in LIBRARIES if name not in by_name]
    if missing:
        sys.exit(f"bundle: requirements.lock lacks {', '.join(missing)}")
    return "".join(re.sub(r"^ +#.*\n", "", by_name[name], flags=re.MULTILINE) for name in LIBRARIES)


def wheels() -> Path:
    """Return a folder with the libraries' pure wheels, downloaded once for each set of versions.

    Raises:
        SystemExit: they cannot be had.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "imds-agent" / "bundle"
    lines = locked()
    folder = cache / hashlib.sha256(lines.encode()).hexdigest()[:16]
    if folder.exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as made:
        (Path(made) / "lock.txt").write_text(lines)
        pure = ("--only-binary=:all:", "--platform=any", "--implementation=py", "--abi=none", "--python-version=3.10")
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
        command += ["--require-hashes", *pure, "--dest", f"{made}/wheels", "--requirement", f"{made}/lock.txt"]
        if subprocess.run(command, check=False).returncode != 0:  # noqa: S603
            sys.exit("bundle: the libraries cannot be downloaded: see above (is a package index reachable?)")
        if not folder.exists():  # another build may have been first
            shutil.move(f"{made}/wheels", folder)
    return folder


def main_file() -> bytes:
    """Return what the interpreter runs."""
    sys.path.insert(0, str(ROOT))
    from agent.sub_commands import SUBS  # noqa: PLC0415 - the path comes first

    others = sorted({*(sub.name for sub in SUBS), "emulate"} - COMMANDS.keys())
    return MAIN.format(carried=sorted(COMMANDS), others=others).encode()


def build(target: Path) -> None:
    """Write the archive: names sorted, one time and one mode for all."""
    files = {**library_files(wheels()), **own_files(), "certifi/__init__.py": CERTIFI.encode()}
    files |= {"__main__.py": main_file(), "licences/imds-agent/LICENSE": (ROOT / "LICENSE").read_bytes()}
    target.parent.mkdir(parents=True, exist_ok=True)
    made = target.with_name(f".{target.name}.{os.getpid()}")
    with made.open("wb") as stream:
        stream.write(SHEBANG)
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
            for name in sorted(files):
                entry = zipfile.ZipInfo(name, EPOCH)
                entry.create_system = 3  # Unix, wherever it is built
                entry.external_attr = 0o100644 << 16
                archive.writestr(entry, files[name])
    made.chmod(0o755)
    made.replace(target)


def main() -> None:
    """Build, and say what was built."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("target", nargs="?", type=Path, default=ROOT / "dist" / "imds-agent.pyz")
    target = parser.parse_args().target
    build(target)
    content = target.read_bytes()
    sys.stdout.write(f"{hashlib.sha256(content).hexdigest()}  {target} ({len(content)} bytes)\n")


if __name__ == "__main__":
    main()
