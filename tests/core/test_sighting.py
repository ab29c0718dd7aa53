from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agent.core.sighting import ENOUGH, Sighting, sighted
from agent.core.storage import StorageProfile
from tests.core.builders import instance

WHOLE = instance()
MOVED = instance(fault_domain=1)
NAMELESS = replace(WHOLE, name=None)


def after(*documents):
    known = None
    for said in documents:
        known = sighted(known, said)
    return known


def test_three_complete_documents_that_agree_settle_the_facts_and_two_do_not():
    assert [after(*[WHOLE] * n).settled for n in (1, 2, 3)] == [False, False, True]


def test_the_count_ends_at_three_so_that_a_quiet_vm_brings_no_news():
    assert after(*[WHOLE] * 9) == after(*[WHOLE] * ENOUGH) == Sighting(instance=WHOLE, agreed=3)


def test_a_change_must_be_seen_three_times_anew():
    assert after(WHOLE, WHOLE, WHOLE, MOVED) == Sighting(instance=MOVED, agreed=1)
    assert after(WHOLE, WHOLE, WHOLE, MOVED, MOVED, MOVED).settled


def test_facts_that_flap_never_settle():
    assert not any(after(*[WHOLE, MOVED] * n).settled for n in range(1, 6))


def test_a_partial_answer_teaches_nothing_after_a_complete_one():
    assert after(WHOLE, NAMELESS) == after(WHOLE)


def test_a_partial_answer_in_between_does_not_delay_the_third():
    assert after(WHOLE, NAMELESS, WHOLE, NAMELESS, WHOLE).settled


def test_a_partial_answer_is_all_there_is_until_a_complete_one_comes():
    assert after(NAMELESS) == Sighting(instance=NAMELESS, agreed=0)
    assert after(NAMELESS, NAMELESS, NAMELESS, NAMELESS).agreed == 0
    assert after(NAMELESS, WHOLE) == Sighting(instance=WHOLE, agreed=1)


def test_tags_that_vanish_for_one_poll_begin_the_count_anew_and_are_back_with_the_next():
    assert after(WHOLE, WHOLE, WHOLE, instance(tags=()), WHOLE) == Sighting(instance=WHOLE, agreed=1)


@given(st.text("WMn", min_size=1, max_size=12))
def test_facts_are_settled_just_when_the_last_three_complete_documents_agree(story):
    complete = story.replace("n", "")[-ENOUGH:]
    known = after(*[{"W": WHOLE, "M": MOVED, "n": NAMELESS}[letter] for letter in story])
    assert known.settled is (complete in ("WWW", "MMM"))


def test_a_disk_that_comes_and_goes_keeps_no_label_from_settling():
    known = after(WHOLE, replace(WHOLE, storage=StorageProfile(resource_disk_size="1024")), WHOLE)
    assert known is not None
    assert known.settled


def test_new_user_data_is_kept_and_counts_as_agreement():
    known = after(WHOLE, replace(WHOLE, user_data="Zm9v"))
    assert known == Sighting(instance=replace(WHOLE, user_data="Zm9v"), agreed=2)
