"""The copies of customData and userData that a VM keeps itself: read, never changed; root's alone."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from agent.clients.files import open_file
from agent.core.own_part import allowed_prefixes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

LARGEST = 2 * 1024 * 1024  # bytes; 64 KiB in base64 are a twentieth
ALLOWED = Path("etc/imds-agent/allowed-label-prefixes")
# Azure's agent keeps them in base64, cloud-init what it decoded.
WAAGENT = Path("var/lib/waagent/CustomData")
OVF = Path("var/lib/waagent/ovf-env.xml")
CLOUD_INIT = Path("var/lib/cloud/instance/user-data.txt")
_MOST_LINKS = 40  # Linux's own limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """What stands in one place.

    Attributes:
        content: None where there is nothing.
        encoded: it is base64.
        note: why there is nothing, or what is odd.
    """

    source: str
    content: bytes | None = field(default=None, repr=False)
    encoded: bool = False
    note: str = ""


def read_copies(root: Path = Path("/")) -> Iterator[Copy]:
    """Read all places, in the order in which they are to be believed.

    Args:
        root: where the VM's file system begins; another for a disk that is mounted elsewhere. Links are followed within it.
    """
    yield _read(root, WAAGENT, encoded=True)
    yield _ovf(root)
    yield _read(root, CLOUD_INIT, encoded=False)


def read_file(path: Path) -> Copy:
    """Read a file, or a pipe, that a person names; it may hold base64 or not."""
    return _read(Path(), path, encoded=False, open_it=lambda place: place.open("rb"))


def _read(root: Path, path: Path, *, encoded: bool, open_it: Callable[[Path], BinaryIO] = open_file) -> Copy:
    there = root / path
    try:
        with open_it(within(root, path)) as file:
            content = file.read(LARGEST + 1)
    except FileNotFoundError:
        return Copy(source=str(there), note="not there")
    except PermissionError:
        return Copy(source=str(there), note="permission denied: root only")
    except OSError as error:
        return Copy(source=str(there), note=f"cannot be read: {error.strerror}")
    if len(content) > LARGEST:
        return Copy(source=str(there), note=f"more than {LARGEST} bytes")
    return Copy(source=str(there), content=content or None, encoded=encoded, note="" if content else "empty")


def within(root: Path, path: Path) -> Path:
    """Return where a path leads for a system that has `root` as its `/`: cloud-init's `instance` is a link from there.

    Raises:
        OSError: links that lead to one another.
    """
    if path.is_absolute() or root in (Path(), Path("/")):
        return root / path
    left, found, links = list(path.parts), root, 0
    while left:
        part = left.pop(0)
        if part == "..":
            found = found if found == root else found.parent
            continue
        there = found / part
        if not there.is_symlink():
            found = there
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        target = there.readlink()
        found = root if target.is_absolute() else found
        left = [*target.parts[target.is_absolute() :], *left]
    return found


class _Declared(Exception):
    """A document declares its type, and perhaps entities."""


class _Builder(ET.TreeBuilder):
    """Builds the tree of a document without a type: entities, which can grow without end, stand nowhere else."""

    def doctype(self, *_: str | None) -> None:
        """Stop before anything of it is read, in whatever encoding it is written."""
        raise _Declared


def _ovf(root: Path) -> Copy:
    """Read CustomData out of the provisioning document that came on a DVD."""
    found = _read(root, OVF, encoded=True)
    if found.content is None:
        return found
    try:
        tree = ET.fromstring(found.content, ET.XMLParser(target=_Builder()))  # noqa: S314 no entities
        elements = [each for each in tree.iter() if _local(each.tag) == "CustomData"]
    except _Declared:  # Azure's does not
        return Copy(source=found.source, note="not looked into: it declares entities")
    except (ET.ParseError, ValueError, LookupError):
        return Copy(source=found.source, note="expected XML, found something else")
    text = next((each.text for each in elements if each.text and each.text.strip()), None)
    if text is None:
        return Copy(source=found.source, note="without CustomData")
    return Copy(source=found.source, content=text.encode(), encoded=True)


def _local(tag: object) -> str:
    return str(tag).rpartition("}")[2]


def read_allowed(root: Path = Path("/")) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the label prefixes that the image allows, and what is wrong with the file; none where there is none.

    It counts only if nobody but root could have written it.
    """
    path = root / ALLOWED
    try:
        with open_file(within(root, ALLOWED)) as file:
            seen = os.fstat(file.fileno())  # of what is read, whatever is put in its place meanwhile
            text = file.read(LARGEST).decode()
    except FileNotFoundError:
        return (), ()
    except UnicodeDecodeError:
        return (), (f"{path}: expected UTF-8, found something else",)
    except OSError as error:
        return (), (f"{path}: cannot be read: {error.strerror}",)
    if seen.st_uid != 0 or seen.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        mode = f"mode {stat.filemode(seen.st_mode)} of user {seen.st_uid}"
        return (), (f"{path}: expected a file that only root may write, found {mode}",)
    found, wrong = allowed_prefixes(text)
    return found, tuple(f"{path}: {each}" for each in wrong)
