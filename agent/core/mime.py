"""MIME messages, as cloud-init reads them: leaves in order, each decoded, and what is wrong with each."""

from __future__ import annotations

import email
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from email.message import Message

AT_MOST_PARTS = 200  # of one source; cloud-init's own documentation shows three
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
    try:
        message = email.message_from_bytes(data.lstrip(b"\r\n"))
        found = tuple(_leaf(each) for each in message.walk() if not each.is_multipart())
    except (
        RecursionError,
        ValueError,
        LookupError,
        TypeError,
    ):  # nested without end, or headers that no standard knows
        return "a MIME message that cannot be read"
    if not found or (message.get_content_maintype() == "multipart" and not message.is_multipart()):
        return "a MIME message without its boundary"
    return found


def _leaf(message: Message) -> MimePart:
    payload = message.get_payload(decode=True)
    return MimePart(
        content=payload if isinstance(payload, bytes) else b"",
        content_type=message.get_content_type(),
        filename=message.get_filename(),
        notes=tuple(_said(type(defect).__name__) for defect in message.defects),  # complete once it was decoded
    )


def _said(name: str) -> str:
    """Return a defect's name as words: InvalidBase64PaddingDefect."""
    return " ".join(re.findall(r"[A-Z][a-z0-9]*", name.removesuffix("Defect"))).lower()
