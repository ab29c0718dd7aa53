"""Actions that are not about the node itself: asking pods to leave, places in budgets, approval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.clients.cluster import AT_ONCE
from agent.clients.cluster_errors import ClusterError, ClusterRefused, ClusterUnavailable
from agent.clients.cluster_pods import delete, evict
from agent.core.actions import Approve, Ask, FreePlace, RenewPlace, TakePlace
from agent.core.drain import Attempt
from agent.daemon.alike import Approvals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.clients.cluster import Cluster
    from agent.clients.cluster_pods import Outcome
    from agent.clients.imds import Imds
    from agent.core.known import Rules
    from agent.core.node import NodeView
    from agent.daemon.clock import Clock
    from agent.daemon.herald import Herald
    from agent.daemon.looks import Looks
    from agent.daemon.metrics import Metrics

Errand = TakePlace | RenewPlace | FreePlace | Approve


class Errands:
    """Carries out what is slow or concerns others; the cordon stands before any of it is begun."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        imds: Imds | None,
        looks: Looks,
        rules: Rules,
        herald: Herald,
        metrics: Metrics,
        log: Any,
        clock: Clock,
    ) -> None:
        """Act through these connections.

        Args:
            imds: None where there is nobody to approve anything.
        """
        self._cluster = cluster
        self._looks = looks
        self._approvals = Approvals(imds, looks.said, metrics, log, looks.unsent)
        self._rules = rules
        self._herald = herald
        self._metrics = metrics
        self._log = log
        self._clock = clock

    def run(self, errand: Errand, view: NodeView) -> None:
        """Carry out one.

        Raises:
            ClusterError: the API server did not answer, or our rights do not do.
        """
        match errand:
            case TakePlace() | RenewPlace() | FreePlace():
                self._place(errand, view)
            case Approve():
                self._approve(errand, view)

    def ask(self, asks: Sequence[Ask], view: NodeView) -> None:
        """Ask pods to leave, some at the same time.

        The API server takes a tenth of a second for each eviction, since it wants to know the latest disruption budgets (tried,
        1.34: its cache is brought up to date every 100 ms): one after the other, thirty pods would cost three of a Preempt's
        thirty seconds.

        Raises:
            ClusterError: the API server did not answer, or our rights do not do; what was asked is remembered.
        """
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - a node that never drains need not carry it

        with ThreadPoolExecutor(min(AT_ONCE, len(asks))) as workers:
            answers = list(workers.map(self._answer, asks))
        trouble: ClusterError | None = None
        for ask, answer in zip(asks, answers, strict=True):
            found = answer if isinstance(answer, ClusterError) else self._note(ask, answer, view)
            trouble = trouble or found
        if trouble is not None:
            raise trouble

    def _answer(self, ask: Ask) -> Outcome | ClusterError:
        """Ask one pod; called from any thread."""
        send = delete if ask.asking.delete else evict
        try:
            return send(self._cluster, ask.asking.pod, ask.asking.grace)
        except ClusterError as error:
            return error

    def _note(self, ask: Ask, outcome: Outcome, view: NodeView) -> ClusterError | None:
        """Remember and tell what came of asking one pod; returns what the turn must end for."""
        asking, pod = ask.asking, ask.asking.pod
        now = self._clock.monotonic()
        self._looks.tried[pod.uid] = Attempt(at=now, refused=outcome.refused, delete=asking.delete)
        self._metrics.evictions.labels("delete" if asking.delete else "evict", outcome.kind).inc()
        facts = {"pod": str(pod), "node": view.name}
        if outcome.kind == "accepted":
            said = asking.grace if asking.grace is not None else pod.grace
            self._log.info("drain.pod_deleted" if asking.delete else "drain.pod_evicted", **facts, grace=said)
            self._herald.pod_asked(pod, deleted=asking.delete)
        elif outcome.kind == "refused":
            self._said_no(ask, outcome.why, outcome.budget, facts)
        elif outcome.kind == "busy":  # the next pod would hardly fare better, and time-outs add up
            return ClusterUnavailable(outcome.why, outcome.retry_after)
        return None

    def _said_no(self, ask: Ask, why: str, budget: str | None, facts: dict[str, str]) -> None:
        """Say once for each pod, reason and event that it will not go; it is asked again without a word."""
        lasting = " ".join(sorted(event.id for event in self._looks.known().hearing.present()))
        if self._looks.said.is_new(f"pod {ask.asking.pod.uid}", f"{why} before {lasting}"):
            self._log.warning("drain.pod_refused", **facts, budget=budget, because=why)
            self._herald.pod_refused(ask.asking.pod, why)

    def _place(self, errand: TakePlace | RenewPlace | FreePlace, view: NodeView) -> None:
        leases = self._looks.leases(errand.purpose, view)
        now, budget = self._clock.utc(), errand.purpose
        try:
            match errand:
                case TakePlace():
                    rule = self._rules.budgets[budget]
                    if leases.take(errand.take, node=view.name, now=now, expiry=rule.expiry):
                        self._log.info("budget.place_taken", node=view.name, budget=budget, index=errand.take.index)
                case RenewPlace():
                    leases.renew(errand.place, now=now)
                case FreePlace():
                    if leases.free(errand.place, now=now):
                        self._log.info("budget.place_freed", node=view.name, budget=budget, index=errand.place.index)
        except ClusterRefused as refusal:
            if not refusal.lacks_right:  # a policy: the same claim again would be refused again
                raise ClusterUnavailable(f"a place in the {budget} budget: {refusal}") from refusal
            self._looks.no_budget(budget, refusal)
            return
        self._looks.look_at_places(budget, view)

    def _approve(self, errand: Approve, view: NodeView) -> None:
        """Tell the service to go ahead, and others that it was told."""
        if self._approvals.send(errand.event_id, errand.resources, event_type=errand.event_type, node=view.name):
            self._herald.approved(errand)
