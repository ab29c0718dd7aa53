import pytest

from agent.core.health import FIRST, Health, Pulse, Signs, health


def signs(attempted=None, at_most=10.0, **more):
    return Signs(started=100.0, pulses={"loop": Pulse(attempted=attempted, at_most=at_most)}, **more)


@pytest.mark.parametrize(("now", "stuck"), [(130, False), (210, False), (211, True)])
def test_a_loop_is_stuck_when_its_last_attempt_is_too_old(now, stuck):
    assert bool(health(signs(attempted=200.0), now).stuck) is stuck


def test_a_first_attempt_may_take_longer():
    assert health(signs(), 100 + 10 + FIRST).stuck == ()
    assert health(signs(), 100 + 11 + FIRST).stuck == ("loop: no attempt finished for 41 s, at most 40 s expected",)


def test_partners_that_never_answer_make_no_loop_stuck():
    judged = health(signs(attempted=200.0, answers={"imds": None, "node": None}), 205)
    assert judged == Health(stuck=(), not_ready=("imds: no good answer yet", "node: no good answer yet"))


def test_ready_means_that_each_needed_partner_answered_once_however_long_ago():
    assert health(signs(attempted=9e9, answers={"imds": 101.0, "node": 102.0}), 9e9).not_ready == ()


def test_a_partner_that_is_not_needed_is_not_waited_for():
    assert health(signs(attempted=1.0, answers={"imds": None, "node": 1.0}, needed=("node",)), 2).not_ready == ()
    assert health(Signs(started=0.0, needed=("events",)), 1).not_ready == ("events: no good answer yet",)


def test_stuck_loops_are_named_in_a_stable_order():
    pulses = {name: Pulse(attempted=0.0, at_most=1.0) for name in ("loop", "events", "instance")}
    told = health(Signs(started=0.0, pulses=pulses), 100).stuck
    assert [line.split(":")[0] for line in told] == ["events", "instance", "loop"]
