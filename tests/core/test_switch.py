from collections import UserDict
from dataclasses import fields

import pytest

from agent.core.document import DocumentError
from agent.core.switch import PARTS, POSITIONS, Switch, read_switch


def refused(document) -> str:
    with pytest.raises(DocumentError) as error:
        read_switch(document)
    return str(error.value)


@pytest.mark.parametrize("document", [None, {}, UserDict()])
def test_an_empty_switch_is_all_on(document):
    assert read_switch(document) == Switch(cordon="on", drain="on", approve="on", labels="on", withdraw=False)


def test_each_part_takes_its_own_position():
    said = {"cordon": "hold", "drain": "release", "approve": "hold", "labels": "release", "withdraw": True}
    assert read_switch(said) == Switch(cordon="hold", drain="release", approve="hold", labels="release", withdraw=True)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("position", POSITIONS)
def test_what_is_not_named_is_on(part, position):
    assert read_switch({part: position}) == Switch(**{part: position})


@pytest.mark.parametrize("part", PARTS)
def test_an_on_that_yaml_read_as_true_is_on(part):
    assert read_switch({part: True}) == Switch()


@pytest.mark.parametrize("off", [False, "off", "Off", "false", "no"])
def test_off_is_refused_since_it_could_mean_hold_or_release(off):
    said = refused({"drain": off})
    assert said.startswith("$.drain: expected on, hold (")
    assert "or release (take back what was done): off could mean either" in said
    assert said.endswith("found off" if off is False else f"found '{off}'")


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        ("held", "'held'"),
        ("Hold", "'Hold'"),
        ("", "''"),
        (None, "nothing"),
        (1, "1"),
        (["hold"], "a list"),
        ({"hold": True}, "a mapping"),
    ],
)
def test_another_position_is_refused_with_its_place(found, shown):
    assert refused({"cordon": found}) == f"$.cordon: expected on, hold or release, found {shown}"


@pytest.mark.parametrize(
    ("found", "shown"), [("true", "'true'"), (1, "1"), (None, "nothing"), ("release", "'release'")]
)
def test_withdraw_is_true_or_false(found, shown):
    assert refused({"withdraw": found}) == f"$.withdraw: expected true or false, found {shown}"


@pytest.mark.parametrize(("key", "shown"), [("cordons", "'cordons'"), (1, "1"), (True, "True"), ((1, 2), "a tuple")])
def test_an_unknown_key_is_refused_and_named(key, shown):
    said = refused({"cordon": "hold", key: "hold"})
    assert said == f"$: expected cordon, drain, approve, labels or withdraw, found the key {shown}"


@pytest.mark.parametrize(
    ("document", "shown"), [("password", "a text"), (["cordon"], "a list"), (7, "a int"), (True, "a bool")]
)
def test_what_is_no_mapping_is_refused_and_not_shown(document, shown):
    assert refused(document).endswith(f"found {shown}")


def test_a_long_value_is_cut_and_a_huge_one_never_written_out():
    bomb: list[object] = ["x"]
    for _ in range(60):  # as YAML aliases make it: 2^60 elements in 60 small lists
        bomb = [bomb, bomb]
    assert refused({"labels": bomb}).endswith("found a list")
    assert len(refused({"labels": "x" * 9999})) < 120


@pytest.mark.parametrize("part", PARTS)
def test_all_is_released_while_everything_is_withdrawn(part):
    assert Switch(withdraw=True, **{part: "hold"}).effective() == Switch(
        cordon="release", drain="release", approve="release", labels="release", withdraw=True
    )


def test_the_positions_count_as_they_are_while_nothing_is_withdrawn():
    switch = Switch(cordon="hold", labels="release")
    assert switch.effective() == switch


def test_every_part_of_the_switch_can_be_written():
    assert {field.name for field in fields(Switch)} == {*PARTS, "withdraw"}
