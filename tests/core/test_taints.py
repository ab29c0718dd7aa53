import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.node import Taint
from agent.core.taints import (
    TaintRules,
    desired_taints,
    event_taint_type,
    startup_verdict,
    wants_taints,
)

P = "imds-agent.github.io"
STARTUP = {"key": f"{P}/startup", "effect": "NoSchedule"}
FOREIGN = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"}
TOLD = {"key": f"{P}/scheduled-event", "value": "reboot", "effect": "NoSchedule"}
RULES = TaintRules(startup=f"{P}/startup", startup_at_most=600.0, event_effect="NoSchedule")


def desired(*taints, event_type=None, lift=False, rules=RULES):
    return desired_taints(list(taints), event_type=event_type, lift_startup=lift, rules=rules, domain=P)


def test_the_most_severe_event_is_told():
    assert event_taint_type(["Freeze", "Reboot", "Preempt"]) == "Preempt"
    assert event_taint_type(["Freeze", "Relocate"]) == "other"
    assert event_taint_type(["Freeze"]) == "Freeze"
    assert event_taint_type([]) is None


def test_an_event_taint_comes_changes_and_goes_and_others_stay_in_their_order():
    assert desired(FOREIGN, event_type="Reboot") == [FOREIGN, TOLD]
    assert desired(TOLD, FOREIGN, event_type="Preempt") == [{**TOLD, "value": "preempt"}, FOREIGN]
    assert desired(TOLD, FOREIGN) == [FOREIGN]
    assert desired(TOLD) == []


def test_what_is_as_it_should_be_is_not_written():
    assert desired() is None
    assert desired(FOREIGN) is None
    assert desired(FOREIGN, TOLD, event_type="Reboot") is None
    timed = {**TOLD, "timeAdded": "2026-01-01T00:00:00Z"}
    assert desired(timed, event_type="Reboot") is None
    assert desired(STARTUP) is None


def test_two_taints_of_ours_become_one():
    assert desired(TOLD, {**TOLD, "effect": "NoExecute"}, event_type="Reboot") == [TOLD]


def test_where_no_taint_is_wanted_a_leftover_goes():
    off = TaintRules(event_effect="off")
    assert desired(event_type="Reboot", rules=off) is None
    assert desired(TOLD, event_type="Reboot", rules=off) == []


def test_the_startup_taint_is_lifted_and_never_added():
    assert desired(STARTUP, FOREIGN, lift=True) == [FOREIGN]
    assert desired(FOREIGN, lift=True) is None


@pytest.mark.parametrize(
    ("key", "labelled", "waited", "why"),
    [
        (f"{P}/startup", True, 0.0, "labelled"),
        (f"{P}/startup", False, 599.9, None),
        (f"{P}/startup", False, 600.0, "time limit"),
        (f"{P}/startup2", True, 900.0, None),
    ],
)
def test_the_startup_taint_goes_with_the_labels_or_after_its_time(key, labelled, waited, why):
    assert startup_verdict([Taint(key=key)], RULES, labelled=labelled, waited=waited) == why


def test_without_a_key_no_taint_is_a_startup_taint():
    assert startup_verdict([Taint(key=f"{P}/startup")], TaintRules(), labelled=True, waited=1e6) is None


def test_a_view_tells_whether_anything_is_to_be_written():
    there = [Taint(key=f"{P}/scheduled-event", value="reboot", effect="NoSchedule")]
    same = {"lift_startup": False, "rules": RULES, "domain": P}
    assert not wants_taints(there, event_type="Reboot", **same)
    assert wants_taints(there, event_type=None, **same)


TAINTS = st.lists(
    st.fixed_dictionaries(
        {
            "key": st.sampled_from(["a/b", "c", STARTUP["key"], TOLD["key"]]),
            "effect": st.sampled_from(["NoSchedule", "NoExecute"]),
        },
        optional={"value": st.sampled_from(["", "reboot", "x"]), "timeAdded": st.just("2026-01-01T00:00:00Z")},
    ),
    max_size=6,
)


@given(taints=TAINTS, event_type=st.sampled_from([None, "Reboot", "Freeze"]), lift=st.booleans())
def test_whatever_stands_there_others_taints_are_kept_and_a_second_look_changes_nothing(taints, event_type, lift):
    after = desired(*taints, event_type=event_type, lift=lift)
    settled = taints if after is None else after
    foreign = [each for each in taints if each["key"] in ("a/b", "c")]
    assert [each for each in settled if each["key"] in ("a/b", "c")] == foreign
    assert [each for each in settled if each["key"] == STARTUP["key"]] == (
        [] if lift else [each for each in taints if each["key"] == STARTUP["key"]]
    )
    assert sum(each["key"] == TOLD["key"] for each in settled) == (event_type is not None)
    assert desired(*settled, event_type=event_type, lift=lift) is None
