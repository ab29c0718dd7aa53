"""How many nodes may be away at once: places in, and what to do next to get one, keep one or give one back.

A place is one Lease object. A node takes a place by writing its name into it at the version that it saw, so two never get
the same one, and all together hold at most as many as there are. Nobody's clock but one's own is believed: a holder is
dead when this very process has seen its place unchanged for long enough, in monotonic seconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Purpose = Literal["drain", "freeze"]
Topology = Literal["zone", "rack", "update-group"]

RENEWALS = 10  # in the time after which a holder counts as dead; client-go's leader election tries about as often
_SIZE = re.compile(r"([1-9][0-9]{0,4})(%?)")  # five digits: Kubernetes is built for 5,000 nodes
_NAME = "[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_KEY = re.compile(rf"([a-z0-9]([a-z0-9.-]{{0,251}}[a-z0-9])?/)?{_NAME}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many nodes: a number, or a share of the group's nodes; one of the two is set."""

    number: int | None = None
    percent: int | None = None

    def __str__(self) -> str:
        return f"{self.number}" if self.percent is None else f"{self.percent}%"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Among which nodes a budget is counted.

    Attributes:
        key: the node label whose values make the groups, with `label` only.
    """

    kind: Literal["cluster", "zone", "rack", "update-group", "label"]
    key: str = ""

    def __str__(self) -> str:
        return f"label:{self.key}" if self.kind == "label" else self.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One place of a budget, as last read.

    Attributes:
        name: of its Lease.
        holder: the node that has it; None where it is free.
        fingerprint: another text after each sign of life.
    """

    name: str
    index: int
    holder: str | None
    fingerprint: str
    resource_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """How long one place has looked the same.

    Attributes:
        since: when this process first saw it so, in monotonic seconds.
        changed: this process saw it come to be so; False for what it found at its first look.
    """

    fingerprint: str
    since: float
    changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What this process has seen of the places of one budget, by their names; empty after a restart."""

    sights: Mapping[str, Sight] = field(default_factory=dict)
    looked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """This node has a place."""

    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """A place is to be had.

    Attributes:
        place: its Lease as it was seen, of a dead holder or of none; None where it is yet to be created.
    """

    index: int
    place: Place | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Free:
    """A place is to be emptied first: a second one of this node, or a dead holder's beyond what there may be."""

    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """All places are taken.

    Attributes:
        holders: the nodes that have them, by name.
        seconds: until the first holder counts as dead, if none shows a sign of life.
    """

    holders: tuple[str, ...]
    seconds: float


Claim = Held | Take | Free | Wait


def parse_size(text: str) -> Size | None:
    """Read `3`, `10%` or `off`, which is None.

    Raises:
        ValueError: anything else; zero would stop every drain for ever, so `off` must be said where no limit is meant.
    """
    if text.strip() == "off":
        return None
    found = _SIZE.fullmatch(text.strip())
    if found is None or (found[2] and int(found[1]) > 100):
        raise ValueError(f"expected a number of nodes, a share from 1% to 100%, or off, found {text!r}")
    return Size(percent=int(found[1])) if found[2] else Size(number=int(found[1]))


def places(size: Size, nodes: int) -> int:
    """Return how many of so many nodes may be away at once: never none, or a small group could not be maintained."""
    if size.percent is None:
        return size.number or 1
    return max(1, nodes * size.percent // 100)


def parse_scope(text: str) -> Scope:
    """Read `cluster`, `zone`, `rack`, `update-group` or `label:KEY`.

    Raises:
        ValueError: anything else.
    """
    kind, colon, key = text.strip().partition(":")
    if kind == "label" and _KEY.fullmatch(key):
        return Scope(kind="label", key=key)
    for known in ("cluster", *get_args(Topology)):
        if kind == known and not colon:
            return Scope(kind=known)
    raise ValueError(f"expected cluster, zone, rack, update-group or label:KEY, found {text!r}")


def group_key(scope: Scope, domain: str) -> str | None:
    """Return the node label whose values make the groups; None where all nodes are one group."""
    if scope.kind == "cluster":
        return None
    return scope.key if scope.kind == "label" else f"topology.{domain}/{scope.kind}"


def group_of(scope: Scope, labels: Mapping[str, str], domain: str) -> str:
    """Return a node's group in words; nodes without the label are a group of their own."""
    key = group_key(scope, domain)
    if key is None:
        return "cluster"
    if key not in labels:
        return f"nodes without {scope}"
    return f"{scope.kind} {labels[key]}" if scope.kind != "label" else f"label {key}={labels[key]}"


def node_selector(scope: Scope, labels: Mapping[str, str], domain: str) -> str:
    """Return the label selector that counts the nodes of a node's group; "" selects all."""
    key = group_key(scope, domain)
    if key is None:
        return ""
    return f"{key}={labels[key]}" if key in labels else f"!{key}"


def watched(before: Watched, found: Iterable[Place], instant: float) -> Watched:
    """Return what is known after one more look at the places of the same budget.

    Args:
        instant: monotonic seconds, taken after the answer came: a process that was paused must not count the pause as
            a holder's silence.
    """
    sights = {}
    for place in found:
        known = before.sights.get(place.name)
        same = known is not None and known.fingerprint == place.fingerprint
        fresh = Sight(fingerprint=place.fingerprint, since=instant, changed=before.looked)
        sights[place.name] = known if known is not None and same else fresh
    return Watched(sights=sights, looked=True)


def claim(found: Iterable[Place], *, node: str, count: int, seen: Watched, instant: float, expiry: float) -> Claim:
    """Return what a node does next to have a place.

    Args:
        found: all Leases of the budget, also those beyond `count`; from one read, the one that `seen` knows last.
        count: how many places there are.
        instant: monotonic seconds.
        expiry: seconds without a sign of life after which a holder counts as dead.
    """
    known = {place.index: place for place in found}
    held = [known[index] for index in sorted(known) if known[index].holder is not None]
    own = [place for place in held if place.holder == node]
    if own:
        return Held(place=own[0]) if len(own) == 1 else Free(place=own[-1])
    limit = _limit([place.index for place in held], count)
    empty = [index for index in range(limit) if index not in known or known[index].holder is None]
    left = {place.index: expiry - _silence(place, seen, instant) for place in held}
    dead = [index for index, seconds in left.items() if seconds <= 0]
    if usable := empty or [index for index in dead if index < limit]:
        index = _preferred(usable, node)
        return Take(index=index, place=known.get(index))
    if dead:
        return Free(place=known[dead[-1]])
    return Wait(holders=tuple(sorted(str(place.holder) for place in held)), seconds=min(left.values()))


def renew_due(place: Place, *, seen: Watched, instant: float, expiry: float) -> bool:
    """Return whether this node should show that it is alive, by writing to the place that it holds.

    A place that it held before this process began is due at once: the reboot may have taken most of the time.
    """
    sight = seen.sights.get(place.name)
    return sight is None or not sight.changed or instant - sight.since >= expiry / RENEWALS


def _silence(place: Place, seen: Watched, instant: float) -> float:
    """Return for how many seconds this process has seen a place as it is; 0 for what it has not looked at twice."""
    sight = seen.sights.get(place.name)
    return instant - sight.since if sight is not None and sight.fingerprint == place.fingerprint else 0.0


def _limit(held: Iterable[int], count: int) -> int:
    """Return the index below which a place may be taken: each one held at or above it costs one below it.

    Where `count` was lowered, places beyond it are still held. Merely counting them would let two nodes, which both see
    one place left, take two. This way all who may take a place at all compete for the same ones.
    """
    limit = count
    while limit > 0 and limit + sum(index >= limit for index in held) > count:
        limit -= 1
    return limit


def _preferred(usable: list[int], node: str) -> int:
    """Return one of the indices, another for most nodes, so that many at once do not all try the same."""
    return usable[int.from_bytes(sha256(node.encode()).digest()[:8], "big") % len(usable)]
