"""How each kind of setting is written: from text or a YAML value, and back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from agent.core.budget import Size, parse_scope, parse_size

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_NAME = 253  # characters of a DNS subdomain
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
LONGEST = 1e9  # seconds, thirty years; a lock cannot wait for much longer, nor for ever


class Misread(ValueError):
    """A value of several parts is wrong: the text says where in it, what was expected and what was found."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How one sort of value is written.

    Attributes:
        expected: what the error says was expected.
        read: from text or a YAML value; raises ValueError.
        write: back to text, for the table of settings.
    """

    expected: str
    read: Callable[[Any], Any]
    write: Callable[[Any], str] = str


def _seconds(value: Any) -> float:
    text = str(value).strip()
    part = r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)"
    if re.fullmatch(r"\d+(?:\.\d+)?", text):
        seconds = float(text)
    elif re.fullmatch(rf"(?:{part}\s*)+", text):
        seconds = sum(float(number) * UNITS[unit] for number, unit in re.findall(part, text))
    else:
        raise ValueError(value)
    if seconds >= LONGEST:
        raise ValueError(value)
    return seconds


def _period(value: Any) -> float:
    seconds = _seconds(value)
    if seconds == 0:
        raise ValueError(value)
    return seconds


def _duration(seconds: float) -> str:
    for unit in ("h", "m"):
        if seconds and seconds % UNITS[unit] == 0:
            return f"{seconds / UNITS[unit]:g}{unit}"
    return f"{seconds:g}s"


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if not isinstance(value, str):
        raise ValueError(value)  # noqa: TRY004 - one kind of error for all that is written wrong
    return tuple(name.strip() for name in value.split(",") if name.strip())


def _pairs(value: Any) -> tuple[tuple[str, str], ...]:
    if isinstance(value, dict) and all(isinstance(part, str) for pair in value.items() for part in pair):
        return tuple(sorted(value.items()))
    pairs = [name.split("=", 1) for name in _names(value)]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError(value)
    return tuple((old, new) for old, new in pairs)


def _switch(value: Any) -> bool:
    known = {"on": True, "true": True, "yes": True, "1": True, "off": False, "false": False, "no": False, "0": False}
    return known[str(value).strip().lower()]


def _text(value: Any) -> str:
    if not isinstance(value, (str, int)) or isinstance(value, bool) or str(value) == "":
        raise ValueError(value)
    return str(value)


def _node(value: Any) -> str:
    """Read the name of a Node: a DNS subdomain (Kubernetes API reference)."""
    text = _text(value)
    label = "[a-z0-9]([a-z0-9-]*[a-z0-9])?"
    if not re.fullmatch(rf"{label}(\.{label})*", text) or len(text) > LONGEST_NAME:
        raise ValueError(value)
    return text


def _url(value: Any) -> str:
    text = str(value).rstrip("/")
    if not re.fullmatch(r"http://[^/?#\s]+", text) or not urlsplit(text).hostname or urlsplit(text).port == 0:
        raise ValueError(value)
    return text


def _address(value: Any) -> str:
    text = str(value)
    found = re.fullmatch(r"(?:\[[0-9a-fA-F:]+\]|[^:\s]*):(\d{1,5})", text)
    if text != "off" and (found is None or int(found[1]) > 65535):
        raise ValueError(value)
    return text


def choice(*options: str) -> Kind:
    """Return the kind of a setting that takes one of a few words."""

    def read(value: Any) -> str:
        text = {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)
        if text not in options:
            raise ValueError(value)
        return text

    return Kind("one of " + ", ".join(options), read)


def _auto(value: Any) -> float | None:
    return None if str(value).strip() == "auto" else _seconds(value)


def _size(value: Any) -> Size | None:
    return parse_size({False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value))


SECONDS = Kind("a time such as 500ms, 30s, 5m or 1h", _seconds, _duration)
PERIOD = Kind("a time above zero such as 500ms, 30s, 5m or 1h", _period, _duration)
AUTO = Kind("auto, or a time such as 30s, 5m or 1h", _auto, lambda found: "auto" if found is None else _duration(found))
SIZE = Kind("a number of nodes, a share such as 10%, or off", _size, lambda size: "off" if size is None else str(size))
SCOPE = Kind("cluster, zone, rack, update-group or label:KEY", lambda value: parse_scope(str(value)))
NAMES = Kind("names separated by commas", _names, ",".join)
PAIRS = Kind("pairs such as old=new,older=newer", _pairs, lambda pairs: ",".join("=".join(pair) for pair in pairs))
SWITCH = Kind("on or off", _switch, lambda on: "on" if on else "off")
NODE = Kind("a node's name: small letters, digits, - and .", _node)
TEXT = Kind("a text", _text)
URL = Kind("a URL such as http://169.254.169.254", _url)
ADDRESS = Kind("HOST:PORT, or off", _address)
PATH = Kind("a path", lambda value: Path(_text(value)))
