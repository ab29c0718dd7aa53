"""What an admission policy refused, and what is left to write without it.

One refused key costs the whole request (tried), so the key is left out; where the answer names none, the labels are left
out and the annotations stay; where these are refused too, the group rests. After half an hour all is tried again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

REST = 1800.0  # seconds; policies change rarely, and a refused write costs the API server as much as one that passes


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What is left out of one group's writes for now.

    Attributes:
        keys: label and annotation keys that the answer named.
        labels: all labels are left out.
        everything: the group is not written at all.
        until: monotonic seconds.
    """

    keys: frozenset[str] = frozenset()
    labels: bool = False
    everything: bool = False
    until: float


def _named(message: str, keys: Iterable[str]) -> frozenset[str]:
    """Return the keys that a message names; `tag.x/env` is not named where only `tag.x/environment` is."""
    found = set()
    for key in sorted(keys, key=len, reverse=True):
        if key in message:
            found.add(key)
            message = message.replace(key, " ")
    return frozenset(found)


def refused(before: Refusal | None, message: str, keys: Iterable[str], now: float) -> Refusal:
    """Return what to leave out after one more refusal; one that has run out counts no more.

    Args:
        message: the API server's words.
        keys: what was asked for, label keys and annotation keys together.
    """
    old = before if before is not None and before.until > now else Refusal(until=now)
    named = _named(message, keys) - old.keys
    if named:
        return Refusal(keys=old.keys | named, labels=old.labels, until=now + REST)
    if not old.labels:
        return Refusal(keys=old.keys, labels=True, until=now + REST)
    return Refusal(keys=old.keys, labels=True, everything=True, until=now + REST)


def allowed(refusal: Refusal | None, group: Mapping[str, str], *, labels: bool) -> dict[str, str]:
    """Return what may be asked for of one group's labels (or annotations)."""
    if refusal is None:
        return dict(group)
    if refusal.everything or (labels and refusal.labels):
        return {}
    return {key: value for key, value in group.items() if key not in refusal.keys}
