"""CustomData and userData: bytes in, a list of parts out, each with its kind, size and checksum. Any bytes at all are something.

Only the standard library, and nothing of the content in an error, a note or a repr. Kinds and markers are cloud-init's
(its documentation, "User data formats"), plus one of our own.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

from agent.core.mime import AT_MOST_PARTS, looks_like_mime, parts_of

if TYPE_CHECKING:
    from agent.core.mime import MimePart

Kind = Literal[
    "boothook", "cloud-config", "cloud-config-archive", "imds-agent", "include", "jinja", "part-handler", "script",
    "json", "xml", "yaml", "text", "binary", "empty", "mime",
]  # fmt: skip

AZURE_LIMIT = 64 * 1024  # bytes of customData or userData (Azure's documentation)
RAW_LIMIT = 1024 * 1024  # bytes that are looked at; what is longer is listed as it is
OPENED_LIMIT = 16 * 1024 * 1024  # bytes that all archives together may become
MESSAGES_LIMIT = 2 * RAW_LIMIT  # bytes of all messages, those in others counted again: parsing costs a second a MiB
_DEEPEST = 5  # archives in archives, messages in messages
_AT_MOST_MEMBERS = 100  # of one gzip archive; `cat a.gz b.gz` makes two
_GZIP = b"\x1f\x8b"

OWN_TYPE = "text/x-imds-agent"
# By the beginning of the first line, in any case, as cloud-init tells them apart; the longer ones first.
_MARKERS: tuple[tuple[bytes, Kind], ...] = (
    (b"#cloud-config-archive", "cloud-config-archive"),
    (b"#cloud-config", "cloud-config"),
    (b"#cloud-boothook", "boothook"),
    (b"#include", "include"),  # and #include-once
    (b"#part-handler", "part-handler"),
    (b"#imds-agent", "imds-agent"),
    (b"#!", "script"),
)
_TYPES: dict[str, Kind] = {
    "text/cloud-config": "cloud-config",
    "text/cloud-config-jsonp": "cloud-config",
    "text/cloud-config-archive": "cloud-config-archive",
    "text/cloud-boothook": "boothook",
    "text/jinja2": "jinja",
    "text/part-handler": "part-handler",
    "text/x-include-url": "include",
    "text/x-include-once-url": "include",
    "text/x-shellscript": "script",
    "text/x-shellscript-per-boot": "script",
    "text/x-shellscript-per-instance": "script",
    "text/x-shellscript-per-once": "script",
    OWN_TYPE: "imds-agent",
}
_JINJA = re.compile(rb"##\s*template:\s*jinja", re.IGNORECASE)
# Each line can match in one way only: with `\s*\n`, which spans lines, thirty empty lines take a minute.
_YAML = re.compile(r"\A(?:---[^\n]*\n|#[^\n]*\n|[^\S\n]*\n)*[A-Za-z_][\w .-]*:(?:\s|\Z)")
_UTF16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_SPACE = re.compile(rb"\s+")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]*={0,2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part.

    Attributes:
        place: which one: `1`, and `1.2` for the second one within the first.
        size: bytes of the content as it is extracted.
        sha256: of the same, in hex.
        content_type, filename: as a MIME message declares them.
        notes: what was done to it, or is wrong with it.
        is_marked: the kind stands in its first line or its type, and was not guessed.
    """

    place: str
    kind: Kind
    size: int
    sha256: str
    content: bytes = field(repr=False)
    content_type: str | None = None
    filename: str | None = None
    notes: tuple[str, ...] = ()
    is_marked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """What one source holds.

    Attributes:
        size, sha256: of the raw bytes, as the source has them.
        notes: about the whole.
        parts: in order; messages are not listed besides what is in them.
    """

    size: int
    sha256: str
    notes: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()


@dataclass(slots=True)
class _Purse:
    """What may still be opened; spent while one source is looked through."""

    left: int = OPENED_LIMIT
    messages: int = MESSAGES_LIMIT
    parts: int = AT_MOST_PARTS


def decode(raw: bytes, *, encoded: bool) -> Decoded:
    """Look through what a source holds.

    Args:
        encoded: the source holds base64 (IMDS, and the files of Azure's agent); else it may all the same, and is taken for
            base64 only if what comes out says what it is.
    """
    found = Decoded(size=len(raw), sha256=sha256(raw).hexdigest())
    if len(raw) > RAW_LIMIT:
        return replace(
            found, notes=(f"more than {RAW_LIMIT} bytes: not looked into",), parts=(_part(raw, "1", "binary"),)
        )
    data, notes = unpacked(raw, encoded=encoded)
    if len(data) > AZURE_LIMIT:
        notes = (*notes, f"more than the {AZURE_LIMIT} bytes that Azure allows")
    parts = _looked_through(data, "1", _Purse(), 0, None)
    return replace(found, notes=notes, parts=parts)


def unpacked(raw: bytes, *, encoded: bool) -> tuple[bytes, tuple[str, ...]]:
    """Return what was given before anybody put it into base64, and what was done; archives and messages stay closed.

    Args:
        encoded: as for `decode`.
    """
    packed = _SPACE.sub(b"", raw)
    if not packed:
        return b"", ()
    if not _BASE64.fullmatch(packed) or len(packed) % 4:
        return raw, ("expected base64, found something else: taken as it is",) if encoded else ()
    data = base64.b64decode(packed)
    # Any word of eight letters is base64, too: without a promise only what comes out of it tells.
    if encoded or data.startswith(_GZIP) or _marked(data) or looks_like_mime(data):
        return data, ("base64",)
    return raw, ()


def _looked_through(data: bytes, place: str, purse: _Purse, depth: int, declared: MimePart | None) -> tuple[Part, ...]:
    """Return the parts in a piece of data: itself, or what its archive or message holds."""
    notes: tuple[str, ...] = declared.notes if declared else ()
    while data.startswith(_GZIP) and depth < _DEEPEST:
        opened, why = _gunzipped(data, purse.left)
        purse.left -= len(opened or b"")
        notes = (*notes, why)
        if opened is None:
            return (_part(data, place, "binary", declared, notes),)
        data, depth = opened, depth + 1
    kind = _declared_kind(declared)
    if kind is None and looks_like_mime(data):
        if depth >= _DEEPEST:
            return (_part(data, place, "mime", declared, (*notes, "too many messages in messages: not looked into")),)
        return _of_message(data, place, purse, depth, declared=declared, notes=notes)
    plain, encoding = _utf8(data)
    marked = _marked(plain)
    told = marked or kind if kind == "script" else kind or marked  # cloud-init believes any type but a script's
    notes = (*notes, *((encoding,) if encoding else ()))
    part = _part(plain if encoding else data, place, told or _guessed(plain), declared, notes)
    return (replace(part, is_marked=told is not None),)


def _of_message(
    data: bytes, place: str, purse: _Purse, depth: int, *, declared: MimePart | None, notes: tuple[str, ...]
) -> tuple[Part, ...]:
    if len(data) > purse.messages:
        why = f"messages of more than {MESSAGES_LIMIT} bytes in all: not looked into"
        return (_part(data, place, "mime", declared, (*notes, why)),)
    purse.messages -= len(data)
    found = parts_of(data)
    if isinstance(found, str):
        return (_part(data, place, "mime", declared, (*notes, found)),)
    parts: list[Part] = []
    for number, each in enumerate(found, start=1):
        if purse.parts <= 0:
            rest = f"more than {AT_MOST_PARTS} parts in all: the rest is not listed"
            parts.append(_part(b"", f"{place}.{number}", "mime", None, (rest,)))
            break
        purse.parts -= 1
        parts.extend(_looked_through(each.content, f"{place}.{number}", purse, depth + 1, each))
    parts[0] = replace(parts[0], notes=(*notes, *parts[0].notes))
    return tuple(parts)


def _gunzipped(data: bytes, at_most: int) -> tuple[bytes | None, str]:
    """Return what a gzip archive holds, and in words what was done; None where it is broken or too large.

    It may have several members (RFC 1952, 2.2); gzip, Python's gzip and so cloud-init read them as one.
    """
    found = bytearray()
    for _ in range(_AT_MOST_MEMBERS):
        machine = zlib.decompressobj(wbits=31)
        try:
            found += machine.decompress(data, at_most + 1 - len(found))  # never 0, which is without limit
        except zlib.error:
            return None, "gzip, broken"
        if len(found) > at_most:
            return None, f"gzip of more than {OPENED_LIMIT} bytes in all: not opened"
        if not machine.eof:
            return None, "gzip, cut off"
        data = machine.unused_data.lstrip(b"\0")  # padding, which gzip passes over, too
        if not data.startswith(_GZIP):
            return bytes(found), f"gzip, and {len(data)} bytes after it that are none" if data else "gzip"
    return None, f"gzip of more than {_AT_MOST_MEMBERS} members: not opened"


def _utf8(data: bytes) -> tuple[bytes, str | None]:
    """Return text in UTF-8 without a byte order mark; PowerShell writes UTF-16 unless told otherwise."""
    if data.startswith(b"\xef\xbb\xbf"):
        return data[3:], "UTF-8 with a byte order mark"
    name = _UTF16.get(data[:2])
    if name is None:
        return data, None
    try:
        return data[2:].decode(name).encode(), "UTF-16"
    except UnicodeError:
        return data, None


def _declared_kind(declared: MimePart | None) -> Kind | None:
    return _TYPES.get(declared.content_type) if declared else None


def _marked(data: bytes) -> Kind | None:
    """Return the kind that the first line says."""
    start = data.lstrip()[:200].lower()
    if _JINJA.match(start):
        return "jinja"
    return next((kind for marker, kind in _MARKERS if start.startswith(marker)), None)


def _guessed(data: bytes) -> Kind:
    """Return what data without a marker looks like."""
    if not data.strip():
        return "empty"
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return "binary"
    if any(ord(char) < 32 and char not in "\t\n\r\f\x1b" for char in text):
        return "binary"
    start = text.lstrip()
    if start[0] in "{[" and _is_json(text):
        return "json"
    if start.startswith(("<?xml", "<")) and start.rstrip().endswith(">"):
        return "xml"
    return "yaml" if _YAML.match(text) else "text"


def _is_json(text: str) -> bool:
    try:
        json.loads(text, parse_int=float)  # int() takes the square of the digits where Python has no limit for them
    except (ValueError, RecursionError):
        return False
    return True


def _part(data: bytes, place: str, kind: Kind, declared: MimePart | None = None, notes: tuple[str, ...] = ()) -> Part:
    return Part(
        place=place,
        kind=kind,
        size=len(data),
        sha256=sha256(data).hexdigest(),
        content=data,
        content_type=declared.content_type if declared else None,
        filename=declared.filename if declared else None,
        notes=notes,
    )


def safe_name(part: Part) -> str:
    """Return a name for a part's file: its place first, so that no two are the same, and nothing that leads elsewhere."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", part.filename or "").strip("._-")[:80]
    return f"{part.place}-{plain}" if plain else f"{part.place}-{part.kind}"
