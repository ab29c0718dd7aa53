"""The budgets' side of a turn: whether this node may go away now, and what it owes to those who wait."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.core.actions import FreePlace, RenewPlace, TakePlace
from agent.core.budget import RENEWALS, Free, Held, Take, claim, renew_due

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.core.actions import Action
    from agent.core.budget import Purpose
    from agent.core.known import Known, Look, Rules, SeenPlaces
    from agent.core.mark import MarkedEvent

REFUSED = 300.0  # seconds until a budget that could not be kept for want of rights is looked at again
WAITING = 10.0  # seconds between two looks at the places of a budget while this node waits for one


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Whether this node may go away as far as one budget is concerned.

    Attributes:
        open: it holds a place, or there is no budget to keep.
        look, actions: what must come first, if anything.
        queue: who holds the places.
    """

    open: bool
    look: Look | None = None
    actions: tuple[Action, ...] = ()
    queue: tuple[str, ...] = ()


OPEN = Gate(open=True)


def _look(purpose: Purpose) -> Look:
    return "drain places" if purpose == "drain" else "freeze places"


def gate(purpose: Purpose, known: Known, rules: Rules, me: str, instant: float) -> Gate:
    """Return whether this node may go away for a purpose, or what to do to find out.

    Args:
        me: the node's name.
        instant: monotonic seconds.
    """
    rule = rules.budgets.get(purpose)
    if rule is None:
        return OPEN
    seen = known.places.get(purpose)
    if seen is None:
        return Gate(open=False, look=_look(purpose))
    if not seen.usable:
        return OPEN if instant - seen.at < REFUSED else Gate(open=False, look=_look(purpose))
    found = claim(seen.places, node=me, count=seen.count, seen=seen.watched, instant=instant, expiry=rule.expiry)
    if isinstance(found, Held):  # seen lately: after a long pause the place may be another's
        return OPEN if instant - seen.at <= rule.expiry / RENEWALS else Gate(open=False, look=_look(purpose))
    if instant - seen.at >= WAITING:
        return Gate(open=False, look=_look(purpose), queue=_holders(seen))
    if isinstance(found, Take):
        return Gate(open=False, actions=(TakePlace(purpose=purpose, take=found),))
    if isinstance(found, Free):
        return Gate(open=False, actions=(FreePlace(purpose=purpose, place=found.place),), queue=_holders(seen))
    return Gate(open=False, queue=found.holders)


def _holders(seen: SeenPlaces) -> tuple[str, ...]:
    return tuple(sorted(place.holder for place in seen.places if place.holder is not None))


def owed(events: Iterable[MarkedEvent]) -> frozenset[Purpose]:
    """Return for which purposes a node with these marks must keep its place: from the drain until its release."""
    cordoning = [event for event in events if event.cordons]
    found: set[Purpose] = set()
    if any(event.drain is not None for event in cordoning):
        found.add("drain")
    if cordoning and all(event.type == "Freeze" for event in cordoning):
        found.add("freeze")
    return frozenset(found)


def perhaps_held(events: Iterable[MarkedEvent]) -> frozenset[Purpose]:
    """Return for which purposes a node with these marks may hold a place, wanted or not: an override wants it no more."""
    marks = tuple(events)
    found: set[Purpose] = set()
    if any(event.drain is not None for event in marks):
        found.add("drain")
    if any(event.type == "Freeze" and event.do != "notify" for event in marks):
        found.add("freeze")
    return frozenset(found)


def upkeep(
    wanted: frozenset[Purpose],
    known: Known,
    rules: Rules,
    me: str,
    instant: float,
    *,
    perhaps: frozenset[Purpose] = frozenset(),
) -> Gate:
    """Return the look or the actions that keep the places that are wanted alive, and give back those that are not.

    Args:
        perhaps: purposes for which a place may be held that this process does not know of, since it restarted.
    """
    actions: list[Action] = []
    for purpose, rule in rules.budgets.items():
        seen = known.places.get(purpose)
        if purpose in perhaps and seen is None:
            return Gate(open=True, look=_look(purpose))
        if purpose in wanted and (seen is None or (seen.usable and instant - seen.at > rule.expiry / RENEWALS)):
            return Gate(open=True, look=_look(purpose))
        if seen is None or not seen.usable:
            continue
        mine = sorted((place for place in seen.places if place.holder == me), key=lambda place: place.index)
        surplus = mine[1:] if purpose in wanted else mine
        actions += [FreePlace(purpose=purpose, place=place) for place in surplus]
        kept = mine[0] if purpose in wanted and mine else None
        if kept and renew_due(kept, seen=seen.watched, instant=instant, expiry=rule.expiry):
            actions.append(RenewPlace(purpose=purpose, place=kept))
    return Gate(open=True, actions=tuple(actions))
