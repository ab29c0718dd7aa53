"""First stop of the flow: bytes of a JSON document in, places with a path out; what is wrong is said with its path."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")  # 19 digits hold every 64-bit number
_SURROGATE = re.compile("[\ud800-\udfff]")
_SHOWN = 60  # characters of a found value: enough to recognise it in the document


class DocumentError(ValueError):
    """A document, or one value in it, is not what its source promises.

    Attributes:
        path: where, as in `$.compute.platformFaultDomain`.
        expected: what should stand there.
        found: what stands there, cut to 60 characters; of a secret only the type.
    """

    def __init__(self, path: str, expected: str, found: str) -> None:
        super().__init__(path, expected, found)
        self.path = path
        self.expected = expected
        self.found = found if len(found) <= _SHOWN else found[: _SHOWN - 1] + "…"

    def __str__(self) -> str:
        return f"{self.path}: expected {self.expected}, found {self.found}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One place in a document; a place where nothing stands is a place too, so that any key may be absent.

    "Nothing" is an absent key, null, or "": IMDS sends "" for what is unset (Azure's documentation).
    """

    path: str
    value: object = field(default=None, repr=False)
    is_secret: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing stands here."""
        return self.value is None or self.value == ""

    def at(self, key: str, *, secret: bool = False) -> Place:
        """Return the place below `key`; nothing has nothing below it.

        Args:
            key: as the document spells it.
            secret: never show this value, or one below it, in an error.
        """
        members = self.members()
        hidden = self.is_secret or secret
        return Place(path=f"{self.path}.{key}", value=members.get(key), is_secret=hidden)

    def members(self) -> dict[str, object]:
        """Return this object's members, none for nothing."""
        if self.is_empty:
            return {}
        if not isinstance(self.value, dict):
            raise self.wrong("an object")
        return self.value

    def each(self) -> tuple[Place, ...]:
        """Return the places of this array's elements, none for nothing."""
        if self.is_empty:
            return ()
        if not isinstance(self.value, list):
            raise self.wrong("an array")
        numbered = enumerate(self.value)
        return tuple(Place(path=f"{self.path}[{at}]", value=each, is_secret=self.is_secret) for at, each in numbered)

    def text(self) -> str | None:
        """Return this text, without halves of surrogate pairs."""
        if self.is_empty:
            return None
        if not isinstance(self.value, str):
            raise self.wrong("a text")
        return without_surrogates(self.value)

    def number(self) -> int | None:
        """Return this whole number, written as JSON number or, as /metadata/instance does, as text."""
        if self.is_empty:
            return None
        if isinstance(self.value, int) and not isinstance(self.value, bool):
            return self.value
        if isinstance(self.value, str) and _INTEGER.fullmatch(self.value):
            return int(self.value)
        raise self.wrong("a number")

    def flag(self) -> bool | None:
        """Return this boolean, written as JSON boolean or as text in any case."""
        if self.is_empty:
            return None
        if isinstance(self.value, bool):
            return self.value
        told = {"true": True, "false": False}.get(self.value.lower()) if isinstance(self.value, str) else None
        if told is None:
            raise self.wrong("true or false")
        return told

    def wrong(self, expected: str) -> DocumentError:
        """Return the error that says what was expected here."""
        return DocumentError(self.path, expected, _shown(self.value, is_secret=self.is_secret))


def without_surrogates(text: str) -> str:
    """Return the text with halves of surrogate pairs, which JSON can hold and UTF-8 cannot, replaced by U+FFFD."""
    return _SURROGATE.sub("�", text)


def read_json(body: bytes | str) -> Place:
    """Read a JSON document strictly and return its root, `$`.

    UTF-8 only; a byte order mark is tolerated, since it changes nothing and Windows tools write it. Refused, although
    Python would read them: NaN, Infinity, and keys that come twice. A whole number of more than 19 digits is kept as
    a fraction, so that it spoils only the place where it stands.

    Raises:
        DocumentError: not JSON, or nested deeper than the interpreter reads. Never shows the body itself.
    """
    text = _decoded(body)
    try:
        value: object = json.loads(text, object_pairs_hook=_once, parse_int=_integer, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        what = error.msg.removesuffix(" at")
        found = f"{what} at character {error.pos} of {len(text)}" if text.strip() else "an empty body"
        raise DocumentError("$", "JSON", found) from None  # the error itself holds the body
    except RecursionError:
        raise DocumentError("$", "JSON", "too many nested brackets") from None
    return Place(path="$", value=value)


def _decoded(body: bytes | str) -> str:
    if isinstance(body, str):
        return body.removeprefix("\ufeff")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"byte 0x{body[error.start]:02x} at {error.start} of {len(body)}"
        raise DocumentError("$", "UTF-8", found) from None


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        keys = [key for key, _ in pairs]
        twice, times = next((key, times) for key, times in Counter(keys).items() if times > 1)
        raise DocumentError("$", "each key once", f"{twice!r} {times} times in one object")
    return members


def _integer(text: str) -> int | float:
    return int(text) if _INTEGER.fullmatch(text) else float(text)  # int() refuses thousands of digits


def _no_constant(name: str) -> object:
    raise DocumentError("$", "JSON", name)


def _shown(value: object, *, is_secret: bool) -> str:
    match value:
        case None:
            return "nothing"
        case dict():
            return "an object"
        case list():
            return "an array"
        case str() if is_secret:
            return "a text"
        case bool() | int() | float() if is_secret:
            return "a number or boolean"
        case _:
            return repr(value)
