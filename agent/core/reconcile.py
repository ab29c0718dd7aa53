"""Everything known, one view of the node and now, in; the actions that bring the node to what it should be, out.

Called again after each action and at each change. When nothing is to be done it returns no action, so an idle node is
never written to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from agent.core.actions import Action, ApplyMark, ClearCordon, Group, HandOver, Sweep
from agent.core.hearing import Hearing
from agent.core.labelling import LabelRules, label_actions
from agent.core.labels import LabelPolicy, read_identity
from agent.core.maintenance import (
    Cordon,
    Idle,
    Notify,
    Plan,
    Policy,
    Release,
    next_over,
    overridden,
    plan,
    until_cordon,
)
from agent.core.mark import Mark, mark_text, read_mark
from agent.core.node import EVENTS, HANDOVER, Hold, NodeView, cordoned_by_others, holds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from agent.core.refusal import Refusal
    from agent.core.sighting import Sighting
    from agent.core.well_known import WellKnown

WATCHFUL = 5.0  # seconds between looks while a mark or an own event stands: an override is noticed that soon
SOONEST = 0.5  # seconds between looks at least
IDLE = 300.0  # seconds between looks otherwise: cloud-node-manager's own period


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """All that the decision needs besides the node.

    Attributes:
        sighting: None until IMDS answered.
        refusals: what admission refused, by group.
    """

    sighting: Sighting | None = None
    hearing: Hearing = field(default_factory=Hearing)
    refusals: Mapping[Group, Refusal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The settings that decisions depend on.

    Attributes:
        idle: seconds between two looks at a node on which nothing happens.
    """

    labels: LabelPolicy = field(default_factory=LabelPolicy)
    well_known: WellKnown = "never"
    events: Policy = field(default_factory=Policy)
    idle: float = IDLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one look at the node leads to.

    Attributes:
        plan: None while a better view is needed.
        look: the view that is needed before anything can be decided; `actions` is empty then.
        pause: seconds until the next look if nothing new comes.
        holds: who keeps the node cordoned; known in a full view only.
        override: somebody made the node schedulable under our mark, seen in this view for the first time.
    """

    plan: Plan | None
    actions: tuple[Action, ...] = ()
    look: Literal["full", "quorum"] | None = None
    pause: float = IDLE
    holds: tuple[Hold, ...] = ()
    override: bool = False


def vm_name(sighting: Sighting | None, view: NodeView, domain: str) -> str | None:
    """Return who we are: IMDS's word, or until it has spoken what the node's own annotation says."""
    if sighting is not None and sighting.instance.name:
        return sighting.instance.name
    identity = read_identity(view.annotations.get(f"{domain}/instance", ""))
    return identity.name if identity else None


def standing_mark(view: NodeView, domain: str) -> Mark | None:
    """Return the mark on the node; a broken one where the cordon is ours and the mark was taken away."""
    mark = read_mark(view.annotations.get(f"{domain}/events"))
    if mark is None and view.cordon_is_applied_by_us():
        return Mark(broken=True)
    return mark


def _nobodys_wish(view: NodeView, domain: str, mark: Mark) -> bool:
    """Return whether the cordon would stay without being anybody's wish: its ownership was lost or copied."""
    ours_alone = view.cordon_is_applied_by_us() and sum(owner.unschedulable for owner in view.owners) == 1
    return bool(view.unschedulable) and not ours_alone and not mark.before and not cordoned_by_others(view, domain)


def _release_actions(release: Release, view: NodeView, domain: str, mark: Mark) -> tuple[Action, ...]:
    holding = holds(view, domain) if release.cordoned and view.unschedulable else ()
    handed = view.owner(HANDOVER)
    first: tuple[Action, ...] = ()
    if holding:
        first = () if handed and handed.unschedulable else (HandOver(holds=holding),)
    elif release.cordoned and _nobodys_wish(view, domain, mark):
        clear = ClearCordon(resource_version=view.resource_version)
        return (clear, ApplyMark(mark=release.mark, cordon=False)) if release.mark else (clear,)
    withdraw = ApplyMark(mark=release.mark, cordon=False)
    if release.mark is None and not _mark_is_ours_alone(view, domain):
        return (*first, withdraw, Sweep(annotations=(f"{domain}/events",)))
    return (*first, withdraw)


def _mark_is_ours_alone(view: NodeView, domain: str) -> bool:
    """Return whether the mark goes when our manager withdraws it; otherwise it was copied, or its ownership lost."""
    key = f"{domain}/events"
    owners = [owner for owner in view.owners if key in owner.annotations]
    return len(owners) == 1 and owners[0] == view.owner(EVENTS)


def _mark_action(mark: Mark, view: NodeView, domain: str, *, cordon: bool) -> tuple[Action, ...]:
    if view.annotations.get(f"{domain}/events") == mark_text(mark) and view.unschedulable in (True, cordon):
        return ()
    return (ApplyMark(mark=mark, cordon=cordon),)


def _event_actions(
    chosen: Notify | Cordon | Release, view: NodeView, domain: str, mark: Mark | None
) -> tuple[Action, ...]:
    if isinstance(chosen, Release):
        return _release_actions(chosen, view, domain, mark or Mark())
    return _mark_action(chosen.mark, view, domain, cordon=isinstance(chosen, Cordon))


def _pause(chosen: Notify | Cordon | Release, hearing: Hearing, policy: Policy, now: datetime, idle: float) -> float:
    """Return when to look again: soon, and no later than an event may be over, but not at every poll."""
    if isinstance(chosen, Release):
        return WATCHFUL
    told_only = isinstance(chosen, Notify) and not any(event.overridden for event in chosen.mark.events)
    times = [idle if told_only else WATCHFUL]
    if (left := next_over(chosen.mark, hearing, policy)) is not None:
        times.append(left)
    if told_only:  # may last for days: nothing to watch but its end, and the moment to cordon
        times += [left for event in hearing.present() if (left := until_cordon(event, policy, now)) > 0]
    return max(SOONEST, min(times))


def reconcile(known: Known, view: NodeView, rules: Rules, *, now: datetime, instant: float) -> Turn:
    """Decide what to do about the node in this view.

    Args:
        now: UTC.
        instant: monotonic seconds.
    """
    domain = rules.labels.domain
    refusals = {group: refusal for group, refusal in known.refusals.items() if refusal.until > instant}
    labels = LabelRules(policy=rules.labels, well_known=rules.well_known, refusals=refusals)
    mark = standing_mark(view, domain)
    seen_override = mark is not None and mark.cordons and view.unschedulable is False
    if seen_override and mark is not None:
        mark = overridden(mark)
    chosen = plan(
        mark=mark,
        hearing=known.hearing,
        vm_name=vm_name(known.sighting, view, domain),
        ready=bool(view.ready),
        cordoned_before=bool(view.unschedulable) and not view.cordon_is_applied_by_us(),
        policy=rules.events,
        now=now,
        instant=instant,
    )
    if isinstance(chosen, Idle):
        return Turn(plan=chosen, actions=label_actions(known.sighting, view, labels), pause=rules.idle)
    if not view.full:
        return Turn(plan=None, look="full", pause=WATCHFUL)
    if (seen_override or isinstance(chosen, Release)) and not view.quorum:
        return Turn(plan=None, look="quorum", pause=WATCHFUL)
    actions = _event_actions(chosen, view, domain, mark) + label_actions(known.sighting, view, labels)
    override = seen_override and not isinstance(chosen, Release)
    pause = _pause(chosen, known.hearing, rules.events, now, rules.idle)
    return Turn(plan=chosen, actions=actions, pause=pause, holds=holds(view, domain), override=override)
