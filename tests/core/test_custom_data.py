"""Whatever customData and userData hold is listed with its kind, and never shown."""

import base64
import gzip
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.custom_data import AZURE_LIMIT, MESSAGES_LIMIT, OPENED_LIMIT, OWN_TYPE, RAW_LIMIT, decode, safe_name
from agent.core.mime import AT_MOST_BOUNDARIES, AT_MOST_MULTIPARTS, AT_MOST_PARTS, LONGEST_HEADER

CONFIG = b"#cloud-config\nruncmd: [echo s3cret]\n"
GIVEN = b"MIME-Version: 1.0\nContent-Type: text/cloud-config\n\n" + CONFIG


def message(*parts: tuple[str, bytes, str | None], subtype="mixed") -> bytes:
    whole = MIMEMultipart(subtype)
    for content_type, content, name in parts:
        kind, _, sub = content_type.partition("/")
        part = MIMEText(content.decode(), sub) if kind == "text" else MIMEBase(kind, sub)
        if kind != "text":
            part.set_payload(base64.b64encode(content).decode())
            part["Content-Transfer-Encoding"] = "base64"
        if name:
            part.add_header("Content-Disposition", "attachment", filename=name)
        whole.attach(part)
    return whole.as_bytes()


def parts(raw: bytes, *, encoded=False):
    return decode(raw, encoded=encoded).parts


def kinds(raw: bytes, *, encoded=False) -> list[str]:
    return [part.kind for part in parts(raw, encoded=encoded)]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (CONFIG, "cloud-config"),
        (b"#cloud-config-archive\n- type: text/x", "cloud-config-archive"),
        (b"#!/bin/sh\necho", "script"),
        (b"\n\n#!/bin/sh\necho", "script"),
        (b" \n" * 300 + b"#Cloud-Config\n", "cloud-config"),
        (b"#cloud-boothook\necho", "boothook"),
        (b"#include\nhttp://x", "include"),
        (b"#include-once\nhttp://x", "include"),
        (b"#part-handler\nimport x", "part-handler"),
        (b"## template: jinja\n#cloud-config\n", "jinja"),
        (b"##template:JINJA\n#!/bin/sh", "jinja"),
        (b'#imds-agent\n{"labels":{}}', "imds-agent"),
        (b'{"a": [1]}', "json"),
        (b"[1]", "json"),
        (b"{not json", "text"),
        (b"[" * 100_000, "text"),
        (b"<?xml version='1.0'?><a/>", "xml"),
        (b"<a>1</a>", "xml"),
        (b"a: 1\nb: 2\n", "yaml"),
        (b"---\n# remark\n \n\nusers:\n  - x", "yaml"),
        (b"\n" * 5000 + b"!", "text"),  # no regular expression may go astray in it
        (b"[" + b"9" * 5000 + b"]", "json"),
        (b"http://example.com", "text"),
        (b"My custom data.", "text"),
        ("f\u00fcr".encode(), "text"),
        (b"\x00\x01\x02", "binary"),
        (b"\xff\xfe\x00", "binary"),
        (b"\xff\xff\xff", "binary"),
        (b"\x7fELF\x02", "binary"),
        (b"", "empty"),
        (b" \n\t", "empty"),
    ],
)
def test_a_piece_is_what_its_first_line_says_or_what_it_looks_like(content, kind):
    [part] = parts(content)
    assert part.kind == kind


@pytest.mark.parametrize("raw", [b"TXkgY3VzdG9tIGRhdGEu", b"TXkg\r\nY3Vz dG9t\nIGRhdGEu\n"])
def test_base64_is_undone_whatever_white_space_is_in_it(raw):
    found = decode(raw, encoded=True)
    assert (found.notes, found.parts[0].content, found.size) == (("base64",), b"My custom data.", len(raw))
    assert found.parts[0].sha256 == sha256(b"My custom data.").hexdigest()


def test_what_should_be_base64_and_is_not_is_taken_as_it_is_and_said():
    found = decode(CONFIG, encoded=True)
    assert (found.notes, found.parts[0].kind) == (
        ("expected base64, found something else: taken as it is",),
        "cloud-config",
    )


def test_a_word_that_happens_to_be_base64_stays_a_word_where_nobody_promised_base64():
    assert parts(b"password")[0].content == b"password"
    assert decode(base64.b64encode(CONFIG), encoded=False).notes == ("base64",)
    assert kinds(base64.b64encode(gzip.compress(CONFIG))) == ["cloud-config"]
    assert kinds(base64.b64encode(message(("text/cloud-config", CONFIG, None)))) == ["cloud-config"]


def test_archives_are_opened_one_in_the_other_and_it_is_said():
    [part] = parts(gzip.compress(gzip.compress(CONFIG)))
    assert (part.kind, part.notes, part.content) == ("cloud-config", ("gzip", "gzip"), CONFIG)
    deep = CONFIG
    for _ in range(9):
        deep = gzip.compress(deep)
    assert kinds(deep) == ["binary"]


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (gzip.compress(CONFIG)[:-9], "gzip, cut off"),
        (b"\x1f\x8b" + b"\xff" * 20, "gzip, broken"),
        (gzip.compress(b"\0" * (OPENED_LIMIT + 1)), f"gzip of more than {OPENED_LIMIT} bytes in all: not opened"),
        (
            gzip.compress(b"\0" * OPENED_LIMIT) + gzip.compress(b"a"),
            f"gzip of more than {OPENED_LIMIT} bytes in all: not opened",
        ),
        (gzip.compress(b"") * 101, "gzip of more than 100 members: not opened"),
        (gzip.compress(CONFIG) + b"\x1f\x8b", "gzip, cut off"),
    ],
    ids=[
        "cut off",
        "broken",
        "bomb",
        "bomb in two",
        "many members",
        "second cut off",
    ],  # what pytest makes of the bytes holds the time of their making
)
def test_a_broken_archive_and_a_bomb_are_listed_unopened(data, note):
    [part] = parts(data)
    assert (part.kind, part.notes, part.size) == ("binary", (note,), len(data))


def test_all_members_of_an_archive_are_read_and_what_comes_after_them_is_said():
    two = gzip.compress(CONFIG) + gzip.compress(b"packages: []\n")
    for raw, note in (
        (two, "gzip"),
        (two + bytes(512), "gzip"),
        (two + b"rest", "gzip, and 4 bytes after it that are none"),
    ):
        [part] = parts(raw)
        assert (part.content, part.notes) == (CONFIG + b"packages: []\n", (note,))


def test_an_archive_may_become_as_large_as_is_allowed():
    [part] = parts(gzip.compress(b"\0" * OPENED_LIMIT))
    assert (part.notes, part.size) == (("gzip",), OPENED_LIMIT)


def test_many_small_bombs_spend_one_purse():
    bomb = gzip.compress(b"\0" * (OPENED_LIMIT // 4))
    found = parts(message(*[("application/octet-stream", bomb, None)] * 9))
    assert sum(part.size for part in found if "gzip" in part.notes) <= OPENED_LIMIT
    assert [part.notes[0].startswith("gzip of more than") for part in found] == [False] * 4 + [True] * 5


def test_a_message_is_its_parts_with_what_it_declares_of_them():
    found = parts(
        message(
            ("text/cloud-config", CONFIG, "config.yaml"),
            ("text/x-shellscript", b"echo", "setup.sh"),
            ("text/cloud-boothook", b"x", None),
            ("text/x-include-url", b"http://x", None),
            ("text/jinja2", b"x", None),
            (OWN_TYPE, b"{}", None),
            ("text/plain", b"#!/bin/sh\n", None),
            ("application/octet-stream", gzip.compress(CONFIG), "c.gz"),
            ("application/octet-stream", b"\x00\x01", None),
        )
    )
    assert [(part.place, part.kind) for part in found] == [
        ("1.1", "cloud-config"), ("1.2", "script"), ("1.3", "boothook"), ("1.4", "include"), ("1.5", "jinja"),
        ("1.6", "imds-agent"), ("1.7", "script"), ("1.8", "cloud-config"), ("1.9", "binary"),
    ]  # fmt: skip
    assert (found[0].content_type, found[0].filename) == ("text/cloud-config", "config.yaml")
    assert [part.is_marked for part in found] == [True] * 8 + [False]


def test_a_part_declared_as_a_script_is_what_its_marker_says_and_another_what_is_declared():
    found = message(
        ("text/x-shellscript", CONFIG, None), ("text/x-shellscript", b"x", None), ("text/jinja2", CONFIG, None)
    )
    assert kinds(found) == ["cloud-config", "script", "jinja"]


def test_messages_in_messages_are_looked_through_to_a_depth():
    inner = message(("text/cloud-config", CONFIG, None))
    assert kinds(gzip.compress(message(("application/octet-stream", inner, None), ("text/plain", b"a: 1", None)))) == [
        "cloud-config",
        "yaml",
    ]
    deep = inner
    for _ in range(8):
        deep = message(("application/octet-stream", deep, None))
    [part] = parts(deep)
    assert (part.kind, part.notes) == ("mime", ("too many messages in messages: not looked into",))


def test_a_message_that_is_none_is_said_to_be():
    [part] = parts(b"MIME-Version: 1.0\nContent-Type: multipart/mixed\n\nhello")
    assert (part.kind, part.notes) == ("mime", ("a MIME message without its boundary",))
    [part] = parts(b"Content-Type: multipart/mixed; boundary=x\n\n--x--\n")
    assert part.kind in ("mime", "empty")
    [part] = parts(b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary*=\0''x\n\nhello")
    assert (part.kind, part.notes) == ("mime", ("a MIME message that cannot be read",))


BEGIN = b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n"
LONG = b'--x\nContent-Disposition: attachment; filename="' + b";" * LONGEST_HEADER + b"\n\na\n"
FOLDED = b"--x\r\ncontent-type: text/plain" + b";\r\n a=b" * (LONGEST_HEADER // 4) + b"\r\n\r\na\r\n"
NESTED = b"".join(
    b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(AT_MOST_MULTIPARTS + 1)
)


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (BEGIN + b"--x\n\na\n" * (AT_MOST_BOUNDARIES + 1), f"more than {AT_MOST_BOUNDARIES} boundaries in a message: not looked into"),
        (BEGIN + LONG, f"a header of more than {LONGEST_HEADER} bytes: not looked into"),
        (BEGIN + LONG.replace(b"\n", b"\r"), f"a header of more than {LONGEST_HEADER} bytes: not looked into"),
        (BEGIN + FOLDED, f"a header of more than {LONGEST_HEADER} bytes: not looked into"),
        (b"MIME-Version: 1.0\n" + NESTED, f"more than {AT_MOST_MULTIPARTS} messages in one: not looked into"),
        (b"MIME-Version: 1.0\nContent-Type: message/rfc822\n\n" * 21, f"more than {AT_MOST_MULTIPARTS} messages in one: not looked into"),
        (gzip.compress(BEGIN + b"a" * MESSAGES_LIMIT), f"messages of more than {MESSAGES_LIMIT} bytes in all: not looked into"),
    ],
    ids=["parts", "header", "header between returns", "folded header", "multiparts", "messages", "bytes"],
)  # fmt: skip
def test_a_message_that_would_take_the_parser_too_long_is_listed_whole(data, note):
    [part] = parts(data)
    assert (part.kind, part.notes[-1]) == ("mime", note)


def test_all_messages_together_spend_one_purse():
    inner = gzip.compress(GIVEN + b"#" * (MESSAGES_LIMIT // 3))
    found = parts(message(*[("application/gzip", inner, None)] * 4))
    assert [part.kind for part in found] == ["cloud-config"] * 2 + ["mime"] * 2


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b"filename*=unicode_escape''%5cud800", "\ufffd"),
        (b"filename*=\0''x", None),
        (b'filename="' + b"x" * 300 + b'"', "x" * 255),
    ],
    ids=["half a pair", "no such encoding", "long"],
)
def test_a_strange_file_name_costs_the_part_nothing_else(written, read):
    [part] = parts(BEGIN + b"--x\nContent-Disposition: attachment; " + written + b"\n\n" + CONFIG + b"--x--\n")
    assert (part.kind, part.filename, len(part.content_type)) == ("cloud-config", read, len("text/plain"))


def test_a_part_with_broken_encoding_is_listed_with_what_is_wrong():
    raw = (
        b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/plain\n"
        b"Content-Transfer-Encoding: base64\n\n!!!!\n--x--\n"
    )
    [part] = parts(raw)
    assert any("base64" in note for note in part.notes)


def test_more_parts_than_anybody_writes_are_not_all_listed():
    found = parts(message(*[("text/plain", b"a: 1", None)] * (AT_MOST_PARTS + 3)))
    assert len(found) == AT_MOST_PARTS + 1
    assert found[-1].notes == (f"more than {AT_MOST_PARTS} parts in all: the rest is not listed",)
    nested = message(*[("text/plain", b"a: 1", None)] * (AT_MOST_PARTS - 1), ("application/octet-stream", GIVEN, None))
    assert parts(nested)[-1].notes == found[-1].notes


@pytest.mark.parametrize(
    ("raw", "note"), [("utf-16", "UTF-16"), ("utf-16-be", "UTF-16"), ("utf-8-sig", "UTF-8 with a byte order mark")]
)
def test_what_powershell_writes_is_read(raw, note):
    text = CONFIG.decode().encode(raw)
    data = b"\xfe\xff" + text if raw == "utf-16-be" else text
    [part] = parts(data)
    assert (part.kind, part.notes, part.content) == ("cloud-config", (note,), CONFIG)


def test_what_is_longer_than_azure_allows_is_said_and_what_is_far_longer_is_not_looked_into():
    assert decode(b"a" * (AZURE_LIMIT + 1), encoded=False).notes == (
        f"more than the {AZURE_LIMIT} bytes that Azure allows",
    )
    found = decode(CONFIG + b"#" * RAW_LIMIT, encoded=False)
    assert (found.notes, found.parts[0].kind) == ((f"more than {RAW_LIMIT} bytes: not looked into",), "binary")


def test_content_shows_in_no_repr():
    found = decode(message(("text/cloud-config", CONFIG, None)), encoded=False)
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("setup.sh", "1.1-setup.sh"),
        ("../../etc/passwd", "1.1-etc_passwd"),
        (".bashrc", "1.1-bashrc"),
        ("a\nb\tc", "1.1-a_b_c"),
        ("x" * 300, "1.1-" + "x" * 80),
        ("...", "1.1-cloud-config"),
        (None, "1.1-cloud-config"),
    ],
)
def test_a_file_s_name_leads_nowhere_else(name, safe):
    raw = message(("text/cloud-config", CONFIG, "placeholder" if name else None))
    if name:
        quoted = name.replace("\n", "%0A").replace("\t", "%09").replace("/", "%2F")
        raw = raw.replace(b'filename="placeholder"', b"filename*=utf-8''" + quoted.encode())
    [part] = parts(raw)
    assert safe_name(part) == safe


@given(st.binary(max_size=400), st.booleans())
@settings(max_examples=300)
def test_any_bytes_at_all_are_something(raw, encoded):
    found = decode(raw, encoded=encoded)
    assert found.parts
    assert len({safe_name(part) for part in found.parts}) == len(found.parts)


HEAD = st.sampled_from(
    [
        b"",
        b"MIME-Version: 1.0\n",
        b"Content-Type: multipart/mixed; boundary=x\n\n--x\n",
        b"\x1f\x8b\x08",
        b"#cloud-config\n",
    ]
)
PIECE = (
    HEAD
    | st.binary(max_size=40)
    | st.sampled_from(
        [
            b"--x\n",
            b"--x--\n",
            b"\n",
            b"Content-Transfer-Encoding: base64\n",
            b"Content-Type: \xff\n",
            b"Content-Disposition: attachment; filename*=x''%ff\n",
            b"Content-Type: text/plain; charset=nonsense\n\n\xe4",
        ]
    )
)


@given(st.lists(PIECE, max_size=12), st.booleans(), st.booleans())
@settings(max_examples=300)
def test_anything_that_resembles_a_message_or_an_archive_is_something(pieces, packed, encoded):
    raw = b"".join(pieces)
    found = decode(gzip.compress(raw) if packed else raw, encoded=encoded)
    assert found.parts
    assert "content=" not in repr(found)
