"""What threads tell each other: the latest value wins, and the loop's bell rings only for news."""

import threading
import time

from agent.core.health import health
from agent.daemon.board import Board
from tests.core.builders import document, event, hearing, sighting

LONG = 30.0  # seconds; far more than a ring takes to be heard
SHORT = 0.05  # seconds


def board(**given) -> Board:
    return Board(started=100.0, at_most={"loop": 10.0, "events": 5.0}, needed=("imds", "node"), **given)


def rings(found: Board) -> bool:
    """Say whether a ring comes within a generous time, and take it."""
    begun = time.monotonic()
    found.wait(LONG)
    return time.monotonic() - begun < LONG


def quiet(found: Board) -> bool:
    """Say whether no ring waits: then the shortest wait takes its whole time."""
    begun = time.monotonic()
    found.wait(SHORT)
    return time.monotonic() - begun >= SHORT * 0.9


def test_a_new_sighting_rings_and_the_same_again_does_not():
    found = board()
    assert found.facts().sighting is None
    found.put_sighting(sighting())
    assert rings(found)
    assert found.facts().sighting == sighting()
    found.put_sighting(sighting())
    assert quiet(found)
    found.put_sighting(sighting(vm_size="another"))
    assert rings(found)


def test_one_more_agreeing_answer_rings_since_it_may_settle_what_is_known():
    found = board()
    found.put_sighting(sighting(agreed=2))
    assert rings(found)
    found.put_sighting(sighting(agreed=3))
    assert rings(found)


def test_a_document_of_events_rings_when_it_differs_but_its_time_is_kept_in_any_case():
    found = board()
    found.put_hearing(hearing((1.0, document(event()))))
    assert rings(found)
    later = hearing((1.0, document(event())), (2.0, document(event())))
    found.put_hearing(later)
    assert quiet(found)
    assert found.facts().hearing.last_good == 2.0
    found.put_hearing(hearing((1.0, document(event())), (3.0, document())))
    assert rings(found)


def test_rings_that_came_together_count_once_and_the_latest_value_wins():
    found = board()
    for size in ("A", "B", "C"):
        found.put_sighting(sighting(vm_size=size))
    assert rings(found)
    assert quiet(found)
    assert found.facts().sighting.instance.vm_size == "C"


def test_a_wait_ends_when_the_bell_rings_in_another_thread():
    found = board()
    ringer = threading.Timer(0.05, found.put_sighting, [sighting()])
    ringer.start()
    found.wait(LONG)
    assert found.facts().sighting == sighting()  # a wait that ran out would have ended the test much later
    ringer.join()


def test_a_wait_for_less_than_nothing_does_not_wait():
    board().wait(-1.0)


def test_what_was_taken_off_the_board_does_not_change_afterwards():
    found = board()
    before = found.facts()
    found.put_sighting(sighting())
    assert before.sighting is None


def test_events_are_wanted_while_they_are_on_whatever_the_node_says():
    found = board()
    assert found.events_wanted.is_set()
    found.events_wanted_by_mark(marked=False)
    assert found.events_wanted.is_set()


def test_with_events_off_a_mark_alone_wants_them_and_until_it_is_gone():
    found = board(events_on=False)
    assert not found.events_wanted.is_set()
    found.events_wanted_by_mark(marked=True)
    assert found.events_wanted.is_set()
    found.events_wanted_by_mark(marked=False)
    assert not found.events_wanted.is_set()


def test_attempts_and_answers_are_what_health_is_judged_by():
    found = board()
    assert health(found.signs(), 105.0).not_ready == ("imds: no good answer yet", "node: no good answer yet")
    found.answered("imds", 101.0)
    found.answered("node", 102.0)
    found.attempted("loop", 103.0)
    signs = found.signs()
    assert (signs.started, signs.answers) == (100.0, {"imds": 101.0, "node": 102.0})
    assert (signs.pulses["loop"].attempted, signs.pulses["events"].attempted) == (103.0, None)
    assert health(signs, 105.0).not_ready == ()
    assert health(signs, 114.0).stuck == ("loop: no attempt finished for 11 s, at most 10 s expected",)
