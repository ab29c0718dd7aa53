import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.clients.budget import Budget
from tests.clients.imds_partners import Waits


def budget_of(waits, per_second=2):
    return Budget(per_second, clock=waits.clock, sleep=waits.sleep)


def taken(budget, waits, count):
    times = []
    for _ in range(count):
        budget.take()
        times.append(waits.now - 1000)
    return times


def test_the_first_two_go_at_once_and_then_two_a_second():
    waits = Waits()
    assert taken(budget_of(waits), waits, 6) == [0, 0, 1, 1, 2, 2]


def test_after_a_refusal_half_as_many_go_for_a_minute():
    waits = Waits()
    budget = budget_of(waits)
    budget.halve()
    times = taken(budget, waits, 68)
    assert times[:6] == [0, 0, 2, 2, 4, 4]
    assert times[60:] == [60, 60, 61, 61, 62, 62, 63, 63]


def test_a_budget_of_nothing_is_refused():
    with pytest.raises(ValueError, match="expected at least 1, found 0"):
        budget_of(Waits(), per_second=0)


@given(st.lists(st.floats(0, 3), max_size=40), st.integers(1, 5))
def test_never_more_than_the_budget_in_any_second(pauses, per_second):
    waits = Waits()
    budget = budget_of(waits, per_second)
    times = []
    for pause in pauses:
        waits.sleep(pause)
        budget.take()
        times.append(waits.now)
    assert all(later - now >= 1 - 1e-9 for now, later in zip(times, times[per_second:], strict=False))


def test_two_threads_share_one_budget():
    """What counts is the instant at which each request was let go: the last one that its thread read from the clock."""
    waits, read, gone = Waits(), threading.local(), []

    def clock():
        read.last = waits.clock()
        return read.last

    budget = Budget(2, clock=clock, sleep=waits.sleep)

    def take_some():
        for _ in range(20):
            budget.take()
            gone.append(read.last)

    threads = [threading.Thread(target=take_some) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gone.sort()
    assert len(gone) == 40
    assert all(later - now >= 1 for now, later in zip(gone, gone[2:], strict=False))
