"""The numbers the agent gives about itself, in a registry of its own; no label has unbounded values."""

from __future__ import annotations

import sys

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from agent import __version__
from agent.core.events import EVENT_TYPES
from agent.core.switch import Switch

PLANS = ("idle", "notify", "cordon", "drain", "release")
STATUSES = ("Scheduled", "Started", "other")
# From one API request on an idle server to the 1.2 s budget, and on to what an outage costs.
SECONDS = (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0)
LONG = (1, 3, 10, 30, 60, 120, 300, 600, 900, 1800, 3600)
NOTICE = (0, 10, 30, 60, 300, 600, 900, 1800, 3600, 86400, 604800)


def positions(switch: Switch) -> dict[str, str]:
    """Return the switch's positions by name, as log and metrics show them."""
    return {name: getattr(switch.effective(), name) for name in ("cordon", "drain", "approve", "labels")}


class Metrics:
    """All metrics; the prefix is `imds_agent_`."""

    def __init__(self) -> None:
        """Register everything, so that a scrape shows each name from the start."""
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        build = Gauge("imds_agent_build_info", "Version.", ("version", "python"), registry=registry)
        build.labels(__version__, f"{sys.version_info.major}.{sys.version_info.minor}").set(1)
        self.labels = Gauge("imds_agent_labels_applied", "Labels on the node.", ("group",), registry=registry)
        self.refused = Gauge("imds_agent_labels_refused", "1 while admission refuses.", ("group",), registry=registry)
        self.conflicts = Counter("imds_agent_conflicts", "Fields taken from others.", ("group",), registry=registry)
        self.plan = Gauge("imds_agent_plan", "1 for the plan in force.", ("plan",), registry=registry)
        self.hold = Gauge("imds_agent_hold", "1 while others hold the node.", registry=registry)
        self.override = Gauge("imds_agent_override", "1 while an event is overridden.", registry=registry)
        self.overrides = Counter("imds_agent_overrides", "Cordons that somebody took back.", registry=registry)
        self.events = Gauge("imds_agent_events", "Events that concern this VM.", ("type", "status"), registry=registry)
        self.cordon_seconds = Histogram(
            "imds_agent_cordon_seconds",
            "From an event first seen to the cordon confirmed.",
            buckets=SECONDS,
            registry=registry,
        )
        self.notice_seconds = Histogram(
            "imds_agent_notice_seconds", "From an event first seen to NotBefore.", buckets=NOTICE, registry=registry
        )
        self.unconfirmed = Gauge(
            "imds_agent_cordons_unconfirmed", "Events whose cordon nobody has confirmed yet.", registry=registry
        )
        self.without_notice = Counter(
            "imds_agent_events_without_notice", "Events that had begun when first seen.", registry=registry
        )
        self.imds_requests = Counter(
            "imds_agent_imds_requests", "IMDS requests and what came.", ("endpoint", "outcome"), registry=registry
        )
        self.user_data_changes = Counter("imds_agent_user_data_changes", "Changes of userData.", registry=registry)
        self.api_requests = Counter(
            "imds_agent_api_requests", "API requests; code 0 is no answer.", ("verb", "code"), registry=registry
        )
        self.policy = Gauge(
            "imds_agent_own_node_policy_enforced", "1 if the policy holds, 0 if not, -1 unknown.", registry=registry
        )
        self.evictions = Counter(
            "imds_agent_evictions", "Pods asked to leave, and what came of it.", ("how", "outcome"), registry=registry
        )
        self.drains = Counter("imds_agent_drains", "Drains by how they ended.", ("result",), registry=registry)
        self.pods_left = Gauge("imds_agent_pods_left", "Pods that a drain has yet to move.", registry=registry)
        self.drain_seconds = Histogram(
            "imds_agent_drain_seconds", "From a drain's beginning to its end.", buckets=LONG, registry=registry
        )
        self.margin_seconds = Histogram(
            "imds_agent_drain_margin_seconds", "From a drain's end to NotBefore.", buckets=NOTICE, registry=registry
        )
        self.approvals = Counter(
            "imds_agent_approvals", "Approvals and what came of it.", ("outcome",), registry=registry
        )
        self.budget_waiting = Gauge("imds_agent_budget_waiting", "1 while waiting for a place.", registry=registry)
        self.unbudgeted = Counter("imds_agent_unbudgeted", "Drains that could not wait for a place.", registry=registry)
        self.hooks = Counter("imds_agent_hooks", "Hooks by phase and outcome.", ("phase", "outcome"), registry=registry)
        self.skew = Gauge(
            "imds_agent_clock_skew_seconds", "The service's clock less the node's own.", registry=registry
        )
        self.switch = Gauge(
            "imds_agent_switch", "1 for each switch's position.", ("switch", "position"), registry=registry
        )
        self.switch_readable = Gauge("imds_agent_switch_readable", "0 while its file is broken.", registry=registry)
        self.told = Counter(
            "imds_agent_kubernetes_events", "Kubernetes Events by outcome.", ("outcome",), registry=registry
        )
        self.policy.set(-1)
        for how in ("evict", "delete"):
            for outcome in ("accepted", "gone", "refused", "busy"):
                self.evictions.labels(how, outcome)
        for result in ("done", "failed", "stopped"):
            self.drains.labels(result)
        for outcome in ("sent", "failed"):
            self.approvals.labels(outcome)
        self.set_switch(Switch(), readable=True)
        for plan in PLANS:
            self.plan.labels(plan).set(0)
        for group in ("facts", "tags"):
            self.labels.labels(group).set(0)
            self.refused.labels(group).set(0)
            self.conflicts.labels(group)
        self.set_events({})

    def set_plan(self, plan: str) -> None:
        """Show one plan as the one in force."""
        for name in PLANS:
            self.plan.labels(name).set(name == plan)

    def set_switch(self, switch: Switch, *, readable: bool) -> None:
        """Show the switch as it is in force."""
        self.switch_readable.set(readable)
        for name, found in positions(switch).items():
            for position in ("on", "hold", "release"):
                self.switch.labels(name, position).set(found == position)

    def set_events(self, counted: dict[tuple[str, str], int]) -> None:
        """Show how many events of each type and status there are; unknown words count as "other"."""
        found: dict[tuple[str, str], int] = {}
        for (kind, status), number in counted.items():
            key = (kind if kind in EVENT_TYPES else "other", status if status in STATUSES else "other")
            found[key] = found.get(key, 0) + number
        for kind in (*EVENT_TYPES, "other"):
            for status in STATUSES:
                self.events.labels(kind, status).set(found.get((kind, status), 0))


class Ages(Collector):
    """Ages of the last good answers, computed when asked for: a thread that hangs cannot make them look fresh."""

    def __init__(self, answers: object) -> None:
        """Ask `answers()` at each scrape: partner -> seconds since its last good answer, None for never."""
        self._answers = answers

    def collect(self) -> list[GaugeMetricFamily]:
        """Return one sample a partner; none for one that never answered."""
        family = GaugeMetricFamily("imds_agent_answer_age_seconds", "Age of the last good answer.", labels=("partner",))
        for partner, age in self._answers().items():  # type: ignore[operator]
            if age is not None:
                family.add_metric([partner], age)
        return [family]
