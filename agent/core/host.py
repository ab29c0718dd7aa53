"""A VM without Kubernetes: what was heard and what was run before, in; which hooks to run and what to approve, out.

What a cordon is to a node, hooks are to a VM: the same policy says when, and the same rules when an event is over.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from agent.core.approval import verdict
from agent.core.events import event_key
from agent.core.hearing import Hearing
from agent.core.host_state import KEPT, HostEvent, HostState, Outcome, Phase, Ran, event_entry
from agent.core.judgement import Limits, judged, marked, own_events
from agent.core.maintenance import is_over
from agent.core.mark import Mark

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from agent.core.approval import Mode
    from agent.core.events import ScheduledEvent
    from agent.core.policy import Policy

VERSION = 1
BUSY, IDLE = (
    1.0,
    5.0,
)  # seconds between two turns while an event lasts or a hook runs, and otherwise; a turn asks nobody
LONGEST = 1024  # characters of a variable of a hook's environment
_BEFORE: Mapping[Phase, frozenset[Phase]] = {
    "scheduled": frozenset(),
    "started": frozenset({"scheduled"}),
    "gone": frozenset({"scheduled", "started"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All that a turn is decided from besides the state and the clock.

    Attributes:
        vm_id, vm_name: None until IMDS has said them.
        hooks: names of the hooks that are there, in the order in which they run; None where nobody can say: then none is begun,
            and no phase is through.
        running: keys of the events for which a hook runs now; one at a time for each event.
        unsent: keys of events whose approval is written down but surely did not reach the service.
    """

    vm_id: str | None = None
    vm_name: str | None = None
    hearing: Hearing = field(default_factory=Hearing)
    hooks: tuple[str, ...] | None = ()
    running: frozenset[str] = frozenset()
    unsent: frozenset[str] = frozenset()
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One hook to be run, once the state says that it was begun."""

    hook: str
    phase: Phase
    event: HostEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class HostTurn:
    """What a turn comes to.

    Attributes:
        state: to be written before anything is begun.
        approve: events that may begin now.
        pause: seconds until the next turn if nothing new comes.
    """

    state: HostState
    runs: tuple[Run, ...] = ()
    approve: tuple[ScheduledEvent, ...] = ()
    pause: float = IDLE


def host_turn(state: HostState, seen: Seen, policy: Policy, mode: Mode, *, now: datetime) -> HostTurn:
    """Decide what follows from all that is known.

    Args:
        mode: `off` or `own-user-events`; there is nobody who could speak for other VMs.
        now: UTC by the service's clock.
    """
    stranger = seen.vm_id is not None and state.vm_id not in (None, seen.vm_id)
    known = HostState() if stranger else state
    runs: list[Run] = []
    approve: list[ScheduledEvent] = []
    found: list[HostEvent] = []
    for event in _brought_up(known, seen, policy, now):
        stepped, run = _step(event, seen, policy)
        runs += [run] if run else []
        if _may_begin(stepped, seen, mode):
            approve.append(stepped.event)
            stepped = replace(stepped, entry=replace(stepped.entry, approved="agent"))
        found.append(stepped)
    after = HostState(vm_id=seen.vm_id or known.vm_id, events=_remembered(found))
    return HostTurn(
        state=after, runs=tuple(runs), approve=tuple(approve), pause=BUSY if after.open or seen.running else IDLE
    )


def noted(state: HostState, run: Run, outcome: Outcome) -> HostState:
    """Return the state once a hook has come to its end."""

    def changed(ran: Ran) -> Ran:
        same = (ran.phase, ran.hook) == (run.phase, run.hook)
        return replace(ran, outcome=outcome) if same else ran

    events = (
        replace(event, ran=tuple(changed(ran) for ran in event.ran)) if event.key == run.event.key else event
        for event in state.events
    )
    return replace(state, events=tuple(events))


def interrupted(state: HostState) -> tuple[Run, ...]:
    """Return the hooks that ran when the state was written; whoever reads it then knows of no end of theirs."""
    return tuple(
        Run(hook=ran.hook, phase=ran.phase, event=event)
        for event in state.events
        for ran in event.ran
        if ran.outcome == "begun"
    )


def withheld(turn: HostTurn) -> HostState:
    """Return the state of a turn whose hooks and approvals were not begun, since it could not be written down."""
    begun = {(run.event.key, run.phase, run.hook) for run in turn.runs}
    approved = {event_key(event.id) for event in turn.approve}

    def without(event: HostEvent) -> HostEvent:
        ran = tuple(each for each in event.ran if (event.key, each.phase, each.hook) not in begun)
        entry = replace(event.entry, approved=None) if event.key in approved else event.entry
        return replace(event, ran=ran, entry=entry)

    return replace(turn.state, events=tuple(without(event) for event in turn.state.events))


def host_mark(state: HostState) -> Mark:
    """Return the events as a node's mark would say them, for those who ask this agent."""
    return Mark(events=tuple(event.entry for event in state.open))


def events_text(state: HostState, seen: Seen, policy: Policy, *, now: datetime, current: bool) -> str:
    """Return what programs on the VM read: its events and what our policy says, the same bytes while nothing changes.

    Args:
        current: the service has answered lately.
    """
    own = own_events(seen.hearing, seen.vm_name)
    there = ((event, _shown(event.key, own)) for event in state.events)
    listed = [_told(event, shown, seen, policy, now) for event, shown in there if shown or not event.closed]
    known = {event.key for event in state.events}
    listed += [_ignored(event) for event in own if event_key(event.id) not in known]
    vm = {"id": seen.vm_id or state.vm_id, "name": seen.vm_name}
    document = {"v": VERSION, "vm": vm, "current": current, "events": listed}
    return json.dumps(document, sort_keys=True, indent=1) + "\n"


def hook_document(run: Run, vm_name: str | None) -> str:
    """Return what a hook reads on its standard input, one line of JSON."""
    said = {**event_entry(run.event.event), "phase": run.phase, "do": run.event.entry.do, "vm": vm_name}
    return json.dumps(said, sort_keys=True) + "\n"


def hook_environment(run: Run) -> dict[str, str]:
    """Return a hook's variables, each one line of bounded length; "" for what is not known."""
    event = event_entry(run.event.event)
    said = {
        "PHASE": run.phase,
        "DO": run.event.entry.do,
        **{name.upper(): event[name] for name in ("id", "type", "status", "not_before", "duration", "source")},
        "DESCRIPTION": event["description"],
    }
    return {f"IMDS_EVENT_{name}": "" if value is None else _one_line(str(value)) for name, value in said.items()}


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)[:LONGEST]


def _shown(key: str, own: tuple[ScheduledEvent, ...]) -> bool:
    return any(event_key(event.id) == key for event in own)


def _told(event: HostEvent, shown: bool, seen: Seen, policy: Policy, now: datetime) -> dict[str, object]:  # noqa: FBT001
    decision = judged(event.event, policy, seen.limits, now)
    hooks = {phase: event.outcomes(phase) for phase in _BEFORE if event.outcomes(phase)}
    return {
        **event_entry(event.event),
        "do": event.entry.do,
        "rule": decision.rule,
        "ultimately": decision.ultimately,
        "shown": shown,
        "approved": event.entry.approved,
        "hooks": hooks,
    }


def _ignored(event: ScheduledEvent) -> dict[str, object]:
    return {**event_entry(event), "do": "ignore", "shown": True}


def _brought_up(state: HostState, seen: Seen, policy: Policy, now: datetime) -> tuple[HostEvent, ...]:
    """Return the remembered events as the service shows them now, and the new ones behind them."""
    own = own_events(seen.hearing, seen.vm_name)
    shown = {event_key(event.id): event for event in own}
    before = Mark(events=tuple(event.entry for event in state.events))
    entries = {event_key(entry.id): entry for entry in marked(before, own, policy, seen.limits, now)}
    old = [
        replace(event, event=shown.get(event.key, event.event), entry=entries.pop(event.key)) for event in state.events
    ]
    return (*old, *(HostEvent(event=shown[key], entry=entry) for key, entry in entries.items()))


def _phase(event: HostEvent, seen: Seen, policy: Policy) -> Phase | None:
    """Return the phase that the event is in and that is not through yet; None where there is nothing to do."""
    phase: Phase | None = None
    if seen.limits.cordon == "hold":  # begins nothing and undoes nothing
        return None
    if seen.limits.cordon == "release" and event.ran:
        phase = "gone"
    elif _shown(event.key, own_events(seen.hearing, seen.vm_name)):
        phases: dict[str, Phase] = {"Scheduled": "scheduled", "Started": "started"}
        phase = phases.get(event.event.status) if event.entry.do != "notify" else None
    elif is_over(event.entry, seen.hearing, policy):
        phase = "gone"
    return None if phase in event.through else phase


def _step(event: HostEvent, seen: Seen, policy: Policy) -> tuple[HostEvent, Run | None]:
    """Return the event one step on, and the hook that this step begins."""
    phase = _phase(event, seen, policy)
    if phase is None:
        return event, None
    event = replace(event, through=event.through | _BEFORE[phase])  # what was not begun by then is too late
    if event.key in seen.running or seen.hooks is None:
        return event, None
    tried = event.outcomes(phase)
    left = [hook for hook in seen.hooks if hook not in tried]
    if not left or (phase == "gone" and not event.ran):  # what nobody was told of need not be called off
        return replace(event, through=event.through | {phase}), None
    event = replace(event, ran=(*event.ran, Ran(phase=phase, hook=left[0], outcome="begun")))
    return event, Run(hook=left[0], phase=phase, event=event)


def _may_begin(event: HostEvent, seen: Seen, mode: Mode) -> bool:
    """Return whether the event may be approved: it waits, every hook was done with it, and it is this VM's own user's."""
    own = _shown(event.key, own_events(seen.hearing, seen.vm_name))
    waits = event.event.status == "Scheduled" and "scheduled" in event.through and event.key not in seen.running
    if not own or not waits or seen.vm_name is None:
        return False
    if event.entry.approved is not None and event.key not in seen.unsent:
        return False
    well = all(outcome == "done" for outcome in event.outcomes("scheduled").values())
    entry = replace(event.entry, approved=None, drain="done" if well else "failed")
    return verdict(
        event.event, entry, mode=mode, vm_name=seen.vm_name, cordoned=True, drains=False, neighbours=None
    ).approve


def _remembered(events: list[HostEvent]) -> tuple[HostEvent, ...]:
    """Leave out the oldest of those that are over."""
    closed = [event.key for event in events if event.closed]
    forgotten = set(closed[: max(0, len(closed) - KEPT)])
    return tuple(event for event in events if event.key not in forgotten)
