"""DER (X.690) read strictly: bytes in, elements with a path out; what is wrong is said with its path, never with its bytes."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.core.document import DocumentError

SEQUENCE, SET, INTEGER, OCTETS, OID, NULL = 0x30, 0x31, 0x02, 0x04, 0x06, 0x05
_NAMES = {
    SEQUENCE: "a SEQUENCE",
    SET: "a SET",
    INTEGER: "an INTEGER",
    OCTETS: "an OCTET STRING",
    OID: "an OBJECT IDENTIFIER",
    NULL: "NULL",
}
_LENGTH_BYTES = 4  # of a length; 4 GiB is more than any body that is read


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One element of a DER encoding.

    Attributes:
        path: where, as in `contentInfo.content.signerInfos[0]`.
        tag: its identifier byte; tags of more than one byte are not read.
        body: what stands in it.
        whole: the same with tag and length, as it was signed.
    """

    path: str
    tag: int
    body: bytes = field(repr=False)
    whole: bytes = field(repr=False)

    def each(self, *names: str) -> tuple[Element, ...]:
        """Return the elements within.

        Args:
            names: of the first ones, for their paths; the others are numbered.

        Raises:
            DocumentError: not a row of whole elements.
        """
        found: list[Element] = []
        at = 0
        while at < len(self.body):
            name = f".{names[len(found)]}" if len(found) < len(names) else f"[{len(found)}]"
            found.append(_element(self.body, at, self.path + name))
            at += len(found[-1].whole)
        return tuple(found)

    def fields(self, *names: str) -> tuple[Element, ...]:
        """Return the elements within, at least as many as are named.

        Raises:
            DocumentError: fewer, or not a row of whole elements.
        """
        found = self.each(*names)
        if len(found) < len(names):
            raise DocumentError(f"{self.path}.{names[len(found)]}", "an element", "nothing")
        return found

    def a(self, tag: int) -> Element:
        """Return this element, if it has the tag.

        Raises:
            DocumentError: it has another one.
        """
        if self.tag != tag:
            raise DocumentError(self.path, tag_name(tag), tag_name(self.tag))
        return self

    def oid(self) -> str:
        """Return this object identifier as `1.2.840.113549.1.7.2`.

        Raises:
            DocumentError: it is none.
        """
        body = self.a(OID).body
        if not body or body[-1] & 0x80:
            raise DocumentError(self.path, "an OBJECT IDENTIFIER", "one that is cut off")
        numbers, number = [], 0
        for byte in body:
            number = number << 7 | byte & 0x7F
            if not byte & 0x80:
                numbers.append(number)
                number = 0
        first = min(numbers[0] // 40, 2)
        return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))

    def number(self) -> int:
        """Return this INTEGER.

        Raises:
            DocumentError: it is none.
        """
        body = self.a(INTEGER).body
        if not body:
            raise DocumentError(self.path, "an INTEGER", "nothing in it")
        return int.from_bytes(body, "big", signed=True)


def tag_name(tag: int) -> str:
    """Return a tag in words."""
    if tag in _NAMES:
        return _NAMES[tag]
    return f"[{tag & 0x1F}]" if tag & 0xC0 == 0x80 else f"tag 0x{tag:02x}"


def read_der(data: bytes, name: str) -> Element:
    """Read one element, and nothing behind it.

    Raises:
        DocumentError: it is cut off, not DER, or something follows.
    """
    found = _element(data, 0, name)
    if len(found.whole) != len(data):
        raise DocumentError(name, "nothing behind the end", f"{len(data) - len(found.whole)} bytes")
    return found


def _element(data: bytes, at: int, path: str) -> Element:
    header = data[at : at + 2]
    if len(header) < 2:
        raise DocumentError(path, "a DER element", f"{len(header)} bytes")
    tag, short = header
    if tag & 0x1F == 0x1F:
        raise DocumentError(path, "a tag of one byte", f"0x{tag:02x}")
    start, length = at + 2, short
    if short & 0x80:
        start, length = _long_length(data, at, short & 0x7F, path)
    if start + length > len(data):
        raise DocumentError(path, f"{length} bytes", f"{len(data) - start}")
    return Element(path=path, tag=tag, body=data[start : start + length], whole=data[at : start + length])


def _long_length(data: bytes, at: int, count: int, path: str) -> tuple[int, int]:
    sent = data[at + 2 : at + 2 + count]
    if not 1 <= count <= _LENGTH_BYTES or len(sent) < count:
        raise DocumentError(path, "a definite length of at most four bytes", f"{len(sent)} of {count} bytes")
    length = int.from_bytes(sent, "big")
    if length < 0x80 or sent[0] == 0:
        raise DocumentError(path, "the shortest form of a length (DER)", f"{count} bytes for {length}")
    return at + 2 + count, length
