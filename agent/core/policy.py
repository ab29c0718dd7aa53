"""What each scheduled event is worth: by type, source, length and time left, in; a decision and the rule behind it, out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from agent.core.events import ScheduledEvent

Do = Literal["ignore", "notify", "cordon", "drain"]

ORDER: tuple[Do, ...] = ("ignore", "notify", "cordon", "drain")
OTHER = "other"  # the name of the rule for types that have none, and for types that Azure has yet to invent


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is done about an event; its conditions must all hold, otherwise `otherwise` is asked.

    Attributes:
        below: the interruption is known and shorter than this many seconds.
        source: who asked for the event: `Platform` or `User`.
        within: the event may start within this many seconds, or has started.
        otherwise: the rule for an event that does not meet the conditions.
        cordon_before, drain_before: seconds before `NotBefore` at which each begins; None for the policy's own.
    """

    do: Do
    below: float | None = None
    source: str | None = None
    within: float | None = None
    otherwise: Rule | None = None
    cordon_before: float | None = None
    drain_before: float | None = None


# A VM that is paused for some seconds keeps its memory and its connections: nothing is won by moving work away.
# The rest ends processes or may do so. Azure's types: https://learn.microsoft.com/azure/virtual-machines/linux/scheduled-events
DEFAULT_RULES: Mapping[str, Rule] = {
    "Freeze": Rule(do="notify", below=30.0, otherwise=Rule(do="cordon")),
    "Reboot": Rule(do="cordon"),
    "Redeploy": Rule(do="cordon"),
    "Preempt": Rule(do="cordon"),
    "Terminate": Rule(do="cordon"),
    OTHER: Rule(do="cordon"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What each event is worth, and when.

    Attributes:
        rules: by event type, and `other`.
        cordon_before: seconds before `NotBefore` at which a cordon begins; until then the event is only told.
        drain_before: the same for a drain; None for as late as the drain needs, `drain_margin` earlier.
        drain_margin: seconds that a drain begins before it must, for pods that a disruption budget lets go one by one.
        release_after: seconds for which an event must be absent before the node is given back.
        release_after_restart: the same for an event that this process never saw: the service may take five minutes
            to show events again after it was asked for the first time (Azure's documentation).
        stale_after: seconds without a good document after which nothing is released: fifteen missed polls.
    """

    rules: Mapping[str, Rule] = field(default_factory=lambda: DEFAULT_RULES)
    cordon_before: float = 3600.0
    drain_before: float | None = None
    drain_margin: float = 300.0
    release_after: float = 60.0
    release_after_restart: float = 300.0
    stale_after: float = 15.0

    @property
    def drains(self) -> bool:
        """Whether any rule may drain, so that pods are worth asking for."""
        return any(rule.do == "drain" for named in self.rules.values() for rule in _chain(named))


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the policy makes of one event now, and why.

    Attributes:
        rule: the rule that decided, as it would be looked for in the settings: `Freeze, below 30s`.
        ultimately: what the rule says regardless of the hour; `do` comes to it as `NotBefore` comes near.
        changes_in: seconds until time alone changes the decision; None for never.
    """

    do: Do
    because: str
    rule: str
    ultimately: Do
    changes_in: float | None = None


def time_left(event: ScheduledEvent, now: datetime) -> float:
    """Return the seconds until an event may start; 0 where it has started or nobody can say."""
    if event.status != "Scheduled" or event.not_before is None:
        return 0.0
    return max(0.0, (event.not_before - now).total_seconds())


def _chain(rule: Rule) -> tuple[Rule, ...]:
    found = [rule]
    while found[-1].otherwise is not None:
        found.append(found[-1].otherwise)
    return tuple(found)


def span(seconds: float) -> str:
    """Return a length of time as people write it: `30s`, `15m`, `1h`, `1d2h`."""
    left, found = round(seconds), ""
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        if left >= length:
            found += f"{left // length}{unit}"
            left %= length
    return found or f"{seconds:g}s"


def _checks(rule: Rule, event: ScheduledEvent, left: float) -> list[tuple[bool, str]]:
    """Return each condition of a rule: whether it holds, and what was found."""
    found: list[tuple[bool, str]] = []
    if rule.below is not None and event.duration is None:
        found.append((False, "its length is not known"))
    elif rule.below is not None and event.duration is not None:
        met = event.duration < rule.below
        found.append((met, f"its {event.duration} s are {'' if met else 'not '}below {span(rule.below)}"))
    if rule.source is not None:
        met = (event.source or "").casefold() == rule.source.casefold()
        found.append((met, f"asked for by {event.source or 'nobody known'}"))
    if rule.within is not None:
        met = left <= rule.within
        found.append((met, f"{span(left)} away, {'' if met else 'not '}within {span(rule.within)}"))
    return found


def _conditions(rule: Rule) -> str:
    parts = [
        f"below {span(rule.below)}" if rule.below is not None else "",
        f"source {rule.source}" if rule.source is not None else "",
        f"within {span(rule.within)}" if rule.within is not None else "",
    ]
    return "".join(f", {part}" for part in parts if part)


def _named(policy: Policy, event: ScheduledEvent) -> tuple[str, Rule]:
    name = event.type if event.type in policy.rules else OTHER
    return name, policy.rules.get(name, DEFAULT_RULES[OTHER])


def _matching(policy: Policy, event: ScheduledEvent, left: float) -> tuple[Rule, str, tuple[str, ...]]:
    """Return the rule that decides, its name, and what was found on the way to it."""
    name, first = _named(policy, event)
    found: list[str] = []
    for number, rule in enumerate(_chain(first)):
        checks = _checks(rule, event, left)
        unmet = [text for met, text in checks if not met]
        found += unmet or [text for _, text in checks]
        if not unmet:
            return rule, name + (_conditions(rule) or (", else" if number else "")), tuple(found)
    return Rule(do="notify"), f"{name}, no condition met", tuple(found)


def drain_start(rule: Rule, policy: Policy, need: float) -> float:
    """Return the seconds before `NotBefore` at which a drain that needs so many seconds begins."""
    given = rule.drain_before if rule.drain_before is not None else policy.drain_before
    return given if given is not None else need + policy.drain_margin


def _until(event: ScheduledEvent, left: float, before: float) -> float:
    """Return the seconds until something that is due so long before the event; a Preempt gives seconds, never hours."""
    return 0.0 if event.type == "Preempt" else max(0.0, left - before)


def decide(
    event: ScheduledEvent, policy: Policy, now: datetime, *, drain_need: float = 0.0, at_once: bool = False
) -> Decision:
    """Return what one event is worth now.

    Args:
        now: UTC by the service's clock, in which `NotBefore` is told.
        drain_need: seconds that a drain of this node takes, as far as that is known.
        at_once: drain as soon as the event is known, since somebody waits for the approval that follows.
    """
    if event.status not in ("Scheduled", "Started"):
        because = f"status {event.status!r} is not known"
        return Decision(do="notify", because=because, rule="unknown status", ultimately="notify")
    left = time_left(event, now)
    rule, name, found = _matching(policy, event, left)
    because = "; ".join([_what(event), *found])
    drain_in = 0.0 if at_once else _until(event, left, drain_start(rule, policy, drain_need))
    cordon_before = rule.cordon_before if rule.cordon_before is not None else policy.cordon_before
    cordon_in = _until(event, left, cordon_before)
    if rule.do == "drain":
        cordon_in = min(cordon_in, drain_in)
    do: Do = rule.do
    waits = [left - each.within for each in _chain(_named(policy, event)[1]) if each.within is not None]
    if rule.do in ("cordon", "drain") and cordon_in > 0:
        do, waits = "notify", [*waits, cordon_in]
        because = f"not before {event.not_before:%Y-%m-%d %H:%M:%S}Z: too early to cordon; {because}"
    elif rule.do == "drain" and drain_in > 0:
        do, waits = "cordon", [*waits, drain_in]
        because = f"{because}; the drain comes later, as late as it can"
    changes_in = min((wait for wait in waits if wait > 0), default=None)
    return Decision(do=do, because=because, rule=name, ultimately=rule.do, changes_in=changes_in)


def _what(event: ScheduledEvent) -> str:
    if event.type == "Freeze":
        return "a freeze pauses the VM"
    if event.type in DEFAULT_RULES:
        return f"{event.type} stops the VM"
    return f"type {event.type!r} is not known: better safe"
