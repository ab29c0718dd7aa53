"""Whatever stands in a switch: a switch that says just that, or an error, and never a part of it."""

from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from agent.core.document import DocumentError
from agent.core.switch import PARTS, POSITIONS, Switch, read_switch

WORDS = st.sampled_from([*POSITIONS, "off", "On", "", True, False, None, 0, 1, 1.5])
ANY = st.recursive(WORDS | st.text(max_size=4), lambda each: st.lists(each) | st.dictionaries(st.text(), each))
KEYS = st.sampled_from([*PARTS, "withdraw"]) | st.text(max_size=4) | st.booleans()
SWITCHES = st.builds(Switch, **dict.fromkeys(PARTS, st.sampled_from(POSITIONS)), withdraw=st.booleans())


@given(SWITCHES)
def test_a_switch_that_is_written_out_reads_as_itself(switch):
    assert read_switch(asdict(switch)) == switch


@given(ANY | st.dictionaries(KEYS, ANY))
def test_a_document_is_followed_word_for_word_or_refused(document):
    found = read_or_refuse(document)
    said = document if isinstance(document, dict) else {}
    if isinstance(found, DocumentError):
        assert document is not None
        assert found.path in {"$", "$.withdraw", *(f"$.{part}" for part in PARTS)}
        return
    assert set(said) <= {*PARTS, "withdraw"}
    assert {part: {True: "on"}.get(said.get(part, "on"), said.get(part, "on")) for part in PARTS} == {
        part: getattr(found, part) for part in PARTS
    }
    assert found.withdraw is said.get("withdraw", False)


def read_or_refuse(document) -> Switch | DocumentError:
    try:
        return read_switch(document)
    except DocumentError as error:
        return error


@given(SWITCHES)
def test_what_counts_is_the_same_when_asked_twice_and_never_less_careful(switch):
    counts = switch.effective()
    assert counts.effective() == counts
    for part in PARTS:
        assert getattr(counts, part) == ("release" if switch.withdraw else getattr(switch, part))
