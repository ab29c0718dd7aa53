"""One node's next step towards a place, and how sizes, scopes and groups are written."""

import pytest

from agent.core.budget import (
    Free,
    Held,
    Place,
    Scope,
    Size,
    Take,
    Wait,
    Watched,
    claim,
    group_key,
    group_of,
    node_selector,
    parse_scope,
    parse_size,
    places,
    renew_due,
    watched,
)

EXPIRY = 900.0
DOMAIN = "example.org"


def place(index, holder=None, sign="1"):
    """The place of this index as it looks after the given sign of life."""
    fingerprint = f"{holder}|{sign}"
    return Place(name=f"p-{index}", index=index, holder=holder, fingerprint=fingerprint, resource_version=sign)


def looks(*told):
    """What is known after looks, each an instant and the places then."""
    seen = Watched()
    for instant, found in told:
        seen = watched(seen, found, instant)
    return seen


def claimed(found, *, node="me", count=2, seen=None, instant=0.0):
    seen = looks((instant, found)) if seen is None else seen
    return claim(found, node=node, count=count, seen=seen, instant=instant, expiry=EXPIRY)


# -- sizes, scopes, groups ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("3", Size(number=3)),
        (" 10% ", Size(percent=10)),
        ("1", Size(number=1)),
        ("100%", Size(percent=100)),
        ("99999", Size(number=99999)),
        ("off", None),
    ],
)
def test_a_size_is_a_number_a_share_or_off(text, size):
    assert parse_size(text) == size
    assert size is None or str(size) == text.strip()


@pytest.mark.parametrize(
    "text", ["0", "0%", "101%", "-1", "1.5", "10 %", "", "on", "ten", "%", "\u0661", "03", "100000", "1e3"]
)
def test_what_is_no_size_is_told_with_what_was_found(text):
    with pytest.raises(ValueError, match="expected a number of nodes, a share from 1% to 100%, or off, found") as error:
        parse_size(text)
    assert repr(text) in str(error.value)


@pytest.mark.parametrize(
    ("size", "nodes", "count"),
    [("3", 2, 3), ("10%", 29, 2), ("10%", 30, 3), ("10%", 9, 1), ("1%", 0, 1), ("100%", 7, 7), ("99%", 7, 6)],
)
def test_a_share_is_rounded_down_but_never_to_none(size, nodes, count):
    assert places(parse_size(size), nodes) == count


def test_a_size_of_nothing_is_one_place():
    assert places(Size(), 50) == 1


@pytest.mark.parametrize("text", ["cluster", "zone", "rack", "update-group", "label:pool", "label:example.com/Pool_1"])
def test_a_scope_is_written_as_it_is_read(text):
    assert str(parse_scope(f" {text} ")) == text


@pytest.mark.parametrize(
    "text", ["", "Zone", "label", "label:", "zone:1", "cluster:", "label:-a", "label:a b", "label:a/b/c"]
)
def test_what_is_no_scope_is_told_with_what_was_found(text):
    with pytest.raises(ValueError, match="expected cluster, zone, rack, update-group or label:KEY, found") as error:
        parse_scope(text)
    assert repr(text) in str(error.value)


ZONED = {f"topology.{DOMAIN}/zone": "westeurope-1", "pool": "blue", "empty": ""}


@pytest.mark.parametrize(
    ("scope", "key", "group", "selector"),
    [
        ("cluster", None, "cluster", ""),
        ("zone", f"topology.{DOMAIN}/zone", "zone westeurope-1", f"topology.{DOMAIN}/zone=westeurope-1"),
        ("rack", f"topology.{DOMAIN}/rack", "nodes without rack", f"!topology.{DOMAIN}/rack"),
        (
            "update-group",
            f"topology.{DOMAIN}/update-group",
            "nodes without update-group",
            f"!topology.{DOMAIN}/update-group",
        ),
        ("label:pool", "pool", "label pool=blue", "pool=blue"),
        ("label:empty", "empty", "label empty=", "empty="),
        ("label:team", "team", "nodes without label:team", "!team"),
    ],
)
def test_a_node_belongs_to_the_group_of_its_label_and_without_it_to_the_nodes_without(scope, key, group, selector):
    parsed = parse_scope(scope)
    assert group_key(parsed, DOMAIN) == key
    assert group_of(parsed, ZONED, DOMAIN) == group
    assert node_selector(parsed, ZONED, DOMAIN) == selector


def test_the_same_value_of_two_labels_makes_two_groups():
    labels = {f"topology.{DOMAIN}/zone": "a", f"topology.{DOMAIN}/rack": "a", "zone": "a"}
    scopes = [Scope(kind="zone"), Scope(kind="rack"), Scope(kind="label", key="zone")]
    assert len({group_of(scope, labels, DOMAIN) for scope in scopes}) == 3


# -- taking ------------------------------------------------------------------------------------------------------------


def test_a_place_that_nobody_ever_took_is_created():
    assert claimed([], count=1) == Take(index=0, place=None)


def test_a_place_that_was_given_back_is_taken_at_the_version_that_was_seen():
    assert claimed([place(0, sign="7")], count=1) == Take(index=0, place=place(0, sign="7"))


def test_the_one_free_place_is_found_whichever_it_is():
    for free in range(4):
        found = [place(index, f"other-{index}") for index in range(4) if index != free]
        assert claimed(found, count=4) == Take(index=free, place=None)


def test_many_nodes_at_once_try_different_places_and_each_always_the_same():
    tried = [claimed([], node=f"node-{number}", count=5).index for number in range(50)]
    assert set(tried) == set(range(5))
    assert max(tried.count(index) for index in range(5)) < 25
    assert tried == [claimed([], node=f"node-{number}", count=5).index for number in range(50)]


def test_without_a_free_place_a_node_waits_and_knows_for_whom():
    found = [place(0, "b"), place(1, "a")]
    assert claimed(found) == Wait(holders=("a", "b"), seconds=EXPIRY)


def test_a_node_that_has_a_place_keeps_it_however_full_or_small_the_budget_is():
    assert claimed([place(0, "a"), place(1, "me"), place(2, "b")], count=1) == Held(place=place(1, "me"))


def test_of_two_own_places_the_higher_one_is_given_back():
    found = [place(0, "a"), place(1, "me"), place(4, "me")]
    assert claimed(found, count=9) == Free(place=place(4, "me"))


def test_the_order_in_which_places_are_listed_does_not_matter():
    found = [place(4, "me"), place(0, "a"), place(1, "me")]
    assert claimed(found, count=9) == Free(place=place(4, "me"))
    assert claimed([place(1), place(0, "a")], count=2) == Take(index=1, place=place(1))


# -- fewer places than before ------------------------------------------------------------------------------------------


def test_holders_beyond_the_budget_count_as_well():
    assert claimed([place(5, "a")], count=1) == Wait(holders=("a",), seconds=EXPIRY)
    assert claimed([place(5, "a"), place(0, "b")], count=2) == Wait(holders=("a", "b"), seconds=EXPIRY)


def test_with_one_holder_beyond_two_nodes_compete_for_the_same_last_place():
    tried = {claimed([place(5, "a")], node=f"node-{number}", count=2).index for number in range(20)}
    assert tried == {0}


def test_an_empty_place_beyond_the_budget_is_nobodys():
    assert claimed([place(0, "a"), place(1)], count=1) == Wait(holders=("a",), seconds=EXPIRY)


@pytest.mark.parametrize(
    ("held", "count", "usable"),
    [
        ((), 3, {0, 1, 2}),
        ((2,), 3, {0, 1}),
        ((5,), 3, {0, 1}),
        ((2, 5), 3, {0}),
        ((0, 5), 3, {1}),
        ((1, 5), 3, {0}),
        ((5, 6), 3, {0}),
        ((0, 1), 3, {2}),
    ],
)
def test_there_are_always_as_many_places_to_take_as_the_budget_has_left(held, count, usable):
    found = [place(index, f"holder-{index}") for index in held]
    tried = {claimed(found, node=f"node-{number}", count=count).index for number in range(60)}
    assert tried == usable
    assert len(usable) == count - len(held)


# -- the dead ----------------------------------------------------------------------------------------------------------


def test_a_holder_that_was_seen_unchanged_for_the_whole_expiry_is_dead_and_not_before():
    found = [place(0, "a")]
    seen = looks((100.0, found), (999.0, found))
    assert claimed(found, count=1, seen=seen, instant=999.0) == Wait(holders=("a",), seconds=1.0)
    assert claimed(found, count=1, seen=seen, instant=1000.0) == Take(index=0, place=found[0])


def test_a_sign_of_life_begins_the_wait_anew():
    before, after = [place(0, "a", "1")], [place(0, "a", "2")]
    seen = looks((0.0, before), (800.0, after))
    assert claimed(after, count=1, seen=seen, instant=1000.0) == Wait(holders=("a",), seconds=700.0)


def test_a_process_that_starts_anew_knows_of_no_silence():
    found = [place(0, "a")]
    assert claimed(found, count=1, seen=looks((5000.0, found)), instant=5000.0) == Wait(holders=("a",), seconds=EXPIRY)
    assert claimed(found, count=1, seen=Watched(), instant=5000.0) == Wait(holders=("a",), seconds=EXPIRY)


def test_a_place_that_vanished_in_between_is_watched_anew():
    found = [place(0, "a")]
    seen = looks((0.0, found), (500.0, []), (800.0, found))
    assert claimed(found, count=1, seen=seen, instant=1000.0) == Wait(holders=("a",), seconds=700.0)


def test_what_was_seen_of_another_state_proves_nothing_about_this_one():
    seen = looks((0.0, [place(0, "a", "1")]))
    assert claimed([place(0, "a", "2")], count=1, seen=seen, instant=5000.0) == Wait(holders=("a",), seconds=EXPIRY)


def test_a_free_place_is_taken_before_a_dead_holders():
    found = [place(0, "a"), place(1)]
    assert claimed(found, seen=looks((0.0, found)), instant=5000.0) == Take(index=1, place=found[1])


def test_the_wait_is_for_the_holder_that_was_silent_for_longest():
    first, second = place(0, "a"), place(1, "b")
    seen = looks((0.0, [first]), (300.0, [first, second]))
    assert claimed([first, second], seen=seen, instant=400.0) == Wait(holders=("a", "b"), seconds=500.0)


def test_a_dead_holder_beyond_the_budget_is_emptied_before_its_place_counts_as_free():
    found = [place(5, "a")]
    seen = looks((0.0, found))
    assert claimed(found, count=1, seen=seen, instant=EXPIRY) == Free(place=found[0])
    assert claimed([place(5)], count=1) == Take(index=0, place=None)


def test_of_several_dead_beyond_the_budget_the_last_is_emptied_first():
    found = [place(0, "a"), place(5, "b"), place(6, "c")]
    assert claimed(found, count=1, seen=looks((0.0, found)), instant=EXPIRY) == Free(place=found[2])


def test_a_living_holder_beyond_the_budget_does_not_keep_a_dead_ones_place_from_others():
    dead, alive = place(0, "a"), place(5, "b", "1")
    seen = looks((0.0, [dead, alive]), (800.0, [dead, place(5, "b", "2")]))
    assert claimed([dead, place(5, "b", "2")], seen=seen, instant=EXPIRY) == Take(index=0, place=dead)


# -- signs of life -----------------------------------------------------------------------------------------------------


def due(seen, instant):
    return renew_due(place(0, "me"), seen=seen, instant=instant, expiry=EXPIRY)


def test_a_place_is_renewed_ten_times_in_the_time_that_would_make_its_holder_dead():
    seen = looks((0.0, []), (10.0, [place(0, "me")]), (60.0, [place(0, "me")]))
    assert [due(seen, instant) for instant in (10.0, 99.0, 100.0)] == [False, False, True]


def test_a_place_held_since_before_this_process_began_is_renewed_at_once():
    assert due(looks((0.0, [place(0, "me")]), (10.0, [place(0, "me")])), 10.0)
    assert due(Watched(), 0.0)


def test_after_the_first_renewal_of_a_new_process_the_next_has_time():
    seen = looks((0.0, [place(0, "me", "0")]), (10.0, [place(0, "me")]))
    assert [due(seen, instant) for instant in (10.0, 100.0)] == [False, True]
