"""What an operator reads: the log as a story, and the same facts as metrics. Said when it changes, not at each look."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from agent.clients.cluster_errors import ClusterConflict, ClusterError, ClusterRefused, NodeMissing
from agent.core.actions import ApplyMark, Group
from agent.core.events import ScheduledEvent, event_key
from agent.core.judgement import own_events
from agent.core.labels import own_key
from agent.core.maintenance import Cordon, Drain, Notify, Plan, Release
from agent.core.mark import Mark
from agent.core.marking import standing_mark, vm_name
from agent.core.policy import Decision, decide
from agent.daemon.alike import Said
from agent.daemon.progress import Progress
from agent.log import say_fault

if TYPE_CHECKING:
    from datetime import datetime

    from agent.core.known import Known, Rules, Turn
    from agent.core.node import NodeView
    from agent.core.refusal import Refusal
    from agent.daemon.board import Facts
    from agent.daemon.herald import Herald
    from agent.daemon.metrics import Metrics

SAY_AGAIN = 20  # failures in a row between two warnings: once at first, then about every quarter of an hour


def plan_name(plan: Plan) -> str:
    """Return the plan's name as metrics and log show it."""
    return type(plan).__name__.lower()


def event_facts(event: ScheduledEvent, decision: Decision) -> dict[str, object]:
    """Return what the log says of an event and of what the policy makes of it."""
    return {
        "event_id": event.id,
        "event_type": event.type,
        "status": event.status,
        "not_before": event.not_before.isoformat() if event.not_before else None,
        "duration": event.duration,
        "source": event.source,
        "decision": decision.do,
        "rule": decision.rule,
        "because": decision.because,
    }


class Story:
    """Remembers what was said last, so that nothing is said twice."""

    def __init__(self, log: Any, metrics: Metrics, rules: Rules, herald: Herald) -> None:
        """Begin with nothing said."""
        self._log = log
        self._herald = herald
        self._progress = Progress(log, metrics, herald)
        self._metrics = metrics
        self._rules = rules
        self._told: set[tuple[str, str, str]] = set()
        self._confirmed: set[str] = set()
        self._settled: frozenset[str] = (
            frozenset()
        )  # keys of events that want a cordon, and a turn ended well with them
        self._said = Said()
        self._failing = False
        self._ours: str = ""  # ids of the events for which the node was cordoned when we last looked

    def acting(self, known: Known, view: NodeView, turn: Turn, utc: datetime) -> None:
        """Say what was heard, and the turn in one sentence, before it is carried out."""
        for event in own_events(known.hearing, vm_name(known.sighting, view, self._rules.labels.domain)):
            self._tell_event(event, view, utc)
        if turn.override:
            self._metrics.overrides.inc()
            self._log.warning("cordon.overridden", node=view.name, because="somebody made the node schedulable")
            self._herald.node(
                "CordonOverridden", "Somebody made the node schedulable during an event: so it stays", "", warning=True
            )
        if turn.plan is None or not any(isinstance(action, ApplyMark) for action in turn.actions):
            return
        plan, facts = turn.plan, {"node": view.name, "plan": plan_name(turn.plan)}
        match plan:
            case Cordon() | Drain():
                ids = [event.id for event in plan.mark.events if event.cordons]
                # A failure has been told, and that it is tried again goes without saying; so does a mark brought up to date.
                if self._said.is_new("wanted", tuple(ids)) or not (self._failing or view.unschedulable):
                    self._log.info("node.cordon_wanted", **facts, event_id=ids, already=bool(view.unschedulable))
            case Notify():
                self._log.info("node.mark_wanted", **facts, event_id=[event.id for event in plan.mark.events])
            case Release():
                self._log.info("node.release_wanted", **facts, holds=[hold.who for hold in turn.holds])
            case _:
                pass

    def told(self, known: Known, view: NodeView, turn: Turn, *, utc: datetime, instant: float) -> None:
        """Say what this turn ended with, where it differs from the last one."""
        self._recovered(view.name)
        plan = turn.plan
        if plan is None:
            return
        name = vm_name(known.sighting, view, self._rules.labels.domain)
        own = own_events(known.hearing, name)
        for event in own:
            self._tell_event(event, view, utc)
        self._metrics.set_events(dict(Counter((event.type, event.status) for event in own)))
        self._metrics.set_plan(plan_name(plan))
        self._metrics.hold.set(bool(turn.holds))
        kinds = Counter(own_key(key, self._rules.labels.domain) for key in view.labels)
        for group in ("facts", "tags"):
            self._metrics.labels.labels(group).set(kinds[group])
            refusal = known.refusals.get(group)
            self._metrics.refused.labels(group).set(refusal is not None and refusal.until > instant)
        marks = plan.mark.events if isinstance(plan, (Cordon, Drain, Notify)) else ()
        self._metrics.override.set(any(event.overridden for event in marks))
        self._progress.told(turn, own, view.name, utc=utc, instant=instant)
        self.confirmed(known, view, plan, instant)
        waits = plan.waiting_for if isinstance(plan, Cordon) and view.unschedulable else None
        if waits and self._said.is_new("waiting", waits):
            self._log.info("node.release_waiting", node=view.name, because=waits)
        if view.unschedulable or not isinstance(plan, (Cordon, Drain)):
            self._settled = frozenset(event_key(event.id) for event in own if self._cordons(event, utc))
        self._tell_end(plan, view)
        cordoned = bool(view.unschedulable) if view.full else None
        state = (plan_name(plan), cordoned, tuple(hold.who for hold in turn.holds))
        if cordoned is not None and self._said.is_new("state", state):
            self._log.info("node.reconciled", node=view.name, plan=state[0], cordoned=cordoned, holds=list(state[2]))
        present = {event_key(event.id) for event in own}
        self._told = {key for key in self._told if key[0] in present}
        self._confirmed &= present | {event_key(event.id) for event in marks}  # gone, but not yet given back

    def _tell_end(self, plan: Plan, view: NodeView) -> None:
        """Tell others once that the node is theirs again, or that somebody else keeps it."""
        if isinstance(plan, (Cordon, Drain)) and view.unschedulable:
            self._ours = ", ".join(event.id for event in plan.mark.events if event.cordons)
        elif self._ours and view.full and not isinstance(plan, (Cordon, Drain, Release)):
            overridden = isinstance(plan, Notify) and any(event.overridden for event in plan.mark.events)
            if view.unschedulable:
                text = "Our events are over; the node stays cordoned, since somebody else wants it so"
                self._herald.node("CordonHandedOver", text, self._ours)
            elif not overridden:
                self._herald.node("NodeReleased", "Schedulable again: our events are over", self._ours)
            self._ours = ""

    def _cordons(self, event: ScheduledEvent, utc: datetime) -> bool:
        return decide(event, self._rules.events, utc).do in ("cordon", "drain")

    def unconfirmed(self, facts: Facts, utc: datetime) -> int:
        """Return how many events want a cordon without a turn that has ended well since; asked at each scrape.

        By the policy alone: what switch, budgets and people make of it is known once a turn has ended.
        """
        own = own_events(facts.hearing, facts.sighting.instance.name if facts.sighting else None)
        return sum(event_key(event.id) not in self._settled and self._cordons(event, utc) for event in own)

    def _began_unseen(self, event: ScheduledEvent, view: NodeView, notice: float | None) -> bool:
        """Return whether an event had begun before anybody here knew of it: a former process would have marked it."""
        mark = standing_mark(view, self._rules.labels.domain) or Mark()
        known = {event_key(each.id) for each in mark.events}
        return (event.status == "Started" or (notice is not None and notice <= 0)) and event_key(event.id) not in known

    def _tell_event(self, event: ScheduledEvent, view: NodeView, utc: datetime) -> None:
        decision = decide(event, self._rules.events, utc)
        key = (event_key(event.id), event.status, decision.do)
        if key in self._told:
            return
        first = not any(told[0] == key[0] for told in self._told)
        self._told.add(key)
        notice = (event.not_before - utc).total_seconds() if event.not_before else None
        if first and notice is not None:
            self._metrics.notice_seconds.observe(max(0.0, notice))
        if first and self._began_unseen(event, view, notice):
            self._metrics.without_notice.inc()
        self._log.info("event.seen", **event_facts(event, decision))
        if first:
            when = f"not before {event.not_before:%Y-%m-%d %H:%M:%S} UTC" if event.not_before else "at any time"
            text = f"{event.type} {event.id}, {when}: {decision.do} ({decision.because})"
            self._herald.node("ScheduledEventSeen", text, event_key(event.id))

    def confirmed(self, known: Known, view: NodeView, plan: Plan | None, instant: float) -> None:
        """Say of each event, once, that the API server has confirmed the cordon for it: before all that is slow."""
        if not isinstance(plan, (Cordon, Drain)) or not view.unschedulable:
            return
        for event in (event for event in plan.mark.events if event.cordons):
            key = event_key(event.id)
            seen = known.hearing.first_seen.get(key)
            if key in self._confirmed or seen is None:
                continue
            self._confirmed.add(key)
            self._metrics.cordon_seconds.observe(instant - seen)
            self._log.info("node.cordoned", node=view.name, event_id=event.id, seconds=round(instant - seen, 3))
            self._herald.node("NodeCordoned", f"Cordoned for {event.type} {event.id}", event.id)

    def failed(self, node: str, error: Exception, failures: int) -> None:
        """Say that a turn failed: at first, and now and then while it goes on."""
        self._failing = True
        if not isinstance(error, ClusterError):
            if self._said.is_new("fault", repr(error)) or failures % SAY_AGAIN == 0:
                say_fault(self._log, "loop", error)
        elif isinstance(error, NodeMissing):
            if self._said.is_new("missing", "yes"):
                self._log.warning("node.missing", node=node, error=str(error))
        elif isinstance(error, ClusterRefused):
            if self._said.is_new("refused", str(error)) or failures % SAY_AGAIN == 0:
                self._log.error("node.refused", node=node, error=str(error))
        elif isinstance(error, ClusterConflict):
            if failures == 1 or failures % SAY_AGAIN == 0:
                self._log.warning("node.contended", node=node, error=str(error), failures=failures)
        elif failures == 1 or failures % SAY_AGAIN == 0:
            self._log.warning("cluster.unavailable", node=node, error=str(error), failures=failures)

    def _recovered(self, node: str) -> None:
        if self._failing:
            self._failing = False
            self._said.forget("missing")
            self._said.forget("refused")
            self._log.info("cluster.recovered", node=node)

    def refused(self, group: Group, refusal: Refusal, error: ClusterRefused) -> None:
        """Say once what admission refused and what is left out for it."""
        left_out = "everything" if refusal.everything else "labels" if refusal.labels else sorted(refusal.keys)
        if self._said.is_new(f"refusal-{group}", left_out):
            self._log.error("labels.refused", group=group, left_out=left_out, error=error.message[:256])
