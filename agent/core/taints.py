"""Our taints on a node: one that a new node waits with until it has its labels, one that tells of a scheduled event.

`spec.taints` is one list for everybody, so what comes out is always the whole list, with everybody else's entries exactly as
they came: `timeAdded` of a NoExecute taint, and whatever a later Kubernetes adds, is not ours to lose.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agent.core.node import Taint

Effect = Literal["off", "NoSchedule", "PreferNoSchedule", "NoExecute"]

# "other" stands for every type that we do not know: a taint's value is a label's value, and not any text is one.
OTHER = "other"
SEVEREST_FIRST = ("Preempt", "Terminate", "Redeploy", "Reboot", OTHER, "Freeze")


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


def event_taint_type(types: Iterable[str]) -> str | None:
    """Return the type that the taint tells where several events stand: the severest; None where none does."""
    known = (name if name in SEVEREST_FIRST else OTHER for name in types)
    return min(known, key=SEVEREST_FIRST.index, default=None)


def desired_taints(
    taints: Iterable[Mapping[str, object]],
    *,
    event_type: str | None,
    lift_startup: bool,
    rules: TaintRules,
    domain: str,
) -> list[dict[str, object]] | None:
    """Return the whole list as it should be, or None where it is so already.

    Args:
        taints: `spec.taints` as the API server sent it.
        event_type: what the event taint should tell; None for no event taint.
        lift_startup: the startup taint has done its work.
    """
    came = [dict(taint) for taint in taints]
    told = _told(event_type, rules, domain)
    others = [taint for taint in came if taint.get("key") != f"{domain}/scheduled-event"]
    if lift_startup:
        others = [taint for taint in others if taint.get("key") != rules.startup]
    if told is None:
        return None if others == came else others
    ours = [taint for taint in came if taint.get("key") == told["key"]]
    same = next((taint for taint in ours if taint.get("effect") == told["effect"]), {})
    place = sum(taint in others for taint in came[: came.index(ours[0])]) if ours else len(others)
    wanted = [*others[:place], {**same, **told}, *others[place:]]
    return None if wanted == came else wanted


def _told(event_type: str | None, rules: TaintRules, domain: str) -> dict[str, object] | None:
    if event_type is None or rules.event_effect == "off":
        return None
    value = (event_taint_type([event_type]) or OTHER).lower()
    return {"key": f"{domain}/scheduled-event", "value": value, "effect": rules.event_effect}


def wants_taints(
    taints: Iterable[Taint], *, event_type: str | None, lift_startup: bool, rules: TaintRules, domain: str
) -> bool:
    """Return whether the list has to be changed, as far as a view shows it; as `desired_taints`."""
    seen = (asdict(taint) for taint in taints)
    return (
        desired_taints(seen, event_type=event_type, lift_startup=lift_startup, rules=rules, domain=domain) is not None
    )


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
