"""DER is read strictly, and what is wrong is said with its place."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.der import INTEGER, OCTETS, OID, SEQUENCE, read_der, tag_name
from agent.core.document import DocumentError


def der(tag: int, body: bytes) -> bytes:
    size = len(body)
    if size < 0x80:
        return bytes([tag, size]) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def wrong(data: bytes, *names: str) -> str:
    with pytest.raises(DocumentError) as caught:
        read_der(data, "x").a(SEQUENCE).fields(*names)
    return str(caught.value)


def test_elements_are_found_with_their_paths_short_and_long():
    inner = der(OCTETS, b"a" * 300)
    found = read_der(der(SEQUENCE, der(INTEGER, b"\x07") + inner), "x").fields("version")
    assert [each.path for each in found] == ["x.version", "x[1]"]
    assert (found[0].number(), found[1].body, found[1].whole) == (7, b"a" * 300, inner)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("2a864886f70d010702", "1.2.840.113549.1.7.2"),
        ("608648016503040201", "2.16.840.1.101.3.4.2.1"),
        ("550403", "2.5.4.3"),
        ("00", "0.0"),
        ("8837", "2.999"),
    ],
)
def test_object_identifiers_are_read_as_they_are_written(body, text):
    assert read_der(der(OID, bytes.fromhex(body)), "x").oid() == text


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "x: expected a DER element, found 0 bytes"),
        (b"\x30", "x: expected a DER element, found 1 bytes"),
        (b"\x1f\x01\x00", "x: expected a tag of one byte, found 0x1f"),
        (b"\x30\x05\x02\x01\x07", "x: expected 5 bytes, found 3"),
        (b"\x30\x80\x00\x00", "x: expected a definite length of at most four bytes, found 0 of 0 bytes"),
        (b"\x30\x82\x01", "x: expected a definite length of at most four bytes, found 1 of 2 bytes"),
        (b"\x30\x85" + b"\x01" * 9, "x: expected a definite length of at most four bytes, found 5 of 5 bytes"),
        (b"\x30\x81\x03\x02\x01\x07", "x: expected the shortest form of a length (DER), found 1 bytes for 3"),
        (b"\x30\x82\x00\x81" + b"a" * 129, "x: expected the shortest form of a length (DER), found 2 bytes for 129"),
        (b"\x30\x00\x00", "x: expected nothing behind the end, found 1 bytes"),
        (b"\x30\x00", "x.version: expected an element, found nothing"),
        (b"\x31\x00", "x: expected a SEQUENCE, found a SET"),
        (b"\x30\x03\x02\x05\x07", "x.version: expected 5 bytes, found 1"),
    ],
)
def test_what_is_no_der_is_said_with_its_place(data, said):
    assert wrong(data, "version") == said


def test_an_element_of_another_kind_is_named():
    element = read_der(b"\xa1\x00", "x")
    for read in (element.oid, element.number, lambda: element.a(OCTETS)):
        with pytest.raises(DocumentError, match=r"x: expected .*, found \[1\]"):
            read()
    assert tag_name(0x0C) == "tag 0x0c"


@pytest.mark.parametrize("body", [b"", b"\x88"])
def test_a_cut_identifier_or_an_empty_number_is_none(body):
    with pytest.raises(DocumentError):
        read_der(der(OID, body), "x").oid()
    with pytest.raises(DocumentError, match="nothing in it"):
        read_der(der(INTEGER, b""), "x").number()


@given(st.binary(max_size=200))
def test_any_bytes_are_an_element_or_a_place_where_they_are_none(data):
    with suppress(DocumentError):
        assert read_der(data, "x").whole == data


@given(st.recursive(st.binary(max_size=40), lambda inner: st.lists(inner, max_size=4), max_leaves=12))
def test_what_was_written_is_read(tree):
    def write(part) -> bytes:
        return der(OCTETS, part) if isinstance(part, bytes) else der(SEQUENCE, b"".join(map(write, part)))

    def read(element):
        return element.body if element.tag == OCTETS else [read(each) for each in element.each()]

    assert read(read_der(write(tree), "x")) == tree
