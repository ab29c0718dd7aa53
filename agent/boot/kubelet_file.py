"""Kubelet's environment file, text in and text out: our block at its end, and every other byte as it was.

Of several assignments systemd takes the last one (systemd.exec(5)), so the block repeats what the lines above it say and adds
our flags. To take it back is to cut it out again.

    # imds-agent first-boot: begin; `imds-agent first-boot --undo` takes it away, down to "end"
    KUBELET_EXTRA_ARGS="--max-pods=50 --node-labels=a=b,topology.imds-agent.github.io/zone=westeurope-1"
    # imds-agent first-boot: end
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

NAME = "KUBELET_EXTRA_ARGS"
MARK = "# imds-agent first-boot: "
_BEGIN, _END = f"{MARK}begin", f"{MARK}end"
_ADVICE = '; `imds-agent first-boot --undo` takes it away, down to "end"'
_NEW_FILE, _NEW_LINE = " of a file that was not there", " after a last line without end"
_BLOCK = re.compile(
    rf"{re.escape(_BEGIN)}(?P<new_file>{_NEW_FILE})?(?P<new_line>{_NEW_LINE})?{re.escape(_ADVICE)}\n"
    rf"{NAME}=[^\n]*\n{re.escape(_END)}\n"
)
_BLANK = " \t\r"  # what systemd passes over; Python would pass over more
_ASSIGNED = re.compile(rf"{NAME}[ \t]*=(?P<value>.*)", re.DOTALL)
_ODD = re.compile(r"""["'\\]""")
LABELS, TAINTS = "--node-labels", "--register-with-taints"


class NotUnderstood(ValueError):
    """The file holds something that this could break; it stays as it is. The text says where, and what."""


def merged(text: str | None, labels: Mapping[str, str], taints: Iterable[str]) -> str | None:
    """Return the file with our block, or without it where there is nothing to say.

    Labels and taints that the file names itself stay as they are.

    Args:
        text: None where there is no file; so is the result.
        taints: as kubelet reads them, `key=value:effect`.

    Raises:
        NotUnderstood: the block could break what stands there.
    """
    plain = restored(text)
    wanted = tuple(taints)
    if not labels and not wanted:
        return plain
    args = _with_flags(_standing(plain or ""), labels, wanted)
    new_line = bool(plain) and not str(plain).endswith("\n")
    begin = f"{_BEGIN}{_NEW_FILE if plain is None else ''}{_NEW_LINE if new_line else ''}{_ADVICE}\n"
    return f"{plain or ''}{chr(10) if new_line else ''}{begin}{NAME}={_quoted(args)}\n{_END}\n"


def restored(text: str | None) -> str | None:
    """Return the file as it was before us, to the byte; None where there was none.

    Raises:
        NotUnderstood: somebody changed our block.
    """
    if text is None or MARK not in text:
        return text
    found = list(_BLOCK.finditer(text))
    if len(found) != 1 or text.count(MARK) != 2 or not _begins_a_line(text, found[0].start()):
        raise NotUnderstood(
            f"our block was changed: expected what stands between {_BEGIN!r} and {_END!r} as we wrote it"
        )
    block = found[0]
    before, after = text[: block.start()], text[block.end() :]
    if block["new_line"] and not after:
        before = before.removesuffix("\n")
    return None if block["new_file"] and not before and not after else before + after


def has_block(text: str | None) -> bool:
    """Say whether we wrote into this file before."""
    return text is not None and MARK in text


def _begins_a_line(text: str, place: int) -> bool:
    return place == 0 or text[place - 1] == "\n"


def _standing(text: str) -> str:
    """Return what the file assigns now, "" where it does not.

    Read as systemd reads it (systemd.exec(5), EnvironmentFile=); refused is whatever reaches over the end of its line.
    """
    if "\0" in text or re.search(r"\r(?!\n)", text):
        raise NotUnderstood("expected a text, found control characters")
    value = ""
    for number, line in enumerate(text.split("\n"), start=1):
        plain = line.strip(_BLANK)
        if plain.endswith("\\"):
            raise NotUnderstood(f"line {number}: expected a line that ends where it ends, found a backslash at its end")
        if not plain or plain[0] in "#;":
            continue
        _expect_closed(number, plain)
        if re.search(rf"\b{NAME}\b", plain.partition("=")[0]):
            value = _value(number, plain)
    return value


def _expect_closed(number: int, line: str) -> None:
    """Refuse a quote that is left open: it would take our lines in."""
    value = line.partition("=")[2].strip(_BLANK)
    quote = value[:1]
    if quote not in ("'", '"'):
        return
    if value.count(quote) != 2 or value[-1] != quote or (quote == '"' and "\\" in value):
        raise NotUnderstood(f"line {number}: expected a value within one pair of quotes")


def _value(number: int, line: str) -> str:
    found = _ASSIGNED.fullmatch(line)
    if found is None:
        raise NotUnderstood(f"line {number}: expected {NAME}=…")
    value = found["value"].strip(_BLANK)
    inner = value[1:-1].strip(_BLANK) if value[:1] in ("'", '"') else value
    if re.search(r"\\|[^\S \t]", inner) or inner[:1] in (
        "'",
        '"',
    ):  # blanks that are some to Python and none to systemd
        raise NotUnderstood(
            f"line {number}: expected flags, without backslashes and without a quote at their beginning"
        )
    return inner


def _with_flags(args: str, labels: Mapping[str, str], taints: tuple[str, ...]) -> str:
    if _ODD.search(args) and (LABELS in args or TAINTS in args):
        raise NotUnderstood(f"{NAME}: expected {LABELS} and {TAINTS} without quotes beside them")
    args = _added(args, LABELS, [f"{key}={value}" for key, value in sorted(labels.items())], _label_key)
    return _added(args, TAINTS, list(taints), _taint_key)


def _added(args: str, flag: str, entries: list[str], key_of: Callable[[str], str]) -> str:
    """Return the flags with these entries in one of them; what has the key of one that stands there is left out."""
    if not entries:
        return args
    found = list(re.finditer(rf"(?:^|(?<=\s)){flag}(?:=|\s+)(?P<value>[^\s-]\S*)", args))
    if len(found) > 1 or (not found and re.search(rf"(?:^|\s){flag}(?:[=\s]|$)", args)):
        raise NotUnderstood(f"{NAME}: expected {flag} once at most, and with a value")
    standing = [each for each in found[0]["value"].split(",") if each] if found else []
    keys = {key_of(each) for each in standing}
    joined = ",".join([*standing, *(each for each in entries if key_of(each) not in keys)])
    if not found:
        return f"{args} {flag}={joined}".lstrip()
    return f"{args[: found[0].start()]}{flag}={joined}{args[found[0].end() :]}"


def _label_key(entry: str) -> str:
    return entry.partition("=")[0]


def _taint_key(entry: str) -> str:
    """Return what makes a taint one of its kind: key and effect, whatever its value."""
    key, _, effect = entry.rpartition(":")
    return f"{key.partition('=')[0]}:{effect}"


def _quoted(args: str) -> str:
    """Return the value as systemd takes it, and a shell, too, where quotes can do that."""
    return args if re.search(r'["\\$`]', args) else f'"{args}"'
