"""One HTTP request and its answer as values: what the pure part of the emulator is asked and says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias
from urllib.parse import unquote, unquote_plus, urlsplit

JSON = "application/json"
TEXT = "text/plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as it came in.

    Args:
        path: still percent-encoded, without the query.
        query: without the question mark.
        headers: by lower-case name.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer; a Date header is added by whoever sends it."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


# whole: as it stands. truncated: half of the body that was announced, then the end. hang: nothing, then the end.
# reset: the connection is reset without a word.
Manner: TypeAlias = Literal["whole", "truncated", "hang", "reset"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An answer and the way it reaches the client.

    Args:
        seconds: how long to wait before; None (hang only) means until the client or the emulator ends.
        date: seconds that the Date header is later than the emulator's clock; None sends no such header.
    """

    response: Response = field(default_factory=Response)
    manner: Manner = "whole"
    seconds: float | None = 0.0
    date: float | None = 0.0


def target_of(target: str) -> tuple[str, str]:
    """Split a request line's target, maybe in a proxy's absolute form, into path and query."""
    if not target.startswith("/"):
        parts = urlsplit(target)
        return parts.path or "/", parts.query
    path, _, query = target.partition("?")
    return path, query


def segments(path: str) -> list[str]:
    """Return the decoded steps of a path; one trailing slash is accepted, as real clients send it."""
    steps = path.split("/")[1:]
    if steps and not steps[-1]:
        steps.pop()
    return [unquote(step) for step in steps]


def parameters(query: str) -> list[tuple[str, str]]:
    """Return decoded names and values in order; nothing between two `&` is skipped, as Azure's own sample has it."""
    pairs = (part.partition("=") for part in query.split("&") if part)
    return [(unquote_plus(name), unquote_plus(value)) for name, _, value in pairs]
