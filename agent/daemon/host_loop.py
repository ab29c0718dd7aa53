"""The one writer of a VM without Kubernetes: what was heard in, hooks run and files written out.

A hook is begun only once the disk says so; what cannot be written down is not begun. Hooks run beside the loop, one at a time
for each event, so that a slow one for a Reboot keeps no Preempt waiting.
"""

from __future__ import annotations

import queue
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from agent.clients.files import clear_halves, write_for_good, write_whole
from agent.clients.hooks import Ended, Hook, distrust, look, unstartable
from agent.core.document import DocumentError
from agent.core.events import event_key
from agent.core.host import (
    Run,
    Seen,
    events_text,
    hook_document,
    hook_environment,
    host_mark,
    host_turn,
    interrupted,
    noted,
    withheld,
)
from agent.core.host_state import HostState, read_state, state_text
from agent.core.judgement import Limits, judged, own_events
from agent.core.switch import Switch
from agent.daemon.alike import Approvals, Said, obeyed
from agent.daemon.story import event_facts
from agent.log import say_fault
from agent.told import Told

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from agent.clients.imds import Imds
    from agent.clients.switch_file import SwitchFile
    from agent.core.approval import Mode
    from agent.core.host import HostTurn
    from agent.core.host_state import Outcome
    from agent.core.policy import Policy
    from agent.daemon.board import Board
    from agent.daemon.clock import Clock
    from agent.daemon.metrics import Metrics

AGAIN = 5.0  # seconds after a turn that failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where things are on the VM.

    Attributes:
        events: what every program may read.
        hooks: the folder of executables.
        state: what outlives a restart of the VM.
    """

    events: Path
    hooks: Path
    state: Path


class HostLoop:
    """Tells this VM's programs of its events, for ever."""

    def __init__(
        self,
        *,
        board: Board,
        policy: Policy,
        mode: Mode,
        places: Places,
        hook_timeout: float,
        imds: Imds,
        metrics: Metrics,
        log: Any,
        clock: Clock,
        switch_file: SwitchFile | None = None,
    ) -> None:
        """Read what was remembered.

        Args:
            mode: which events are approved.
            hook_timeout: seconds for one hook.
        """
        self._board, self._policy, self._mode, self._places = board, policy, mode, places
        self._hook_timeout, self._metrics, self._log, self._clock = hook_timeout, metrics, log, clock
        self._switch_file, self._switch = switch_file, Switch()
        self._ended: queue.SimpleQueue[tuple[Run, Ended]] = queue.SimpleQueue()
        self._running: dict[str, Hook] = {}
        self._unsent: set[str] = set()
        self._said = Said()
        self._approvals = Approvals(imds, self._said, metrics, log, self._unsent)
        self._text = ""
        self._state = self._written = self._remembered()
        for path in (places.state, places.events):
            clear_halves(path)

    def begin(self) -> None:
        """Say which hooks were lost when we died, which would be run, and which not: the first event would be late for that."""
        for run in interrupted(self._state):
            self._log.error("hook.failed", **_facts(run), because="the agent ended while it ran")
            self._note(run, "lost")
        names = self._hooks() or ()
        self._log.info("hooks.seen", folder=str(self._places.hooks), hooks=list(names))
        for name in names:
            if because := distrust(self._places.hooks / name):
                self._log.error("hook.refused", hook=name, because=because)

    def turn(self) -> float:
        """Do all that can be done now; returns the seconds to wait for news before the next turn."""
        try:
            pause = self._turn()
        except Exception as error:  # noqa: BLE001 - a net: no fault of ours may leave the VM without an agent
            say_fault(self._log, "loop", error)
            pause = AGAIN
        self._board.attempted("loop", self._clock.monotonic())
        return pause

    def close(self) -> None:
        """End the hooks that run; their outcome is lost."""
        for hook in list(self._running.values()):
            hook.stop()

    def _turn(self) -> float:
        self._collect()
        if self._switch_file is not None:
            self._switch = obeyed(self._switch_file, self._said, self._metrics, self._log)
        seen, now = self._seen(), self._now()
        mode: Mode = self._mode if self._switch.effective().approve == "on" else "off"
        turn = host_turn(self._state, seen, self._policy, mode, now=now)
        self._tell(turn.state, seen, now)
        if self._kept(turn):
            for run in turn.runs:
                self._begin(run, seen.vm_name)
            for event in turn.approve:
                self._approvals.send(event.id, event.resources, event_type=event.type)
        self._show(seen, now)
        self._board.put_mark(host_mark(self._state))
        return turn.pause

    def _now(self) -> datetime:
        return self._clock.utc() + timedelta(seconds=self._board.facts().skew)

    def _seen(self) -> Seen:
        facts = self._board.facts()
        instance = facts.sighting.instance if facts.sighting is not None else None
        switch = self._switch.effective()
        name = instance.name if instance else None
        busy = bool(self._state.open or own_events(facts.hearing, name))
        return Seen(
            vm_id=instance.vm_id if instance else None,
            vm_name=name,
            hearing=facts.hearing,
            hooks=self._hooks() if busy else (),
            running=frozenset(self._running),
            unsent=frozenset(self._unsent),
            limits=Limits(cordon=switch.cordon, drain=switch.drain),
        )

    def _hooks(self) -> tuple[str, ...] | None:
        found = look(self._places.hooks)
        if self._said.is_new("folder", found.trouble) and found.trouble:
            self._log.error("hook.refused", hook=str(self._places.hooks), because=found.trouble)
        for name in found.skipped:
            if self._said.is_new(f"skipped {name}", value=True):
                self._log.warning("hook.skipped", hook=name, because="it is not executable")
        return None if found.trouble else found.hooks

    # What is remembered

    def _remembered(self) -> HostState:
        try:
            return read_state(self._places.state.read_bytes())
        except FileNotFoundError:
            return HostState()
        except (OSError, DocumentError) as error:
            self._log.error("host.state_unreadable", error=f"{self._places.state}: {error}")
            return HostState()

    def _kept(self, turn: HostTurn) -> bool:
        """Write the state down; where that fails nothing of the turn is begun, and the next one tries again."""
        if turn.state != self._written:
            try:
                write_for_good(self._places.state, state_text(turn.state).encode(), 0o600)
            except Told as error:
                self._state = withheld(turn)
                self._unwritten("state", error)
                return False
            self._written = turn.state
            self._said.is_new("state", None)
        self._state = turn.state
        return True

    def _unwritten(self, what: str, error: Told) -> None:
        if self._said.is_new(what, str(error)):
            self._log.error("host.unwritten", error=str(error))

    def _show(self, seen: Seen, now: datetime) -> None:
        """Write what every program may read, if it would change or somebody took it away."""
        last = seen.hearing.last_good
        current = last is not None and self._clock.monotonic() - last <= self._policy.stale_after
        text = events_text(self._state, seen, self._policy, now=now, current=current)
        path = self._places.events
        if text == self._text and path.exists():
            return
        try:
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            write_whole(path, text.encode(), 0o644)
        except OSError as error:
            self._unwritten("events", Told(f"{path}: cannot be written: {error.strerror}"))
            return
        except Told as error:
            self._unwritten("events", error)
            return
        self._text = text
        self._said.is_new("events", None)

    # What is done

    def _begin(self, run: Run, vm_name: str | None) -> None:
        path, facts = self._places.hooks / run.hook, _facts(run)
        if because := distrust(path):
            self._log.error("hook.refused", **facts, because=because)
            self._note(run, "refused")
            return
        self._log.info("hook.begun", **facts)
        try:
            self._running[run.event.key] = Hook(
                path,
                environment=hook_environment(run),
                document=hook_document(run, vm_name),
                at_most=self._hook_timeout,
                ended=lambda ended: self._report(run, ended),
            )
        except OSError as error:
            self._log.error("hook.failed", **facts, because=unstartable(error), seconds=0.0)
            self._note(run, "failed")

    def _report(self, run: Run, ended: Ended) -> None:
        """Take a hook's end; called from its thread."""
        self._ended.put((run, ended))
        self._board.ring()

    def _collect(self) -> None:
        while not self._ended.empty():
            run, ended = self._ended.get()
            self._running.pop(run.event.key, None)
            facts = {**_facts(run), "seconds": round(ended.seconds, 1)}
            if ended.result == "done":
                self._log.info("hook.finished", **facts)
            else:
                self._log.error("hook.failed", **facts, because=ended.because)
            self._note(run, ended.result)

    def _note(self, run: Run, outcome: Outcome) -> None:
        self._metrics.hooks.labels(run.phase, outcome).inc()
        self._state = noted(self._state, run, outcome)
        self._board.ring()  # the next hook may begin

    # What is told

    def _tell(self, state: HostState, seen: Seen, now: datetime) -> None:
        own = own_events(seen.hearing, seen.vm_name)
        for event in own:
            decision = judged(event, self._policy, seen.limits, now)
            if self._said.is_new(f"event {event_key(event.id)}", (event.status, decision.do)):
                self._log.info("event.seen", **event_facts(event, decision))
        for each in state.events:
            if each.closed and self._said.forget(f"event {each.key}"):
                self._log.info("event.over", event_id=each.event.id, event_type=each.event.type)
        self._metrics.set_events(dict(Counter((event.type, event.status) for event in own)))
        marks = [event.entry for event in state.open]
        self._metrics.set_plan("cordon" if any(mark.cordons for mark in marks) else "notify" if marks else "idle")


def _facts(run: Run) -> dict[str, str]:
    return {
        "hook": run.hook,
        "phase": run.phase,
        "event_id": run.event.event.id,
        "event_type": run.event.event.type,
    }
