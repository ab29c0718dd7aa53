"""The pods' side of a turn: what a plan to drain comes to, one step at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.core.actions import Ask
from agent.core.drain import drain_needs, drain_step
from agent.core.events import event_key
from agent.core.places import OPEN, Gate, gate

if TYPE_CHECKING:
    from datetime import datetime

    from agent.core.drain import DrainStep
    from agent.core.known import Known, Rules
    from agent.core.maintenance import Drain
    from agent.core.mark import Drained, Mark
    from agent.core.scene import Moment

FRESH = 1.5  # seconds for which a list of pods is good enough for the next step
REFUSED = 300.0  # seconds until a list of pods that was refused is asked for again
SLACK = 60.0  # seconds before the last moment at which a drain no longer waits for its turn


def need(known: Known, rules: Rules) -> float:
    """Return the seconds that a drain of this node takes, as far as its pods are known; 0 where they are not."""
    if known.pods is None or not known.pods.usable:
        return 0.0
    return drain_needs(known.pods.pods, known.pods.budgets, rules.drain, own=rules.own_pod)


def pressing(chosen: Drain, known: Known, rules: Rules, now: datetime) -> bool:
    """Return whether the time is so short that the drain waits for nobody."""
    if chosen.deadline is None:
        return False
    return (chosen.deadline - now).total_seconds() <= need(known, rules) + SLACK


def drain_gate(chosen: Drain, known: Known, rules: Rules, me: str, now: Moment) -> Gate:
    """Return whether the drain may go on: it has begun with a place, gets one, or waits for none."""
    if pressing(chosen, known, rules, now.utc):
        return OPEN
    return gate("drain", known, rules, me, now.instant)


def with_state(mark: Mark, keys: frozenset[str], state: Drained) -> Mark:
    """Return the mark with the state of the drain for these events."""
    events = tuple(replace(event, drain=state) if event_key(event.id) in keys else event for event in mark.events)
    return replace(mark, events=events)


def begun(chosen: Drain) -> Mark:
    """Return the mark of a drain that goes on: whatever it said before, unless it said how the drain ended."""
    events = tuple(
        replace(event, drain="begun")
        if event_key(event.id) in chosen.keys and event.drain in (None, "stopped")
        else event
        for event in chosen.mark.events
    )
    return replace(chosen.mark, events=events)


def pods_are_stale(known: Known, now: Moment, age: float) -> bool:
    """Return whether it is time to list the pods again; where that is refused, not before long."""
    if known.pods is None:
        return True
    return now.instant - known.pods.at > (age if known.pods.usable else max(age, REFUSED))


def step_of(chosen: Drain, known: Known, rules: Rules, now: Moment) -> DrainStep | None:
    """Return the next step; None until the pods are known well enough."""
    seen = known.pods
    if seen is None or pods_are_stale(known, now, FRESH) or not seen.usable:
        return None
    return drain_step(
        seen.pods,
        seen.budgets,
        known.tried,
        now=now.utc,
        instant=now.instant,
        deadline=chosen.deadline,
        policy=rules.drain,
        own=rules.own_pod,
    )


def state_after(step: DrainStep) -> Drained:
    """Return what the mark says after a look at the pods; it can change again while the time is not out."""
    return "done" if step.done else "failed" if step.out_of_time else "begun"


def asks(step: DrainStep) -> tuple[Ask, ...]:
    """Return the step as actions."""
    return tuple(Ask(asking=asking) for asking in step.asks)
