"""What people give the emulator (admin requests, files), read strictly: an error says where, what and what instead."""

from collections.abc import Collection
from typing import Any, TypeAlias

Document: TypeAlias = dict[str, Any]

_MOST_SECONDS = 1e9
_MOST_SKEW = 3e8
_SHOWN = 64  # characters of a wrong value that an error repeats


class InputError(ValueError):
    """Something given is not as it must be; the text is one line that says where."""


def wrong(path: str, expected: str, value: object) -> InputError:
    """Make the error for a value at a path."""
    shown = repr(value)
    return InputError(f"{path}: expected {expected}, found {shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '...'}")


def object_of(value: object, path: str, names: Collection[str] | None = None) -> Document:
    """Return a JSON object; `names` are the keys it may have, None means any."""
    if not isinstance(value, dict):
        raise wrong(path, "an object", value)
    for key in value:
        if names is not None and key not in names:
            raise InputError(f"{path}.{key}: expected one of {', '.join(sorted(names))}, found this key")
    return value


def list_of(value: object, path: str) -> list[Any]:
    """Return a JSON array."""
    if not isinstance(value, list):
        raise wrong(path, "a list", value)
    return value


def text_of(value: object, path: str) -> str:
    """Return a string, maybe empty."""
    if not isinstance(value, str):
        raise wrong(path, "a string", value)
    return _sendable(value, path)


def word_of(value: object, path: str, expected: str = "a string that is not empty") -> str:
    """Return a string that is not empty."""
    if not isinstance(value, str) or not value:
        raise wrong(path, expected, value)
    return _sendable(value, path)


def texts_of(value: object, path: str) -> tuple[str, ...]:
    """Return a list of strings."""
    return tuple(text_of(each, f"{path}[{index}]") for index, each in enumerate(list_of(value, path)))


def whole_of(value: object, path: str, least: int | None = None) -> int:
    """Return a whole number (true and false are none)."""
    expected = "a whole number" + ("" if least is None else f", {least} or more")
    if isinstance(value, bool) or not isinstance(value, int) or (least is not None and value < least):
        raise wrong(path, expected, value)
    return value


def seconds_of(value: object, path: str) -> float:
    """Return a number of seconds; thirty years at most, so that no date leaves the calendar."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _MOST_SECONDS:
        raise wrong(path, "seconds, 0 to 1e9", value)
    return float(value)


def skew_of(value: object, path: str) -> float:
    """Return a number of seconds that a clock may be ahead (above 0) or behind; ten years at most."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -_MOST_SKEW <= value <= _MOST_SKEW:
        raise wrong(path, "seconds, -3e8 to 3e8", value)
    return float(value)


def _sendable(text: str, path: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise wrong(path, "a string without lone surrogates", text) from None
    return text


def merged(target: object, patch: object) -> Any:
    """Apply a JSON merge patch (RFC 7396): null removes, objects merge, all else replaces; changes neither argument."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result
