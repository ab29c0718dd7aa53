from datetime import timedelta

import pytest

from agent.core.policy import DEFAULT_RULES, Policy, Rule, decide, drain_start, span, time_left
from tests.core.builders import NOW, event

POLICY = Policy()
DRAINING = Policy(rules={**DEFAULT_RULES, "Reboot": Rule(do="drain"), "Preempt": Rule(do="drain")})


def away(**gap):
    return {"not_before": NOW + timedelta(**gap)}


# What an event is worth by default (DESIGN 4.2).


@pytest.mark.parametrize("kind", ["Reboot", "Redeploy", "Preempt", "Terminate"])
@pytest.mark.parametrize("status", ["Scheduled", "Started"])
def test_an_event_that_stops_the_vm_is_worth_a_cordon(kind, status):
    decision = decide(event(kind=kind, status=status), POLICY, NOW)
    assert (decision.do, decision.because, decision.rule) == ("cordon", f"{kind} stops the VM", kind)


def test_an_unknown_type_is_worth_a_cordon():
    decision = decide(event(kind="Relocate"), POLICY, NOW)
    assert (decision.do, decision.rule) == ("cordon", "other")
    assert decision.because == "type 'Relocate' is not known: better safe"


@pytest.mark.parametrize(
    ("duration", "do", "because"),
    [
        (0, "notify", "its 0 s are below 30s"),
        (29, "notify", "its 29 s are below 30s"),
        (30, "cordon", "its 30 s are not below 30s"),
        (None, "cordon", "its length is not known"),
    ],
)
def test_a_freeze_known_to_be_shorter_than_thirty_seconds_is_told_and_any_other_cordoned_for(duration, do, because):
    decision = decide(event(kind="Freeze", duration=duration), POLICY, NOW)
    assert (decision.do, decision.because) == (do, f"a freeze pauses the VM; {because}")
    assert decision.rule == ("Freeze, below 30s" if do == "notify" else "Freeze, else")


def test_a_short_duration_excuses_no_other_type():
    assert decide(event(kind="Reboot", duration=1), POLICY, NOW).do == "cordon"


@pytest.mark.parametrize("status", ["Paused", "scheduled ", ""])
def test_an_unknown_status_is_only_told(status):
    decision = decide(event(status=status), POLICY, NOW)
    assert (decision.do, decision.ultimately, decision.rule) == ("notify", "notify", "unknown status")


# Time.


def test_an_event_days_ahead_is_told_now_and_says_what_it_will_be_and_when():
    decision = decide(event(**away(days=3)), POLICY, NOW)
    assert (decision.do, decision.ultimately) == ("notify", "cordon")
    assert decision.changes_in == 3 * 86_400 - 3600
    assert "too early to cordon" in decision.because


@pytest.mark.parametrize(("gap", "do"), [(3601, "notify"), (3600, "cordon"), (0, "cordon"), (-5, "cordon")])
def test_a_cordon_begins_an_hour_before(gap, do):
    assert decide(event(**away(seconds=gap)), POLICY, NOW).do == do


def test_a_preempt_is_never_too_early():
    decision = decide(event(kind="Preempt", **away(days=1)), DRAINING, NOW)
    assert (decision.do, decision.changes_in) == ("drain", None)


@pytest.mark.parametrize("status", ["Scheduled", "Started"])
def test_an_event_without_a_time_may_begin_now(status):
    without = event(status=status, not_before=None)
    assert time_left(without, NOW) == 0
    assert decide(without, DRAINING, NOW).do == "drain"


def test_a_drain_begins_as_late_as_the_pods_allow_and_the_cordon_earlier():
    decision = decide(event(**away(seconds=900)), DRAINING, NOW, drain_need=90)
    assert (decision.do, decision.ultimately, decision.changes_in) == ("cordon", "drain", 900 - 90 - 300)
    assert decide(event(**away(seconds=390)), DRAINING, NOW, drain_need=90).do == "drain"
    assert decide(event(**away(seconds=391)), DRAINING, NOW, drain_need=90).do == "cordon"


def test_a_drain_that_needs_longer_than_the_cordon_is_early_takes_the_cordon_along():
    decision = decide(event(**away(hours=2)), DRAINING, NOW, drain_need=3 * 3600)
    assert decision.do == "drain"
    early = decide(event(**away(hours=4)), DRAINING, NOW, drain_need=3 * 3600)
    assert (early.do, early.changes_in) == ("notify", 3600 - 300)


def test_a_drain_that_somebody_waits_for_begins_at_once():
    assert decide(event(**away(days=2)), DRAINING, NOW, at_once=True).do == "drain"
    assert decide(event(kind="Redeploy", **away(days=2)), DRAINING, NOW, at_once=True).do == "notify"


@pytest.mark.parametrize(
    ("rule", "policy", "expected"),
    [
        (Rule(do="drain"), Policy(drain_margin=10), 60.0),
        (Rule(do="drain"), Policy(drain_before=7), 7),
        (Rule(do="drain", drain_before=5), Policy(drain_before=7), 5),
        (Rule(do="drain", drain_before=0), Policy(drain_before=7), 0),
    ],
)
def test_the_rule_knows_better_than_the_policy_when_a_drain_begins(rule, policy, expected):
    assert drain_start(rule, policy, 50) == expected


def test_a_rule_may_cordon_at_its_own_time():
    early = Policy(rules={"Redeploy": Rule(do="cordon", cordon_before=86_400)})
    assert decide(event(kind="Redeploy", **away(hours=23)), early, NOW).do == "cordon"
    late = Policy(rules={"Redeploy": Rule(do="cordon", cordon_before=0)})
    assert decide(event(kind="Redeploy", **away(seconds=1)), late, NOW).do == "notify"


# Conditions.

BY_SOURCE = Policy(rules={"Reboot": Rule(do="ignore", source="User", otherwise=Rule(do="cordon"))})
BY_TIME = Policy(rules={"Reboot": Rule(do="cordon", within=600, otherwise=Rule(do="notify"))})


@pytest.mark.parametrize(
    ("source", "do"), [("User", "ignore"), ("user", "ignore"), ("Platform", "cordon"), (None, "cordon")]
)
def test_a_rule_may_look_at_who_asked_for_the_event(source, do):
    decision = decide(event(source=source), BY_SOURCE, NOW)
    assert decision.do == do
    assert f"asked for by {source or 'nobody known'}" in decision.because


def test_a_rule_may_look_at_the_time_left_and_says_when_that_will_count():
    far = decide(event(**away(minutes=30)), BY_TIME, NOW)
    assert (far.do, far.rule, far.changes_in) == ("notify", "Reboot, else", 20 * 60)
    assert "30m away, not within 10m" in far.because
    near = decide(event(**away(minutes=10)), BY_TIME, NOW)
    assert (near.do, near.rule, near.changes_in) == ("cordon", "Reboot, within 10m", None)


def test_all_conditions_of_a_rule_must_hold():
    both = Policy(rules={"Freeze": Rule(do="ignore", below=10, source="User", otherwise=Rule(do="drain"))})
    assert decide(event(kind="Freeze", duration=5, source="User"), both, NOW).do == "ignore"
    assert decide(event(kind="Freeze", duration=5, source="Platform"), both, NOW).ultimately == "drain"
    assert decide(event(kind="Freeze", duration=50, source="User"), both, NOW).ultimately == "drain"


def test_where_no_condition_is_met_and_nothing_else_is_said_the_event_is_told():
    alone = Policy(rules={"Freeze": Rule(do="cordon", below=10)})
    decision = decide(event(kind="Freeze", duration=60), alone, NOW)
    assert (decision.do, decision.rule) == ("notify", "Freeze, no condition met")


def test_a_policy_without_a_rule_for_others_is_careful_with_them():
    assert decide(event(kind="Relocate"), Policy(rules={}), NOW).do == "cordon"


def test_a_policy_drains_if_any_rule_may():
    assert DRAINING.drains
    assert not POLICY.drains
    assert Policy(rules={"Freeze": Rule(do="notify", below=1, otherwise=Rule(do="drain"))}).drains


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.5, "0.5s"), (30, "30s"), (90, "1m30s"), (3600, "1h"), (93_600, "1d2h"), (604_800, "7d")],
)
def test_times_are_told_as_people_write_them(seconds, text):
    assert span(seconds) == text
