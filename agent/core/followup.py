"""What follows once mark, cordon and labels are confirmed: places in budgets, pods, approval. None of it is ever urgent."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.core.actions import ApplyMark, Approve
from agent.core.approval import verdict
from agent.core.draining import FRESH, asks, drain_gate, pods_are_stale, pressing, state_after, step_of, with_state
from agent.core.events import event_key
from agent.core.hdfs_said import read_said
from agent.core.known import Turn
from agent.core.maintenance import Cordon, Drain, Notify
from agent.core.marking import mark_actions
from agent.core.places import gate, owed, perhaps_held, upkeep
from agent.core.policy import decide

if TYPE_CHECKING:
    from agent.core.budget import Purpose
    from agent.core.scene import Scene

DRAINS: frozenset[Purpose] = frozenset({"drain"})
SOONEST = 0.5  # seconds between looks at least
POD_AGE = 60.0  # seconds for which a list of pods tells how long a drain would take
NEIGHBOUR_AGE = 5.0  # seconds for which the marks of other nodes may be relied upon


def follow_up(scene: Scene, chosen: Notify | Cordon | Drain, pause: float) -> Turn:
    """Return what comes once mark, cordon and labels are confirmed.

    A drain that presses goes before the upkeep of places: it must not wait for Leases.
    """
    turn = Turn(plan=chosen, pause=pause)
    hurried = isinstance(chosen, Drain) and pressing(chosen, scene.known, scene.rules, scene.now.utc)
    if isinstance(chosen, Drain) and hurried:
        turn = _drain_turn(scene, chosen, pause)
        if turn.look or turn.actions:
            return turn
    wanted = owed(chosen.mark.events) | (DRAINS if isinstance(chosen, Drain) else frozenset())
    kept = upkeep(
        wanted,
        scene.known,
        scene.rules,
        scene.view.name,
        scene.now.instant,
        perhaps=perhaps_held(chosen.mark.events),
    )
    if kept.look or kept.actions:
        return replace(turn, look=kept.look, actions=() if kept.look else kept.actions)
    if isinstance(chosen, Drain) and not hurried:
        turn = _drain_turn(scene, chosen, pause)
        if turn.look or turn.actions:
            return turn
    if not isinstance(chosen, Drain) and _pods_wanted(scene, chosen):
        return replace(turn, look="pods")
    return _approval_turn(scene, chosen, turn)


def _drain_turn(scene: Scene, chosen: Drain, pause: float) -> Turn:
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


def _pods_wanted(scene: Scene, chosen: Notify | Cordon) -> bool:
    """Return whether a drain lies ahead whose beginning depends on pods that were not looked at lately."""
    ahead = any(
        event.status == "Scheduled" and decide(event, scene.rules.events, scene.now.utc).ultimately == "drain"
        for event in scene.own
    )
    if not ahead or scene.known.switch.effective().drain != "on" or scene.rules.events.drain_before is not None:
        return False
    age = POD_AGE if isinstance(chosen, Cordon) else scene.rules.idle
    return pods_are_stale(scene.known, scene.now, age)


def _approval_turn(scene: Scene, chosen: Notify | Cordon | Drain, turn: Turn) -> Turn:
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
            waits_for=scene.rules.approval_waits_for,
            said=read_said(scene.view.annotations.get(f"{scene.domain}/hdfs")),
        )
        if found.needs_neighbours:
            return replace(turn, look="neighbours")
        if found.approve:
            events = tuple(
                replace(each, approved="agent") if event_key(each.id) == key else each for each in mark.events
            )
            return replace(turn, actions=(ApplyMark(mark=replace(mark, events=events), cordon=True), go))
    return turn
