"""The numbers the agent gives about itself, in a registry of its own; no label has unbounded values."""

from __future__ import annotations

import sys

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from agent import __version__
from agent.core.events import EVENT_TYPES

PLANS = ("idle", "notify", "cordon", "release")
STATUSES = ("Scheduled", "Started", "other")
# From one API request on an idle server to the 1.2 s budget, and on to what an outage costs.
SECONDS = (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0)
NOTICE = (0, 10, 30, 60, 300, 600, 900, 1800, 3600, 86400, 604800)


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
        self.imds_requests = Counter(
            "imds_agent_imds_requests", "IMDS requests and what came.", ("endpoint", "outcome"), registry=registry
        )
        self.api_requests = Counter(
            "imds_agent_api_requests", "API requests; code 0 is no answer.", ("verb", "code"), registry=registry
        )
        self.policy = Gauge(
            "imds_agent_own_node_policy_enforced", "1 if the policy holds, 0 if not, -1 unknown.", registry=registry
        )
        self.policy.set(-1)
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
