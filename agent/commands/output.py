"""What a person reads, or a program: columns on request, JSON on request, colour only on a terminal."""

from __future__ import annotations

import json
import os
import re
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BOLD, DIM, YELLOW = "1", "2", "33"
PAINT = re.compile(r"\033\[\d+m")
# What could move a terminal's cursor or ring its bell, save our own colours: tags are other people's text.
CONTROL = re.compile(r"(?!\033\[\d+m)[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def say(text: str = "") -> None:
    """Print a line on standard output."""
    sys.stdout.write(CONTROL.sub("�", text) + "\n")


def say_json(document: Any) -> None:
    """Print a document: indented for a person, on one line for a program."""
    indent = 2 if sys.stdout.isatty() else None
    say(json.dumps(document, indent=indent, ensure_ascii=False, default=_plain))


def _plain(value: object) -> str:
    return f"{value:%Y-%m-%dT%H:%M:%SZ}" if isinstance(value, datetime) else str(value)


def paint(text: str, code: str) -> str:
    """Return the text in colour if a terminal reads it and NO_COLOR (no-color.org) is not set."""
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        return f"\033[{code}m{text}\033[0m"
    return text


def short(text: str, longest: int = 60) -> str:
    """Return the beginning of a text that is too long to be read in a line."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def columns(rows: Iterable[Sequence[str]], *, indent: str = "  ") -> None:
    """Print rows in columns, as wide as their widest cell; the last one runs free."""
    table = [list(row) for row in rows]
    if not table:
        return
    widths = [max(_width(row[i]) for row in table) for i in range(len(table[0]) - 1)]
    for row in table:
        cells = [cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=False)]
        say((indent + "  ".join([*cells, row[-1]])).rstrip())


def _width(cell: str) -> int:
    return len(PAINT.sub("", cell))
