"""Everything known, one view of the node and now, in; the actions that bring the node to what it should be, out.

Called again after each action and at each change. When nothing is to be done it returns no action, so an idle node is
never written to. What is urgent comes first: the cordon, then labels, then all that is slow.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.core.actions import Action, SetTaints
from agent.core.draining import begun, drain_gate, need
from agent.core.events import event_key
from agent.core.followup import SOONEST, follow_up
from agent.core.judgement import Limits, judged, overridden, own_events
from agent.core.known import Turn
from agent.core.labelling import LabelRules, group_of, label_actions, labelled, unlabel_actions
from agent.core.maintenance import Cordon, Drain, Idle, Notify, Plan, Release, next_over, plan
from agent.core.mark import Mark
from agent.core.marking import mark_actions, release_actions, standing_mark, vm_name
from agent.core.node import holds
from agent.core.places import OPEN, Gate, gate, upkeep
from agent.core.policy import decide
from agent.core.scene import Moment, Scene
from agent.core.taints import event_taint_type, startup_verdict, wants_taints

if TYPE_CHECKING:
    from datetime import datetime

    from agent.core.events import ScheduledEvent
    from agent.core.known import Known, Rules
    from agent.core.node import NodeView

WATCHFUL = 5.0  # seconds between looks while a mark or an own event stands: an override is noticed that soon
_NOTHING = Mark()


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
    scene = Scene(
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


def _plan(scene: Scene, limits: Limits) -> Plan:
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


def _taken_by(scene: Scene) -> str | None:
    """Return who is taking the node down and will say when that is over; None where nobody does, or others hold it, too."""
    found = holds(scene.view, scene.domain)
    return found[0].who if found and all(hold.passing for hold in found) else None


def _freeze_gate(scene: Scene) -> Gate:
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


def _limits(scene: Scene, freezes: Gate) -> Limits:
    switch = scene.known.switch.effective()
    return Limits(
        cordon=switch.cordon,
        drain=switch.drain,
        freeze=freezes.open,
        drain_need=need(scene.known, scene.rules),
        at_once=frozenset(event_key(event.id) for event in scene.own if _is_waited_for(event, scene)),
    )


def _is_waited_for(event: ScheduledEvent, scene: Scene) -> bool:
    """Return whether a user waits for this event, and may be helped by an approval as soon as the node is drained."""
    if scene.rules.approval == "off" or scene.known.switch.effective().approve != "on":
        return False
    return (event.source or "").casefold() == "user" and len(event.resources) == 1


def _labels(scene: Scene) -> tuple[Action, ...]:
    """Return what brings the labels to what they should be, as far as the switch lets us."""
    position = scene.known.switch.effective().labels
    if position == "hold":
        return ()
    if position == "release":
        return unlabel_actions(scene.view, scene.domain)
    refusals = {group: one for group, one in scene.known.refusals.items() if one.until > scene.now.instant}
    rules = LabelRules(policy=scene.rules.labels, well_known=scene.rules.well_known, refusals=refusals)
    return label_actions(scene.known.sighting, scene.view, rules)


def _taints(scene: Scene, mark: Mark | None, labels: tuple[Action, ...]) -> tuple[SetTaints, ...]:
    """Return the action that brings our taints to what they should be; none where they are, cannot be seen, or are refused."""
    if scene.view.taints is None or _taints_rest(scene):
        return ()
    rules = scene.rules.taints
    types = [event.type for event in mark.events if event.cordons] if mark is not None else []
    if mark is not None and mark.broken:
        types.append("other")  # which event it was is unknown, that there was one is not
    told = event_taint_type(types) if rules.event_effect != "off" else None
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


def _taints_rest(scene: Scene) -> bool:
    rest = scene.known.taints_rest
    return rest is not None and scene.now.instant < rest


def _idle_turn(scene: Scene, chosen: Idle) -> Turn:
    labels = _labels(scene)
    kept = upkeep(frozenset(), scene.known, scene.rules, scene.view.name, scene.now.instant)
    actions = labels + _taints(scene, None, labels) + kept.actions
    waits = any(taint.key == scene.rules.taints.startup for taint in scene.view.taints or ()) and not _taints_rest(
        scene
    )
    return Turn(plan=chosen, actions=actions, pause=WATCHFUL if waits else scene.rules.idle)


def _event_turn(scene: Scene, chosen: Notify | Cordon | Drain | Release, limits: Limits) -> Turn:
    """Return the turn in which something of ours stands, or should, or should go."""
    labels, pause = _labels(scene), _pause(scene, chosen, limits)
    if isinstance(chosen, Release):
        first = _taints(scene, chosen.mark, labels)
        kept = upkeep(frozenset(), scene.known, scene.rules, scene.view.name, scene.now.instant)
        release = release_actions(chosen, scene.view, scene.domain, scene.mark or _NOTHING)
        return Turn(plan=chosen, actions=(*first, *release, *labels, *kept.actions), pause=pause)
    going = isinstance(chosen, Drain) and drain_gate(chosen, scene.known, scene.rules, scene.view.name, scene.now).open
    if isinstance(chosen, Drain) and going:
        chosen = replace(chosen, mark=begun(chosen))
    marks = mark_actions(chosen.mark, scene.view, scene.domain, cordon=not isinstance(chosen, Notify))
    tainted_for = None if isinstance(chosen, Notify) else chosen.mark
    urgent = (*marks, *_taints(scene, tainted_for, labels), *labels)
    if urgent:
        return Turn(plan=chosen, actions=urgent, pause=pause)
    return follow_up(scene, chosen, pause)


def _pause(scene: Scene, chosen: Notify | Cordon | Drain | Release, limits: Limits) -> float:
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
