"""How long to wait, as pure functions: after failures, between looks, and what each loop may take."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.health import health
from agent.daemon.loop import LATE, PRESSED, pause_after_failure
from agent.daemon.pollers import events_pause, instance_pause
from agent.daemon.run import loop_at_most
from agent.daemon.watch import new_board
from agent.settings import Settings
from tests.core.builders import sighting

CHANCE = st.floats(0, 1)


def test_the_first_failure_is_soon_tried_again_and_each_further_one_later():
    pauses = [pause_after_failure(failures, pressed=False, chance=1.0) for failures in range(1, 9)]
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


@given(st.integers(1, 10**6), CHANCE)
def test_while_an_event_waits_no_pause_is_longer_than_five_seconds(failures, chance):
    assert 0 < pause_after_failure(failures, pressed=True, chance=chance, retry_after=3600.0) <= PRESSED == 5.0


@given(st.integers(1, 10**6), CHANCE)
def test_no_pause_is_longer_than_a_minute_nor_shorter_than_half_of_what_is_due(failures, chance):
    pause = pause_after_failure(failures, pressed=False, chance=chance)
    assert LATE == 60.0
    assert min(60.0, 0.5 * 2 ** min(failures, 10)) / 2 <= pause <= 60.0


def test_a_fleet_does_not_knock_at_once():
    assert len({pause_after_failure(5, pressed=False, chance=part / 10) for part in range(11)}) == 11


def test_what_the_server_asks_for_is_granted_up_to_the_longest_pause():
    assert pause_after_failure(1, pressed=False, chance=0.0, retry_after=20.0) == 20.0
    assert pause_after_failure(1, pressed=False, chance=0.0, retry_after=3600.0) == 60.0
    assert pause_after_failure(9, pressed=False, chance=1.0, retry_after=1.0) == 60.0


@pytest.mark.parametrize(
    ("known", "chance", "pause"),
    [
        (None, 0.5, 10.0),
        (sighting(agreed=0), 0.5, 10.0),
        (sighting(agreed=2), 0.5, 10.0),
        (sighting(agreed=3), 0.5, 300.0),
        (sighting(agreed=3), 0.0, 240.0),
        (sighting(agreed=3), 1.0, 360.0),
    ],
)
def test_the_instance_is_asked_for_often_until_three_answers_agree(known, chance, pause):
    assert instance_pause(known, interval=300.0, confirm=10.0, chance=chance) == pytest.approx(pause)


@pytest.mark.parametrize(
    ("interval", "after_failure"), [(0.2, 0.4), (0.6, 1.2), (1.0, 2.0), (1.5, 2.0), (2.0, 2.0), (10.0, 10.0)]
)
def test_a_failed_poll_of_events_waits_no_longer_than_two_seconds_or_what_was_asked_for(interval, after_failure):
    assert events_pause(interval, good=True) == interval
    assert events_pause(interval, good=False) == pytest.approx(after_failure)


@pytest.mark.parametrize("settings", [Settings(), Settings(instance_interval=5.0, events_interval=30.0)])
def test_no_loop_is_called_stuck_while_it_waits_for_its_slowest_answer(settings):
    board = new_board(settings, 0.0, loop_at_most=loop_at_most(settings), needed=("imds", "node"))
    at_most = {name: pulse.at_most for name, pulse in board.signs().pulses.items()}
    slowest = settings.first_events_timeout + settings.imds_connect_timeout
    assert at_most["events"] > slowest + 2 * settings.events_interval
    assert at_most["instance"] > 1.2 * max(settings.instance_interval, settings.confirm_interval) + 90.0
    assert at_most["loop"] > 1.2 * settings.node_interval + LATE
    for name in at_most:
        board.attempted(name, 0.0)
    assert health(board.signs(), min(at_most.values())).stuck == ()
    assert len(health(board.signs(), max(at_most.values()) + 1).stuck) == 3
