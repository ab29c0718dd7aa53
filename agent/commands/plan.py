"""`plan`: what the daemon would do to the real node now, and why; nothing is written."""

from __future__ import annotations

import dataclasses
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from agent.clients.cluster import Cluster
from agent.clients.imds_errors import ImdsError
from agent.clients.switch_file import SwitchFile
from agent.commands.facts import DEADLINE, scheduled
from agent.commands.output import BOLD, columns, paint, say, say_json, short
from agent.core.actions import (
    Action,
    ApplyGroup,
    ApplyMark,
    Approve,
    Ask,
    ClearCordon,
    FreePlace,
    HandOver,
    RenewPlace,
    SetTaints,
    Sweep,
    TakePlace,
)
from agent.core.drain import DrainStep, drain_needs, drain_step
from agent.core.events import ScheduledEvent, event_key
from agent.core.hearing import Hearing, heard
from agent.core.judgement import own_events
from agent.core.labelling import MANAGERS
from agent.core.maintenance import Cordon, Drain, Notify
from agent.core.marking import vm_name
from agent.core.node import (
    NodeView,
    holds,
    read_node,
)
from agent.core.policy import decide, span
from agent.core.reconcile import reconcile
from agent.core.sighting import ENOUGH, Sighting, sighted
from agent.daemon.board import Board
from agent.daemon.clock import Clock
from agent.daemon.looks import Looks
from agent.daemon.metrics import Metrics
from agent.daemon.partners import imds_client, one_try
from agent.settings import Settings, own_node
from agent.told import Told

if TYPE_CHECKING:
    import argparse

    from agent.clients.imds import Imds
    from agent.core.known import Known, Turn

LOOKS = 6  # that one decision may ask for: pods, places of two budgets, neighbours


def sight(imds: Imds) -> Sighting:
    """Look until the facts are settled: a one-shot run must not be less careful than the daemon."""
    sighting = None
    for _ in range(ENOUGH):
        sighting = sighted(sighting, imds.instance(deadline=DEADLINE).value)
    if sighting is None:
        raise AssertionError(ENOUGH)
    return sighting


def _listen(imds: Imds) -> Hearing:
    return heard(Hearing(), scheduled(imds), time.monotonic())


def turn_of(settings: Settings, known: Known, view: NodeView) -> Turn:
    """Return what is decided at this moment."""
    now, instant = datetime.now(timezone.utc), time.monotonic()
    return reconcile(known, view, settings.rules(), now=now, instant=instant)


def plan(settings: Settings, arguments: argparse.Namespace) -> int:
    """Show what the daemon would do to the real node now, and why; nothing is written."""
    imds, node = imds_client(settings), own_node(settings)
    cluster = Cluster(one_try(settings))
    sighting = sight(imds)
    try:
        hearing, trouble = (_listen(imds), None) if settings.events else (Hearing(), "events are switched off")
    except ImdsError as error:
        hearing, trouble = Hearing(), str(error)
    view = read_node(cluster.node(node), quorum=True)
    looks = _looks(settings, cluster, sighting, hearing)
    turn = _looked_turn(settings, looks, view)
    known = looks.known()
    ahead = _drain_ahead(settings, looks, view)
    if arguments.output == "json":
        actions = [{"action": type(action).__name__, **dataclasses.asdict(action)} for action in turn.actions]
        name = type(turn.plan).__name__.lower() if turn.plan else None
        say_json(
            {
                "node": node,
                "plan": name,
                "actions": actions,
                "holds": [hold.who for hold in turn.holds],
                "waits_for": turn.queue,
                "drain": _drain_document(ahead),
                "trouble": trouble,
            }
        )
        return 0
    _show_events(settings, known, view, turn)
    if trouble:
        say(f"  events not known: {trouble}")
    _show_actions(turn, view)
    _show_drain(ahead)
    return 0


def _looks(settings: Settings, cluster: Cluster, sighting: Sighting, hearing: Hearing) -> Looks:
    """Return what the daemon would look at, with what IMDS has just said."""
    board = Board(started=time.monotonic(), at_most={}, needed=())
    board.put_sighting(sighting)
    board.put_hearing(hearing)
    looks = Looks(
        cluster=cluster,
        board=board,
        rules=settings.rules(),
        namespace=settings.namespace,
        switch_file=SwitchFile(settings.switch_file) if settings.switch_file else None,
        metrics=Metrics(),
        log=Quiet(),
        clock=Clock(monotonic=time.monotonic, utc=lambda: datetime.now(timezone.utc)),
    )
    looks.read_switch()
    return looks


def _looked_turn(settings: Settings, looks: Looks, view: NodeView) -> Turn:
    """Return the turn that the daemon would come to after all looks that it asks for; it acts upon nothing."""
    turn = turn_of(settings, looks.known(), view)
    for _ in range(LOOKS):
        if turn.look is None or turn.look in ("full", "quorum"):
            break
        looks.look(turn.look, view)
        turn = turn_of(settings, looks.known(), view)
    return turn


def _drain_ahead(settings: Settings, looks: Looks, view: NodeView) -> tuple[ScheduledEvent, DrainStep, float] | None:
    """Return the first event that this node is, or will be, drained for, its first step as of now, and what it needs."""
    rules, now = settings.rules(), datetime.now(timezone.utc)
    known = looks.known()
    own = own_events(known.hearing, vm_name(known.sighting, view, rules.labels.domain))
    found = [
        event for event in own if event.status == "Scheduled" and decide(event, rules.events, now).ultimately == "drain"
    ]
    if not found:
        return None
    looks.look("pods", view)
    seen = looks.known().pods
    if seen is None or not seen.usable:
        raise Told("a drain lies ahead, but pods may not be listed: see manifests/overlays/drain")
    step = drain_step(
        seen.pods,
        seen.budgets,
        {},
        now=now,
        instant=time.monotonic(),
        deadline=found[0].not_before,
        policy=rules.drain,
        own=rules.own_pod,
        at_most=len(seen.pods) or 1,
    )
    return found[0], step, drain_needs(seen.pods, seen.budgets, rules.drain, own=rules.own_pod)


def _drain_document(ahead: tuple[ScheduledEvent, DrainStep, float] | None) -> dict[str, object] | None:
    if ahead is None:
        return None
    event, step, need = ahead
    pods = [str(each.pod) for each in step.asks]
    return {"event": event.id, "seconds": need, "pods": pods, "left": {str(each.pod): each.why for each in step.left}}


def _show_drain(ahead: tuple[ScheduledEvent, DrainStep, float] | None) -> None:
    if ahead is None:
        return
    event, step, need = ahead
    say(f"  drain for {event.type} {event.id}: {len(step.asks)} pods to ask, about {span(need)}")
    columns(
        [(f"    {number}.", str(each.pod), f"priority {each.pod.priority}") for number, each in enumerate(step.asks, 1)]
    )
    columns([("    stays", str(each.pod), each.why) for each in step.left])


def _show_events(settings: Settings, known: Known, view: NodeView, turn: Turn) -> None:
    rules = settings.rules()
    state = "cordoned" if view.unschedulable else "schedulable"
    name = type(turn.plan).__name__.lower() if turn.plan else "unknown"
    say(f"{paint('node', BOLD)} {view.name}: {state}; {paint('plan', BOLD)}: {name}")
    own = own_events(known.hearing, vm_name(known.sighting, view, rules.labels.domain))
    for event in own:
        decision = decide(event, rules.events, datetime.now(timezone.utc))
        say(f"  {event.type} {event.id} {event.status}: {decision.do}, by rule {decision.rule!r}: {decision.because}")
    marked = turn.plan.mark.events if isinstance(turn.plan, (Cordon, Drain, Notify)) else ()
    present = {event_key(event.id) for event in own}
    for gone in (event for event in marked if event_key(event.id) not in present):
        say(f"  {gone.type} {gone.id}: marked, not announced now; forgotten when it has been gone for long enough")
    if isinstance(turn.plan, Cordon) and turn.plan.waiting_for:
        say(f"  not given back yet: {turn.plan.waiting_for}")
    if isinstance(turn.plan, (Cordon, Drain, Notify)) and any(event.overridden for event in turn.plan.mark.events):
        say("  overridden: somebody made the node schedulable during an event")
    for hold in holds(view, rules.labels.domain):
        say(f"  held by {hold.who}")
    if turn.queue:
        say(f"  waits for a place in the budget, held by {', '.join(turn.queue)}")


def _show_actions(turn: Turn, view: NodeView) -> None:
    if not turn.actions:
        say("  nothing to write")
    for action in turn.actions:
        for line in _describe(action, view):
            say(line)


def _describe(action: Action, view: NodeView) -> list[str]:
    match action:
        case ApplyGroup():
            wanted = {**action.written.labels, **action.written.annotations}
            there = {**view.labels, **view.annotations}
            changed = [
                f"    {key}: {short(there.get(key, '(nothing)'))} -> {short(value)}"
                for key, value in wanted.items()
                if there.get(key) != value
            ]
            ours = view.owner(MANAGERS[action.group])
            gone = (ours.labels | ours.annotations) - wanted.keys() if ours else ()
            dropped = [f"    {key}: {short(there.get(key, ''))} -> (nothing)" for key in sorted(gone)]
            count = len(changed) + len(dropped)
            return [f"  apply {action.group}: {len(wanted)} keys, {count} to change", *changed, *dropped]
        case ApplyMark():
            what = "mark and cordon" if action.cordon else "mark, no cordon" if action.mark else "withdraw our mark"
            cordon = " and our cordon" if not (action.cordon or action.mark) and view.cordon_is_applied_by_us() else ""
            return [f"  {what}{cordon}"]
        case HandOver():
            return [f"  hand the cordon over: {', '.join(hold.who for hold in action.holds)}"]
        case ClearCordon():
            return ["  clear a cordon of ours whose ownership was lost"]
        case SetTaints():
            startup = [f"  lift the startup taint: {action.lift_startup}"] if action.lift_startup else []
            return [*startup, f"  taint for the event: {action.event_type or 'none'}"]
        case Ask():
            pod, how = action.asking.pod, "delete" if action.asking.delete else "evict"
            grace = f", with {action.asking.grace} s of grace" if action.asking.grace is not None else ""
            return [f"  {how} {pod} (priority {pod.priority}{grace})"]
        case TakePlace() | RenewPlace() | FreePlace():
            return [f"  {type(action).__name__.removesuffix('Place').lower()} a place in the {action.purpose} budget"]
        case Approve():
            return [f"  approve {action.event_type} {action.event_id} for {', '.join(action.resources)}"]
        case Sweep():
            return [f"  remove leftovers: {', '.join((*action.labels, *action.annotations))}"]


class Quiet:
    """A log for one-shot commands: what is worth saying is printed."""

    def info(self, _event: str, **_facts: Any) -> None:
        """Say nothing."""

    warning = error = info
