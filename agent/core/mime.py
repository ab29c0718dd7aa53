"""MIME messages, as cloud-init reads them: leaves in order, each decoded, and what is wrong with each."""

from __future__ import annotations

import email
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.core.document import without_surrogates

if TYPE_CHECKING:
    from email.message import Message

AT_MOST_PARTS = 200  # of one source; cloud-init's own documentation shows three
# The standard library's parser takes time that grows with the square of a header's length (a MiB of `;`: minutes) and with
# lines times multiparts around them, and half a kilobyte of memory a part: what it is given is counted first.
AT_MOST_BOUNDARIES = 10_000  # lines that begin with `--`; scripts have such lines, too
AT_MOST_MULTIPARTS = 20  # in one message; cloud-init's tools write one
LONGEST_HEADER = 1024  # bytes; 255 of a file name in percent encoding are 765
_LONGEST_NAME = 255  # characters of a file name or type that are kept: a file name's most on Linux
_HEADERS = re.compile(rb"^content-(?:type|disposition):[^\n]*(?:\n[ \t][^\n]*)*", re.IGNORECASE | re.MULTILINE)
_START = re.compile(  # header lines, folded ones too, up to one that only a message has
    rb"\A(?:[A-Za-z][A-Za-z0-9-]*:[^\n]*\n(?:[ \t][^\n]*\n)*)*?"
    rb"(?:MIME-Version:|Content-Type:\s*(?:multipart/|text/[a-z0-9.-]+|message/))",
    re.IGNORECASE,
)
_LONGEST_HEAD = 4096  # bytes in which a message must show that it is one


@dataclass(frozen=True, slots=True, kw_only=True)
class MimePart:
    """A leaf of a message.

    Attributes:
        content_type: in lower case, `text/plain` where none is said (RFC 2045).
        filename: as declared.
        notes: what is wrong with it.
    """

    content: bytes = field(repr=False)
    content_type: str
    filename: str | None = None
    notes: tuple[str, ...] = ()


def looks_like_mime(data: bytes) -> bool:
    """Return whether data begins with the header of a message."""
    return _START.match(data[:_LONGEST_HEAD].replace(b"\r\n", b"\n").lstrip(b"\n")) is not None


def parts_of(data: bytes) -> tuple[MimePart, ...] | str:
    """Return the leaves of a message in order; in words why not, where that cannot be."""
    too_much = _too_much(data)
    if too_much:
        return too_much
    try:
        message = email.message_from_bytes(data.lstrip(b"\r\n"))
        found = tuple(_leaf(each) for each in message.walk() if not each.is_multipart())
    except (RecursionError, ValueError, LookupError, TypeError):  # headers that no standard knows
        return "a MIME message that cannot be read"
    if not found or (message.get_content_maintype() == "multipart" and not message.is_multipart()):
        return "a MIME message without its boundary"
    return found


def _too_much(data: bytes) -> str | None:
    """Return in words what in a message would take the parser too long; found without parsing it."""
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if lines.count(b"\n--") > AT_MOST_BOUNDARIES:
        return f"more than {AT_MOST_BOUNDARIES} boundaries in a message: not looked into"
    headers = _HEADERS.findall(lines)
    if any(len(header) > LONGEST_HEADER for header in headers):
        return f"a header of more than {LONGEST_HEADER} bytes: not looked into"
    if sum(b"multipart/" in header.lower() or b"message/" in header.lower() for header in headers) > AT_MOST_MULTIPARTS:
        return f"more than {AT_MOST_MULTIPARTS} messages in one: not looked into"
    return None


def _leaf(message: Message) -> MimePart:
    payload = message.get_payload(decode=True)
    return MimePart(
        content=payload if isinstance(payload, bytes) else b"",
        content_type=without_surrogates(message.get_content_type())[:_LONGEST_NAME],
        filename=_filename(message),
        notes=tuple(_said(type(defect).__name__) for defect in message.defects),  # complete once it was decoded
    )


def _filename(message: Message) -> str | None:
    """Return a declared name; none where it is written in a way that nobody can read, which costs the part nothing else."""
    try:
        name = message.get_filename()
    except (ValueError, LookupError, TypeError):
        return None
    return without_surrogates(name)[:_LONGEST_NAME] if name else None


def _said(name: str) -> str:
    """Return a defect's name as words: InvalidBase64PaddingDefect."""
    return " ".join(re.findall(r"[A-Z][a-z0-9]*", name.removesuffix("Defect"))).lower()
