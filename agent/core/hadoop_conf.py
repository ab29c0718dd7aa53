"""Hadoop's configuration files (core-site.xml, hdfs-site.xml) as one set of values, read as Hadoop 3.5.0 reads them (tried).

A value that is empty counts as not given; the last one counts, unless an earlier one was final; names and values may also be
attributes; old names stand for new ones. Documents that could reach out or swell are refused: no document type at all, so
no entities. An include is not followed, and said.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.parsers import expat

from agent.core.document import DocumentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LARGEST = 4 * 1024 * 1024  # bytes; core-default.xml, by far the longest that there is, has 0.2 MiB
DEEPEST = 20  # substitutions of one value: Hadoop's own limit
# Hadoop's own list of old names (Configuration and HdfsConfiguration), as far as racks go.
OLD_NAMES = {
    "topology.script.file.name": "net.topology.script.file.name",
    "topology.script.number.args": "net.topology.script.number.args",
    "topology.node.switch.mapping.impl": "net.topology.node.switch.mapping.impl",
}
_VARIABLE = re.compile(r"\$\{([^}$ ]+)\}")
_PARTS = ("name", "value", "final")


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """One property as it stands in a file.

    Attributes:
        value: with its blanks, which Hadoop keeps for some; None where none is given.
    """

    name: str
    value: str | None
    final: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfFile:
    """One file.

    Attributes:
        includes: what it would have been continued with, unread.
    """

    properties: tuple[Property, ...] = ()
    includes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HadoopConf:
    """What the files say together; what they do not say has Hadoop's default, which is the asker's to know."""

    values: Mapping[str, str] = field(default_factory=dict)

    def raw(self, name: str) -> str | None:
        """Return a value with its variables replaced and its blanks kept; None where it is not given.

        A variable that is not in the files (of the environment, or of the JVM) is left as it stands, and all behind it.
        """
        text = self.values.get(name)
        for _ in range(DEEPEST if text is not None else 0):
            found = _VARIABLE.search(text or "")
            inner = self.values.get(found[1]) if found else None
            if text is None or found is None or inner is None:
                break
            text = text[: found.start()] + inner + text[found.end() :]
        return text

    def text(self, name: str, default: str = "") -> str:
        """Return a value without blanks around it, or the default."""
        return (self.raw(name) or "").strip() or default

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a truth value; the default where it is neither `true` nor `false`, as Hadoop does."""
        return {"true": True, "false": False}.get(self.text(name).lower(), default)

    def number(self, name: str, default: int) -> int:
        """Return a whole number, decimal or 0x….

        Raises:
            DocumentError: Hadoop would stop with a NumberFormatException.
        """
        text = self.text(name, str(default))
        try:
            return int(text, 16 if text.lower().lstrip("-").startswith("0x") else 10)
        except ValueError:
            raise DocumentError(name, "a whole number", repr(text)) from None

    def is_open(self, name: str) -> bool:
        """Return whether a value names a variable that only Hadoop's own process can replace."""
        return _VARIABLE.search(self.raw(name) or "") is not None


def read_conf(body: bytes) -> ConfFile:
    """Read one file.

    Raises:
        DocumentError: it is no XML, has a document type, or is larger than `LARGEST`.
    """
    if len(body) > LARGEST:
        raise DocumentError("size", f"at most {LARGEST} bytes", f"{len(body)}")
    reader = _Reader()
    try:
        reader.parser.Parse(body, True)
    except expat.ExpatError as error:
        raise DocumentError(f"line {error.lineno}", "XML", expat.ErrorString(error.code)) from None
    if reader.root != "configuration":
        raise DocumentError("line 1", "<configuration>", f"<{reader.root}>")
    return ConfFile(properties=tuple(reader.properties), includes=tuple(reader.includes))


def merged(files: Iterable[ConfFile]) -> HadoopConf:
    """Return what files say together, in the order in which Hadoop reads them."""
    values: dict[str, str] = {}
    final: set[str] = set()
    for file in files:
        for each in file.properties:
            name = OLD_NAMES.get(each.name, each.name)
            if each.value and name not in final:
                values[name] = each.value
            if each.final:
                final.add(name)
    return HadoopConf(values=values)


class _Reader:
    """Collects properties while expat reads."""

    def __init__(self) -> None:
        self.properties: list[Property] = []
        self.includes: list[str] = []
        self.root: str | None = None
        self._parts: dict[str, str] = {}
        self._text: list[str] = []
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text_of
        self.parser.StartDoctypeDeclHandler = self._doctype

    def _doctype(self, *_: object) -> None:
        line = self.parser.CurrentLineNumber
        raise DocumentError(f"line {line}", "no document type", "<!DOCTYPE")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self.root = self.root or name
        self._text = []
        if _local(name) == "property":
            self._parts = {part: attributes[part] for part in _PARTS if part in attributes}
        elif _local(name) == "include":
            self.includes.append(attributes.get("href", ""))

    def _text_of(self, data: str) -> None:
        self._text.append(data)

    def _end(self, name: str) -> None:
        part, text = _local(name), "".join(self._text)
        if part in _PARTS:
            self._parts = {**self._parts, part: text} if text else self._parts
        elif part == "property":
            self._close()

    def _close(self) -> None:
        name, value = self._parts.get("name", "").strip(), self._parts.get("value")
        if name:
            self.properties.append(Property(name=name, value=value, final=self._parts.get("final") == "true"))
        self._parts = {}


def _local(name: str) -> str:
    """Return an element's name without its prefix, by which Hadoop does not tell them apart."""
    return name.rpartition(":")[2]
