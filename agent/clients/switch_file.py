"""The switch's file, usually a ConfigMap mounted into the pod: kubelet brings the whole fleet's copies up to date.

Read again when the file changed. What cannot be read changes nothing: the last good switch stays in force, all on before
there was one, and the trouble is said.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.core.document import DocumentError, read_json
from agent.core.switch import Switch, read_switch

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 64 * 1024  # bytes; a switch has a hundred
_TRIES = 3  # a path is walked in microseconds, and kubelet swaps once a minute at most

_Signature = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look at the file found.

    Attributes:
        switch: in force now: the last one that could be read.
        trouble: why the file could not be followed; None if it was, or if there never was one.
        changed: whether `switch` is another one than at the last look; all on before the first.
    """

    switch: Switch
    trouble: str | None
    changed: bool


class SwitchFile:
    """Follows one file; not for use by several threads at once.

    The file need not be there: a ConfigMap may be optional. Its directory must, since a mounted volume makes one: without
    it the path is wrong, and the switch would do nothing on the day that it is needed.

    One open file is one version: kubelet, and editors, replace a file as a whole. What is written into the file itself
    counts only when it is found again at the next look: `echo ... > FILE` makes it empty first, and empty is all on.
    """

    def __init__(self, path: Path) -> None:
        """Follow this file; nothing is read yet."""
        self._path = path
        self._switch = Switch()
        self._trouble: str | None = None
        self._there = False  # whether the file was ever there
        self._last: tuple[_Signature, bytes] | None = None  # as it was when last read
        self._settled = False  # whether it was read like that twice

    def look(self) -> Look:
        """Return the switch in force; reads the file if it changed."""
        before = self._switch
        if not self._unchanged():
            try:
                self._read()
            except FileNotFoundError:
                self._last, self._trouble = None, self._missing()
            except OSError as error:
                self._last, self._trouble = None, f"{self._path}: {error.strerror or error}"
            except ValueError as error:
                self._trouble = f"{self._path}: {error}"
        return Look(switch=self._switch, trouble=self._trouble, changed=self._switch != before)

    def _unchanged(self) -> bool:
        """Return whether the file is as it was when it was read, for the second time.

        Once is not enough: a file system's clock ticks every few milliseconds, and a second change within one tick that
        reuses the inode cannot be seen.
        """
        if self._last is None or not self._settled:
            return False
        try:
            return _signature(self._path.stat()) == self._last[0]
        except OSError:
            return False

    def _read(self) -> None:
        """Read the file and follow it.

        Raises:
            OSError: it cannot be read.
            ValueError: it is no switch.
        """
        signature, body = self._contents()
        last, self._last = self._last, (signature, body)
        self._there, self._settled = True, last is not None and last[0] == signature
        was_written_into = last is not None and last[0][:2] == signature[:2] and last[1] != body
        if not was_written_into:
            self._switch, self._trouble = read_switch(_parsed(body)), None

    def _contents(self) -> tuple[_Signature, bytes]:
        """Read again where kubelet took the old directory away just while a file in it was being opened."""
        for _ in range(_TRIES - 1):
            try:
                return _contents(self._path)
            except FileNotFoundError:
                if not self._there:
                    raise
        return _contents(self._path)

    def _missing(self) -> str | None:
        if self._there:
            return f"{self._path}: it is gone; what it said last stays in force"
        if not self._path.parent.is_dir():
            return f"{self._path}: its directory is missing: is the volume mounted there?"
        return None


def _signature(found: os.stat_result) -> _Signature:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _contents(path: Path) -> tuple[_Signature, bytes]:
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO would never open
    try:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("expected a file, found something else")
        body = os.read(number, LARGEST + 1)
    finally:
        os.close(number)
    if len(body) > LARGEST:
        raise ValueError(f"expected at most {LARGEST} bytes, found more")
    return _signature(found), body


def _parsed(body: bytes) -> object:
    """Return the document: JSON, or else YAML.

    Raises:
        ValueError: it is neither.
    """
    text = body.decode()
    if not text.strip():
        return None
    try:
        return read_json(text).value
    except DocumentError:
        return _yaml(text)


def _yaml(text: str) -> object:
    import yaml  # noqa: PLC0415 - a JSON switch needs none

    try:
        root, document = yaml.compose(text, Loader=yaml.SafeLoader), yaml.safe_load(text)
    except Exception as error:  # beside its own errors, whatever the library's code makes of strange values
        mark = getattr(error, "problem_mark", None)  # not the error's text: that quotes the file
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "$"
        found = getattr(error, "problem", None) or type(error).__name__
        raise DocumentError(where, "YAML or JSON", found) from error
    keys = [key.value for key, _ in root.value] if isinstance(root, yaml.MappingNode) else []
    if twice := [key for key in keys if keys.count(key) > 1]:  # the library would take the last one
        raise DocumentError("$", "each key once", f"the key {twice[0]!r} {keys.count(twice[0])} times")
    return document
