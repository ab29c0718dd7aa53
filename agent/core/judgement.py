"""What each event of this VM is worth now, as far as the limits allow, and what the mark says of it from then on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.core.events import ScheduledEvent, concerns, event_key
from agent.core.mark import Do as MarkDo
from agent.core.mark import Drained, Mark, MarkedEvent
from agent.core.policy import Decision, Do, Policy, decide

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from agent.core.hearing import Hearing
    from agent.core.switch import Position


AT_MOST = (
    64  # events of one VM that are looked at; two at once are rare, and some thousand would fit into no annotation
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What keeps the policy from having its way now.

    Attributes:
        cordon, drain: the switch: hold begins nothing and undoes nothing, release takes back.
        freeze: a cordon for freezes alone may begin: there is a place in its budget.
        drain_need: seconds that a drain of this node takes, as far as that is known.
        at_once: keys of events for which somebody waits, so that they are drained as soon as they are known.
    """

    cordon: Position = "on"
    drain: Position = "on"
    freeze: bool = True
    drain_need: float = 0.0
    at_once: frozenset[str] = frozenset()


def own_events(hearing: Hearing, vm_name: str | None) -> tuple[ScheduledEvent, ...]:
    """Return the present events that concern this VM, of very many those that come first; none while its name is not known."""
    if vm_name is None:
        return ()
    own = tuple(event for event in hearing.present() if concerns(event, vm_name))
    return own if len(own) <= AT_MOST else tuple(sorted(own, key=_order)[:AT_MOST])


def _order(event: ScheduledEvent) -> tuple[float, str]:
    """Order by time, what has no time left first."""
    return (event.not_before.timestamp() if event.not_before else 0.0, event_key(event.id))


def judged(event: ScheduledEvent, policy: Policy, limits: Limits, now: datetime) -> Decision:
    """Return what one event is worth now, as far as the limits allow.

    A switch that is off makes it less than the policy says, and so does a budget in which no place is free.
    """
    at_once = event_key(event.id) in limits.at_once
    found = decide(event, policy, now, drain_need=limits.drain_need, at_once=at_once)
    if limits.drain == "release" and "drain" in (found.do, found.ultimately):
        do: Do = "cordon" if found.do == "drain" else found.do
        found = replace(found, do=do, ultimately="cordon", because=f"{found.because}; drains are switched off")
    if limits.cordon != "on" and found.do in ("cordon", "drain"):
        found = replace(found, do="notify", because=f"{found.because}; cordons are switched to {limits.cordon}")
    if event.type == "Freeze" and not limits.freeze and found.do in ("cordon", "drain"):
        found = replace(found, do="notify", because=f"{found.because}; no place is free in the budget of freezes")
    return found


def _remembered(event: ScheduledEvent, old: MarkedEvent | None, decision: Decision) -> MarkedEvent | None:
    """Return the mark's entry for an event that is shown now; None for one that is ignored."""
    started = event.status == "Started"
    if old is None:
        if decision.do == "ignore":
            return None
        return MarkedEvent(id=event.id, type=event.type, do=decision.do, started=started)
    return replace(
        old,
        type=event.type,
        do=_later_do(old, decision),
        started=old.started or started,
        drain=_later_drain(old, decision, started=started),
    )


def _later_do(old: MarkedEvent, decision: Decision) -> MarkDo:
    """Return what the mark says from now on: a cordon stays while the event lasts, whatever the policy became."""
    if decision.do == "drain":
        return "drain"
    if old.do == "notify" and decision.do == "cordon":
        return "cordon"
    if old.do == "drain" and decision.ultimately != "drain":
        return "cordon"
    return old.do


def _later_drain(old: MarkedEvent, decision: Decision, *, started: bool) -> Drained | None:
    """Return how far the drain has come, as far as the event and the policy alone can change it."""
    if old.drain == "begun" and started:
        return "failed"
    if old.drain in ("begun", "done") and decision.ultimately != "drain":
        return "stopped"
    return old.drain


def marked(
    mark: Mark | None, own: Iterable[ScheduledEvent], policy: Policy, limits: Limits, now: datetime
) -> tuple[MarkedEvent, ...]:
    """Return the mark's events brought up to date, those that are absent now included, in a stable order."""
    old = {event_key(event.id): event for event in (mark.events if mark else ())}
    for event in own:
        key = event_key(event.id)
        entry = _remembered(event, old.get(key), judged(event, policy, limits, now))
        if entry is not None:
            old[key] = entry
    found = tuple(old[key] for key in sorted(old))
    return tuple(_given_up(event) for event in found) if limits.cordon == "release" else found


def _given_up(event: MarkedEvent) -> MarkedEvent:
    unfinished = event.drain in ("begun", "done")
    return replace(event, do="notify", drain="stopped" if unfinished else event.drain)


def overridden(mark: Mark) -> Mark:
    """Return the mark after somebody made the node schedulable on purpose: so it stays for these events."""
    return replace(mark, events=tuple(_overridden(event) for event in mark.events), broken=False)


def _overridden(event: MarkedEvent) -> MarkedEvent:
    if not event.cordons:
        return event
    return replace(event, overridden=True, drain=event.drain and "stopped")


def draining(
    events: Iterable[MarkedEvent], own: Iterable[ScheduledEvent], limits: Limits
) -> tuple[ScheduledEvent, ...]:
    """Return the events for which pods should go now: shown, not started yet, cordoned for, and not switched off."""
    wanted = {event_key(event.id) for event in events if event.cordons and event.do == "drain"}
    if limits.drain != "on" or limits.cordon != "on":
        return ()
    return tuple(event for event in own if event_key(event.id) in wanted and event.status == "Scheduled")
