"""Metrics: every name is there from the start, no label is unbounded, ages are computed when asked for."""

import re

from prometheus_client import generate_latest

from agent.core.events import EVENT_TYPES
from agent.daemon.metrics import PLANS, STATUSES, Ages, Metrics


def samples(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """Return label values -> value of one metric as a scrape shows it."""
    found = {}
    for line in generate_latest(metrics.registry).decode().splitlines():
        if line.startswith((f"{name}{{", f"{name} ")):
            labels, _, value = line.removeprefix(name).rpartition(" ")
            given = sorted(re.findall(r'(\w+)="([^"]*)"', labels), reverse=True)  # type before status
            found[tuple(value for _, value in given)] = float(value)
    return found


def test_a_first_scrape_shows_what_alerts_are_written_on():
    metrics = Metrics()
    assert set(samples(metrics, "imds_agent_plan")) == {(plan,) for plan in PLANS}
    assert set(samples(metrics, "imds_agent_labels_applied")) == {("facts",), ("tags",)}
    assert set(samples(metrics, "imds_agent_labels_refused")) == {("facts",), ("tags",)}
    assert set(samples(metrics, "imds_agent_conflicts_total")) == {("facts",), ("tags",)}
    assert samples(metrics, "imds_agent_own_node_policy_enforced") == {(): -1.0}
    assert samples(metrics, "imds_agent_cordon_seconds_count") == {(): 0.0}
    assert list(samples(metrics, "imds_agent_build_info").values()) == [1.0]


def test_one_plan_is_in_force_at_a_time():
    metrics = Metrics()
    metrics.set_plan("cordon")
    metrics.set_plan("release")
    assert samples(metrics, "imds_agent_plan") == {(plan,): float(plan == "release") for plan in PLANS}


def test_events_of_unknown_words_count_as_other_and_add_up():
    metrics = Metrics()
    before = set(samples(metrics, "imds_agent_events"))
    counted = {("Reboot", "Scheduled"): 2, ("Hibernate", "Odd"): 1, ("Melt", "Odder"): 3, ("Freeze", "Odd"): 1}
    metrics.set_events(counted)
    found = samples(metrics, "imds_agent_events")
    assert {key: value for key, value in found.items() if value} == {
        ("Reboot", "Scheduled"): 2.0,
        ("other", "other"): 4.0,
        ("Freeze", "other"): 1.0,
    }
    assert set(found) == before == {(kind, status) for kind in (*EVENT_TYPES, "other") for status in STATUSES}


def test_events_that_are_gone_count_nothing():
    metrics = Metrics()
    metrics.set_events({("Reboot", "Started"): 1})
    metrics.set_events({})
    assert set(samples(metrics, "imds_agent_events").values()) == {0.0}


def test_a_partner_that_never_answered_has_no_age_and_the_others_grow_old_at_each_scrape():
    metrics, ages = Metrics(), {"imds": 3.0, "node": None}
    metrics.registry.register(Ages(lambda: ages))
    assert samples(metrics, "imds_agent_answer_age_seconds") == {("imds",): 3.0}
    ages["imds"] = 9.0
    assert samples(metrics, "imds_agent_answer_age_seconds") == {("imds",): 9.0}


def test_two_agents_in_one_process_do_not_share_numbers():
    one, other = Metrics(), Metrics()
    one.set_plan("cordon")
    assert set(samples(other, "imds_agent_plan").values()) == {0.0}
