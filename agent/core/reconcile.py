"""Everything known, one view of the node and now, in; the actions that bring the node to what it should be, out.

Called again after each action and at each change. When nothing is to be done it returns no action, so an idle node is
never written to. What is urgent comes first: the cordon, then labels, then all that is slow.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.core.actions import Action, ApplyMark, Approve, SetTaints
from agent.core.approval import verdict
from agent.core.draining import (
    FRESH,
    Moment,
    asks,
    begun,
    drain_gate,
    need,
    pods_are_stale,
    pressing,
    state_after,
    step_of,
    with_state,
)
from agent.core.events import event_key
from agent.core.known import IDLE, Known, Rules, Turn
from agent.core.labelling import LabelRules, group_of, label_actions, labelled, unlabel_actions
from agent.core.maintenance import (
    Cordon,
    Drain,
    Idle,
    Limits,
    Notify,
    Plan,
    Release,
    judged,
    next_over,
    overridden,
    own_events,
    plan,
)
from agent.core.mark import Mark
from agent.core.marking import mark_actions, release_actions, standing_mark, vm_name
from agent.core.node import holds
from agent.core.places import OPEN, Gate, gate, owed, upkeep
from agent.core.policy import decide
from agent.core.taints import event_taint_type, startup_verdict, wants_taints

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from agent.core.events import ScheduledEvent
    from agent.core.mark import MarkedEvent
    from agent.core.node import NodeView

__all__ = ["IDLE", "Known", "Rules", "Turn", "reconcile"]

WATCHFUL = 5.0  # seconds between looks while a mark or an own event stands: an override is noticed that soon
SOONEST = 0.5  # seconds between looks at least
_NOTHING = Mark()
POD_AGE = 60.0  # seconds for which a list of pods tells how long a drain would take
NEIGHBOUR_AGE = 5.0  # seconds for which the marks of other nodes may be relied upon


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """What one decision looks at."""

    known: Known
    view: NodeView
    rules: Rules
    now: Moment
    mark: Mark | None
    own: tuple[ScheduledEvent, ...]
    name: str | None

    @property
    def domain(self) -> str:
        return self.rules.labels.domain


def reconcile(known: Known, view: NodeView, rules: Rules, *, now: datetime, instant: float) -> Turn:
    """Decide what to do about the node in this view.

    Args:
        now: UTC by the service's clock.
        instant: monotonic seconds.
    """
    mark = standing_mark(view, rules.labels.domain)
    seen_override = mark is not None and mark.cordons and view.unschedulable is False
    if seen_override and mark is not None:
        mark = overridden(mark)
    name = vm_name(known.sighting, view, rules.labels.domain)
    scene = _Scene(
        known=known,
        view=view,
        rules=rules,
        now=Moment(utc=now, instant=instant),
        mark=mark,
        own=own_events(known.hearing, name),
        name=name,
    )
    freezes = _freeze_gate(scene)
    if freezes.look or freezes.actions:
        return Turn(plan=None, look=freezes.look, actions=freezes.actions, pause=WATCHFUL)
    limits = _limits(scene, freezes)
    chosen = _plan(scene, limits)
    if isinstance(chosen, Idle):
        return _idle_turn(scene, chosen)
    if not view.full:
        return Turn(plan=None, look="full", pause=WATCHFUL)
    if (seen_override or isinstance(chosen, Release)) and not view.quorum:
        return Turn(plan=None, look="quorum", pause=WATCHFUL)
    turn = _event_turn(scene, chosen, limits)
    override = seen_override and not isinstance(chosen, Release)
    return replace(turn, holds=holds(view, scene.domain), override=override, queue=(*turn.queue, *freezes.queue))


def _plan(scene: _Scene, limits: Limits) -> Plan:
    return plan(
        mark=scene.mark,
        hearing=scene.known.hearing,
        vm_name=scene.name,
        ready=bool(scene.view.ready),
        cordoned_before=bool(scene.view.unschedulable) and not scene.view.cordon_is_applied_by_us(),
        policy=scene.rules.events,
        now=scene.now.utc,
        instant=scene.now.instant,
        limits=limits,
        taken_by=_taken_by(scene),
    )


def _taken_by(scene: _Scene) -> str | None:
    """Return who is taking the node down and will say when that is over; None where nobody does, or others hold it, too."""
    found = holds(scene.view, scene.domain)
    return found[0].who if found and all(hold.passing for hold in found) else None


def _freeze_gate(scene: _Scene) -> Gate:
    """Return whether a cordon for freezes alone may begin; nothing is asked while none is about to."""
    if scene.known.switch.effective().cordon != "on" or (scene.mark is not None and scene.mark.cordons):
        return OPEN
    old = {event_key(event.id): event for event in (scene.mark.events if scene.mark else ())}
    wanted = [
        event
        for event in scene.own
        if decide(event, scene.rules.events, scene.now.utc).do in ("cordon", "drain")
        and not (event_key(event.id) in old and old[event_key(event.id)].overridden)
    ]
    if not wanted or any(event.type != "Freeze" for event in wanted):
        return OPEN
    return gate("freeze", scene.known, scene.rules, scene.view.name, scene.now.instant)


def _limits(scene: _Scene, freezes: Gate) -> Limits:
    switch = scene.known.switch.effective()
    return Limits(
        cordon=switch.cordon,
        drain=switch.drain,
        freeze=freezes.open,
        drain_need=need(scene.known, scene.rules),
        at_once=frozenset(event_key(event.id) for event in scene.own if _is_waited_for(event, scene)),
    )


def _is_waited_for(event: ScheduledEvent, scene: _Scene) -> bool:
    """Return whether a user waits for this event, and may be helped by an approval as soon as the node is drained."""
    if scene.rules.approval == "off" or scene.known.switch.effective().approve != "on":
        return False
    return (event.source or "").casefold() == "user" and len(event.resources) == 1


def _labels(scene: _Scene) -> tuple[Action, ...]:
    """Return what brings the labels to what they should be, as far as the switch lets us."""
    position = scene.known.switch.effective().labels
    if position == "hold":
        return ()
    if position == "release":
        return unlabel_actions(scene.view, scene.domain)
    refusals = {group: one for group, one in scene.known.refusals.items() if one.until > scene.now.instant}
    rules = LabelRules(policy=scene.rules.labels, well_known=scene.rules.well_known, refusals=refusals)
    return label_actions(scene.known.sighting, scene.view, rules)


def _taints(scene: _Scene, events: Iterable[MarkedEvent], labels: tuple[Action, ...]) -> tuple[SetTaints, ...]:
    """Return the action that brings our taints to what they should be; none where they are, or cannot be seen."""
    if scene.view.taints is None:
        return ()
    rules = scene.rules.taints
    told = event_taint_type(event.type for event in events if event.cordons) if rules.event_effect != "off" else None
    settled = not any(group_of(action, scene.domain) == "facts" for action in labels)
    lift = startup_verdict(
        scene.view.taints,
        rules,
        labelled=settled and labelled(scene.known.sighting, scene.view, scene.domain),
        waited=scene.now.instant - scene.known.started,
    )
    if not wants_taints(
        scene.view.taints, event_type=told, lift_startup=lift is not None, rules=rules, domain=scene.domain
    ):
        return ()
    return (SetTaints(event_type=told, lift_startup=lift),)


def _idle_turn(scene: _Scene, chosen: Idle) -> Turn:
    labels = _labels(scene)
    kept = upkeep(frozenset(), scene.known, scene.rules, scene.view.name, scene.now.instant)
    actions = labels + _taints(scene, (), labels) + kept.actions
    waits = any(taint.key == scene.rules.taints.startup for taint in scene.view.taints or ())
    return Turn(plan=chosen, actions=actions, pause=WATCHFUL if waits else scene.rules.idle)


def _event_turn(scene: _Scene, chosen: Notify | Cordon | Drain | Release, limits: Limits) -> Turn:
    """Return the turn in which something of ours stands, or should, or should go."""
    labels, pause = _labels(scene), _pause(scene, chosen, limits)
    if isinstance(chosen, Release):
        first = _taints(scene, chosen.mark.events if chosen.mark else (), labels)
        kept = upkeep(frozenset(), scene.known, scene.rules, scene.view.name, scene.now.instant)
        release = release_actions(chosen, scene.view, scene.domain, scene.mark or _NOTHING)
        return Turn(plan=chosen, actions=(*first, *release, *labels, *kept.actions), pause=pause)
    going = isinstance(chosen, Drain) and drain_gate(chosen, scene.known, scene.rules, scene.view.name, scene.now).open
    if isinstance(chosen, Drain) and going:
        chosen = replace(chosen, mark=begun(chosen))
    marks = mark_actions(chosen.mark, scene.view, scene.domain, cordon=not isinstance(chosen, Notify))
    events = chosen.mark.events if not isinstance(chosen, Notify) else ()
    urgent = (*marks, *_taints(scene, events, labels), *labels)
    if urgent:
        return Turn(plan=chosen, actions=urgent, pause=pause)
    return _slow_turn(scene, chosen, pause)


def _slow_turn(scene: _Scene, chosen: Notify | Cordon | Drain, pause: float) -> Turn:
    """Return what follows once mark, cordon and labels are confirmed: places, pods, approval."""
    kept = upkeep(owed(chosen.mark.events), scene.known, scene.rules, scene.view.name, scene.now.instant)
    if kept.look or kept.actions:
        return Turn(plan=chosen, look=kept.look, actions=() if kept.look else kept.actions, pause=pause)
    if isinstance(chosen, Drain):
        turn = _drain_turn(scene, chosen, pause)
        if turn.look or turn.actions:
            return turn
    else:
        turn = Turn(plan=chosen, pause=pause)
        if _pods_wanted(scene, chosen):
            return replace(turn, look="pods")
    return _approval_turn(scene, chosen, turn)


def _drain_turn(scene: _Scene, chosen: Drain, pause: float) -> Turn:
    known, rules, now = scene.known, scene.rules, scene.now
    place = drain_gate(chosen, known, rules, scene.view.name, now)
    if place.look or place.actions:
        return Turn(plan=chosen, look=place.look, actions=place.actions, pause=pause)
    if not place.open:
        return Turn(plan=chosen, pause=pause, queue=place.queue)
    unbudgeted = (
        pressing(chosen, known, rules, now.utc) and not gate("drain", known, rules, scene.view.name, now.instant).open
    )
    if pods_are_stale(known, now, FRESH):
        return Turn(plan=chosen, look="pods", pause=pause, unbudgeted=unbudgeted)
    step = step_of(chosen, known, rules, now)
    if step is None:  # we may not list pods: nothing can be moved, and the mark will say that it was not
        return Turn(plan=chosen, pause=pause, unbudgeted=unbudgeted)
    mark = with_state(chosen.mark, chosen.keys, state_after(step))
    told = mark_actions(mark, scene.view, scene.domain, cordon=True)
    return Turn(
        plan=replace(chosen, mark=mark),
        actions=told or asks(step),
        pause=max(SOONEST, min(pause, step.pause)),
        drain=step,
        unbudgeted=unbudgeted,
    )


def _pods_wanted(scene: _Scene, chosen: Notify | Cordon) -> bool:
    """Return whether a drain lies ahead whose beginning depends on pods that were not looked at lately."""
    ahead = any(
        event.status == "Scheduled" and decide(event, scene.rules.events, scene.now.utc).ultimately == "drain"
        for event in scene.own
    )
    if not ahead or scene.known.switch.effective().drain != "on" or scene.rules.events.drain_before is not None:
        return False
    age = POD_AGE if isinstance(chosen, Cordon) else scene.rules.idle
    return pods_are_stale(scene.known, scene.now, age)


def _approval_turn(scene: _Scene, chosen: Notify | Cordon | Drain, turn: Turn) -> Turn:
    """Return the turn with the approval of an event in it, if one may be given now."""
    if scene.rules.approval == "off" or scene.known.switch.effective().approve != "on" or isinstance(chosen, Notify):
        return turn
    mark = turn.plan.mark if isinstance(turn.plan, (Cordon, Drain)) else chosen.mark
    marked = {event_key(event.id): event for event in mark.events}
    seen = scene.known.neighbours
    fresh = seen is not None and scene.now.instant - seen.at <= NEIGHBOUR_AGE
    for event in scene.own:
        key = event_key(event.id)
        go = Approve(event_id=event.id, event_type=event.type, resources=event.resources)
        if key in scene.known.unsent and event.status == "Scheduled":
            return replace(turn, actions=(go,))
        found = verdict(
            event,
            marked.get(key),
            mode=scene.rules.approval,
            vm_name=str(scene.name),
            cordoned=bool(scene.view.unschedulable),
            drains=decide(event, scene.rules.events, scene.now.utc).ultimately == "drain",
            neighbours=seen.neighbours if seen is not None and fresh else None,
        )
        if found.needs_neighbours:
            return replace(turn, look="neighbours")
        if found.approve:
            events = tuple(
                replace(each, approved="agent") if event_key(each.id) == key else each for each in mark.events
            )
            return replace(turn, actions=(ApplyMark(mark=replace(mark, events=events), cordon=True), go))
    return turn


def _pause(scene: _Scene, chosen: Notify | Cordon | Drain | Release, limits: Limits) -> float:
    """Return when to look again: soon, and no later than an event may be over, but not at every poll."""
    if isinstance(chosen, Release):
        return WATCHFUL
    told_only = isinstance(chosen, Notify) and not any(event.overridden for event in chosen.mark.events)
    times = [scene.rules.idle if told_only else WATCHFUL]
    if (left := next_over(chosen.mark, scene.known.hearing, scene.rules.events)) is not None:
        times.append(left)
    for event in scene.own:
        changes_in = judged(event, scene.rules.events, limits, scene.now.utc).changes_in
        if changes_in is not None:
            times.append(changes_in)
    return max(SOONEST, min(times))
