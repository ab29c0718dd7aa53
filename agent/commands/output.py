"""What a person reads, or a program: columns on request, JSON on request, colour only on a terminal."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BOLD, DIM, GREEN, YELLOW, RED = "1", "2", "32", "33", "31"


def say(text: str = "") -> None:
    """Print a line on standard output."""
    sys.stdout.write(text + "\n")


def say_json(document: Any) -> None:
    """Print a document: indented for a person, on one line for a program."""
    indent = 2 if sys.stdout.isatty() else None
    say(json.dumps(document, indent=indent, ensure_ascii=False, default=str))


def paint(text: str, code: str) -> str:
    """Return the text in colour if a terminal reads it and NO_COLOR (no-color.org) is not set."""
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
        return f"\033[{code}m{text}\033[0m"
    return text


def columns(rows: Iterable[Sequence[str]], *, indent: str = "  ") -> None:
    """Print rows in columns, as wide as their widest cell; the last one runs free."""
    table = [list(row) for row in rows]
    if not table:
        return
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]) - 1)]
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        say((indent + "  ".join([*cells, row[-1]])).rstrip())
