"""How drains, budgets and approvals get on, as log events and metrics: each change once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.core.events import event_key
from agent.core.maintenance import Cordon, Drain, Notify
from agent.core.policy import time_left

if TYPE_CHECKING:
    from datetime import datetime

    from agent.core.drain import DrainStep, Left
    from agent.core.events import ScheduledEvent
    from agent.core.known import Turn
    from agent.core.mark import Drained, MarkedEvent
    from agent.daemon.herald import Herald
    from agent.daemon.metrics import Metrics

NAMED = 20  # pods that are named in one log event; the metric counts all


def named(left: tuple[Left, ...]) -> list[str]:
    """Return the pods that will not go, each with its reason."""
    return [f"{each.pod}: {each.why}" for each in left[:NAMED]]


class Progress:
    """Remembers how far each drain was when it was last told."""

    def __init__(self, log: Any, metrics: Metrics, herald: Herald) -> None:
        """Begin with nothing told."""
        self._log = log
        self._metrics = metrics
        self._herald = herald
        self._states: dict[str, Drained | None] = {}
        self._begun: dict[str, float] = {}
        self._left: list[str] = []
        self._queue: tuple[str, ...] = ()
        self._unbudgeted = False

    def told(self, turn: Turn, own: tuple[ScheduledEvent, ...], node: str, *, utc: datetime, instant: float) -> None:
        """Say what this turn ended with, where it differs from the last one."""
        plan = turn.plan
        marks = plan.mark.events if isinstance(plan, (Cordon, Drain, Notify)) else ()
        shown = {event_key(event.id): event for event in own}
        for event in marks:
            if self._is_new(event):
                seen = shown.get(event_key(event.id))
                self._tell_state(event, seen, turn.drain, node=node, utc=utc, instant=instant)
        keys = {event_key(event.id) for event in marks}
        self._states = {key: state for key, state in self._states.items() if key in keys}
        self._begun = {key: since for key, since in self._begun.items() if key in keys}
        self._tell_left(turn.drain, node)
        self._tell_queue(turn, node)

    def _is_new(self, event: MarkedEvent) -> bool:
        key = event_key(event.id)
        before, self._states[key] = self._states.get(key), event.drain
        return event.drain not in (None, before)

    def _tell_state(
        self,
        event: MarkedEvent,
        shown: ScheduledEvent | None,
        step: DrainStep | None,
        *,
        node: str,
        utc: datetime,
        instant: float,
    ) -> None:
        key, state = event_key(event.id), event.drain
        facts: dict[str, object] = {"node": node, "event_id": event.id, "event_type": event.type}
        if state == "begun":
            self._begun.setdefault(key, instant)
            self._log.info("drain.begun", **facts)
            self._herald.node("DrainStarted", f"Moving pods away before {event.type} {event.id}", event.id)
            return
        self._metrics.drains.labels(str(state)).inc()
        if (since := self._begun.get(key)) is not None:
            facts["seconds"] = round(instant - since, 1)
            self._metrics.drain_seconds.observe(instant - since)
        if state == "done":
            self._done(facts, shown, utc)
        elif state == "stopped":
            self._log.info("drain.stopped", **facts)
        else:
            left = named(step.left) if step else self._left
            self._log.error("drain.failed", **facts, pods=left)
            text = f"{event.type} {event.id} comes before all pods were moved: {'; '.join(left) or 'not known which'}"
            self._herald.node("DrainFailed", text, event.id, warning=True)

    def _done(self, facts: dict[str, object], shown: ScheduledEvent | None, utc: datetime) -> None:
        if shown is not None and shown.not_before is not None:
            margin = time_left(shown, utc)
            self._metrics.margin_seconds.observe(margin)
            facts["margin"] = round(margin)
        self._log.info("drain.finished", **facts)
        self._herald.node(
            "DrainDone", f"All pods were moved before {facts['event_type']} {facts['event_id']}", str(facts["event_id"])
        )

    def _tell_left(self, step: DrainStep | None, node: str) -> None:
        self._metrics.pods_left.set(len(step.left) + len(step.asks) if step else 0)
        left = named(step.left) if step else []
        if left and left != self._left:
            self._log.info("drain.pods_left", node=node, count=len(step.left) if step else 0, pods=left)
        self._left = left or self._left

    def _tell_queue(self, turn: Turn, node: str) -> None:
        self._metrics.budget_waiting.set(bool(turn.queue))
        if turn.queue and turn.queue != self._queue:
            self._log.info("budget.waiting", node=node, holders=list(turn.queue))
            self._herald.node("BudgetWaiting", f"Waits for one of {', '.join(turn.queue)} to come back", "queue")
        self._queue = turn.queue
        if turn.unbudgeted and not self._unbudgeted:
            self._metrics.unbudgeted.inc()
            self._log.warning("budget.overridden", node=node, because="the event is too near to wait any longer")
        self._unbudgeted = turn.unbudgeted
