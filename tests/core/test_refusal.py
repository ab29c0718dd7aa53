import pytest

from agent.core.refusal import REST, Refusal, allowed, refused
from tests.core.builders import ENV, RACK, SIZE, TAGS_KEY, P

ASKED = [RACK, SIZE, TAGS_KEY]
NAMELESS = "admission webhook denied the request"


def test_a_refused_key_that_the_answer_names_is_left_out_alone():
    assert refused(None, f'label "{SIZE}" is not allowed', ASKED, 100) == Refusal(
        keys=frozenset({SIZE}), until=100 + REST
    )


def test_refused_keys_add_up():
    first = refused(None, f"not {SIZE}", ASKED, 100)
    assert refused(first, f"nor {RACK}", ASKED, 101).keys == {SIZE, RACK}


def test_where_no_key_is_named_the_labels_are_left_out_then_the_whole_group():
    first = refused(None, NAMELESS, ASKED, 100)
    assert (first.labels, first.everything) == (True, False)
    second = refused(first, NAMELESS, ASKED, 101)
    assert (second.labels, second.everything, second.until) == (True, True, 101 + REST)


def test_an_answer_that_names_only_what_was_left_out_already_names_nothing_new():
    first = refused(None, f"not {SIZE}", ASKED, 100)
    second = refused(first, f"not {SIZE}", ASKED, 101)
    assert (second.keys, second.labels, second.everything) == ({SIZE}, True, False)


@pytest.mark.parametrize("around", ["{}", "not '{}'", "metadata.labels.{}.", "keys: {}, x", "metadata.labels[{}]: no"])
def test_a_key_is_found_wherever_the_answer_names_it(around):
    assert refused(None, around.format(ENV), [ENV], 0).keys == {ENV}


@pytest.mark.parametrize("longer", [f"{ENV}ironment", f"{ENV}-2", f"{ENV}.eu", f"{ENV}_x"])
def test_a_key_is_not_named_by_another_that_begins_like_it(longer):
    assert refused(None, f"not {longer}", [ENV, longer], 0).keys == {longer}


def test_a_key_is_not_named_by_another_that_ends_like_it():
    inner = f"{P}/tags"
    assert refused(None, f"not my.{inner}", [inner, f"my.{inner}"], 0).keys == {f"my.{inner}"}


def test_after_half_an_hour_the_count_begins_anew():
    named = refused(None, f"not {SIZE}", ASKED, 100)
    assert refused(named, f"not {SIZE}", ASKED, named.until) == refused(None, f"not {SIZE}", ASKED, named.until)
    nameless = refused(None, NAMELESS, ASKED, 100)
    assert not refused(nameless, NAMELESS, ASKED, nameless.until).everything


def test_what_is_allowed_is_what_is_left():
    group = {RACK: "r", SIZE: "s"}
    assert allowed(None, group, labels=True) == group
    assert allowed(Refusal(keys=frozenset({SIZE}), until=1), group, labels=True) == {RACK: "r"}
    assert allowed(Refusal(labels=True, until=1), group, labels=True) == {}
    assert allowed(Refusal(labels=True, until=1), group, labels=False) == group
    assert allowed(Refusal(everything=True, until=1), group, labels=False) == {}
