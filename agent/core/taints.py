"""Our taints on a node: one that a new node waits with until it has its labels, one that tells of a scheduled event.

`spec.taints` is one list for everybody, so what comes out is always the whole list with everybody else's part as it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from agent.core.node import Taint

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Effect = Literal["off", "NoSchedule", "PreferNoSchedule", "NoExecute"]

OTHER = (
    "other"  # stands for every type that we do not know: a taint's value is a label's value, and not any text is one
)
SEVEREST_FIRST = ("preempt", "terminate", "redeploy", "reboot", OTHER, "freeze")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaintRules:
    """Which taints are ours.

    Attributes:
        startup: the exact key of the taint that somebody else (kubelet's `--register-with-taints`, a node pool's settings)
            puts on a new node; None for none. It is only ever lifted, never set.
        startup_at_most: seconds after which it is lifted in any case: a node without labels is better than no node.
        event_effect: effect of the taint that stands while the node is cordoned for an event.
    """

    startup: str | None = None
    startup_at_most: float = 600.0
    event_effect: Effect = "off"


def event_taint_key(domain: str) -> str:
    """Return the key of the taint that tells of an event."""
    return f"{domain}/scheduled-event"


def event_taint_value(event_type: str) -> str:
    """Return an event's type as the taint tells it."""
    found = event_type.lower()
    return found if found in SEVEREST_FIRST else OTHER


def event_taint_type(types: Iterable[str]) -> str | None:
    """Return what the taint tells where several events stand: the severest; None where none does."""
    return min((event_taint_value(name) for name in types), key=SEVEREST_FIRST.index, default=None)


def desired_taints(
    taints: Sequence[Taint], *, event_type: str | None, lift_startup: bool, rules: TaintRules, domain: str
) -> tuple[Taint, ...] | None:
    """Return the whole list as it should be, or None where it is so already.

    Args:
        event_type: what the event taint should tell; None for no event taint.
        lift_startup: the startup taint has done its work.
    """
    key, told = event_taint_key(domain), None
    if event_type is not None and rules.event_effect != "off":
        told = Taint(key=key, value=event_taint_value(event_type), effect=rules.event_effect)
    wanted: list[Taint] = []
    for taint in taints:
        if taint.key == key:
            if told is not None and told not in wanted:
                wanted.append(told)
        elif not (lift_startup and taint.key == rules.startup):
            wanted.append(taint)
    if told is not None and told not in wanted:
        wanted.append(told)
    return None if wanted == list(taints) else tuple(wanted)


def wants_taints(
    taints: Sequence[Taint], *, event_type: str | None, lift_startup: bool, rules: TaintRules, domain: str
) -> bool:
    """Return whether the list has to be changed; as `desired_taints`."""
    wanted = desired_taints(taints, event_type=event_type, lift_startup=lift_startup, rules=rules, domain=domain)
    return wanted is not None


def startup_verdict(
    taints: Iterable[Taint], rules: TaintRules, *, labelled: bool, waited: float
) -> Literal["labelled", "time limit"] | None:
    """Return why the startup taint is to be lifted now; None where it is not, or does not stand.

    Args:
        labelled: the node has all topology labels that it will get; tags and events are not waited for.
        waited: seconds since it was first seen.
    """
    if all(taint.key != rules.startup for taint in taints):
        return None
    if labelled:
        return "labelled"
    return "time limit" if waited >= rules.startup_at_most else None
