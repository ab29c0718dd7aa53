"""`support-bundle`: one archive for a support case; says what is in it before it writes it."""

from __future__ import annotations

import dataclasses
import gzip
import io
import json
import platform
import subprocess
import sys
import tarfile
from contextlib import redirect_stdout
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent import __version__
from agent.clients.files import write_whole
from agent.commands.output import columns, say
from agent.core.support import EXTRAS, log_lines, masked, names_of, node_facts, vm_facts
from agent.doctor.examine import examine
from agent.told import Told

if TYPE_CHECKING:
    import argparse

    from agent.settings import Settings

LIBRARIES = ("kubernetes", "requests", "urllib3", "tenacity", "structlog", "prometheus_client", "PyYAML")
LARGEST = 8 * 1024 * 1024  # bytes of a log that are looked at, from its end
JOURNAL = ("journalctl", "--unit=imds-agent", "--output=cat", "--lines=2000", "--no-pager")
READ_ME = """A support bundle of imds-agent {version}, made {now}.

Addresses, ids, names, tags, userData, customData and keys are left out or masked{but}.
Look through the files before you send them.
"""


def support_bundle(settings: Settings, arguments: argparse.Namespace) -> int:
    """Gather, list, write."""
    keep = _kept(arguments.extras)
    now = datetime.now(timezone.utc)
    files = _files(settings, arguments, keep, now)
    piped = arguments.file == "-" and not arguments.list
    with redirect_stdout(sys.stderr if piped else sys.stdout):
        columns((name, f"{len(content)} bytes") for name, content in files.items())
    if arguments.list:
        return 0
    if piped:  # out of a pod, whose root cannot be written
        sys.stdout.buffer.write(_archive(files, int(now.timestamp())))
        return 0
    path = Path(arguments.file or f"imds-agent-support-{now:%Y%m%dT%H%M%SZ}.tar.gz")
    write_whole(path, _archive(files, int(now.timestamp())))
    say(f"wrote {path}")
    return 0


def _kept(text: str | None) -> tuple[str, ...]:
    found = tuple(part.strip() for part in (text or "").split(",") if part.strip())
    for each in found:
        if each not in EXTRAS:
            raise Told(f"--with: expected some of {', '.join(EXTRAS)}, found {each[:40]!r}")
    return found


def _files(settings: Settings, arguments: argparse.Namespace, keep: tuple[str, ...], now: datetime) -> dict[str, bytes]:
    found = examine(settings)
    names = names_of(found.instance, settings.node_name)

    def text(document: Any) -> bytes:
        shown = json.dumps(document, indent=2, ensure_ascii=False, default=str)
        return masked(shown, names, keep).encode() + b"\n"

    but = f", but for: {', '.join(keep)}" if keep else ""
    host = found.host
    routes = {"route": dataclasses.asdict(host.route), "table": [dataclasses.asdict(each) for each in host.table]}
    files = {
        "README.txt": READ_ME.format(version=__version__, now=f"{now:%Y-%m-%dT%H:%M:%SZ}", but=but).encode(),
        "versions.json": text(_versions()),
        "doctor.json": text([dataclasses.asdict(each) for each in found.findings]),
        "routes.json": text(routes),
    }
    if found.instance is not None:  # nothing of it is free text, but what was asked for
        files["vm.json"] = json.dumps(vm_facts(found.instance, keep), indent=2, default=str).encode() + b"\n"
    if found.node is not None:
        files["node.json"] = text(node_facts(found.node, settings.domain, keep))
    if lines := log_lines(_log(arguments.logs), names, keep):
        files["log.txt"] = "\n".join(lines).encode() + b"\n"
    return files


def _versions() -> dict[str, Any]:
    def of(library: str) -> str | None:
        try:
            return version(library)
        except PackageNotFoundError:
            return None

    return {
        "imds-agent": __version__,
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "kernel": platform.release(),
        "machine": platform.machine(),
        "os": _os(),
        "libraries": {library: of(library) for library in LIBRARIES},
    }


def _os() -> str | None:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME")
    except OSError:
        return None


def _log(name: str | None) -> str:
    """Return the daemon's log: a file, standard input, or the journal where there is one."""
    if name is not None:
        try:
            whole = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
            return whole[-LARGEST:].decode("utf-8", "replace")
        except OSError as error:
            raise Told(f"{name}: cannot be read: {error.strerror}") from error
    try:
        done = subprocess.run(JOURNAL, capture_output=True, timeout=10, check=False)  # noqa: S603 fixed words
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout[-LARGEST:].decode("utf-8", "replace") if done.returncode == 0 else ""


def _archive(files: dict[str, bytes], now: int) -> bytes:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=now) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"imds-agent-support/{name}")
            entry.size, entry.mode, entry.mtime = len(content), 0o600, now
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
