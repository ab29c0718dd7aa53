import pytest

from agent.core.policy import DEFAULT_RULES, Rule
from agent.kinds import Misread
from agent.policies import DEFAULT, POLICY, read_rules, write_rules


def rules(text):
    return dict(read_rules(text))


def test_the_policy_of_the_readme_is_read():
    found = rules("{Freeze: {below: 30s, do: notify, else: cordon}, Preempt: drain, other: ignore}")
    assert found["Freeze"] == Rule(do="notify", below=30.0, otherwise=Rule(do="cordon"))
    assert found["Preempt"] == Rule(do="drain")
    assert found["other"] == Rule(do="ignore")


def test_what_is_not_named_is_as_by_default():
    assert rules({}) == DEFAULT_RULES
    assert rules("{Reboot: drain}") == {**DEFAULT_RULES, "Reboot": Rule(do="drain")}


def test_case_of_a_known_type_does_not_matter_and_an_unknown_one_is_taken_as_it_is():
    assert rules("{reboot: drain, Relocate: ignore}") == {
        **DEFAULT_RULES,
        "Reboot": Rule(do="drain"),
        "Relocate": Rule(do="ignore"),
    }


def test_every_part_of_a_rule_is_read():
    text = (
        "{Reboot: {below: 1m, source: user, within: 2h, do: drain, cordon-before: 1d, drain-before: 5m, else: notify}}"
    )
    assert rules(text)["Reboot"] == Rule(
        do="drain",
        below=60.0,
        source="User",
        within=7200.0,
        cordon_before=86_400.0,
        drain_before=300.0,
        otherwise=Rule(do="notify"),
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("drain", "expected a mapping of event types, found 'drain'"),
        ("[drain]", "expected a mapping of event types"),
        ("{Reboot", "expected a mapping in YAML"),
        ("{7: drain}", "expected an event type, found 7"),
        ("{Reboot: evict}", "Reboot: expected one of ignore, notify, cordon, drain, found 'evict'"),
        ("{Reboot: {}}", "Reboot: expected do, found nothing"),
        ("{Reboot: {do: drain, when: now}}", "found 'when'"),
        ("{Reboot: {do: drain, else: cordon}}", "Reboot.else: expected below, source or within beside it"),
        ("{Reboot: {below: soon, do: drain}}", "Reboot.below: expected a time such as 30s, 5m or 1h, found 'soon'"),
        ("{Reboot: {source: Azure, do: drain}}", "Reboot.source: expected Platform or User, found 'Azure'"),
        ("{Reboot: {source: [User], do: drain}}", "Reboot.source: expected Platform or User"),
        ("{Reboot: {below: 1s, do: drain, else: {below: 2s, do: nap}}}", "Reboot.else.do: expected one of"),
        ("{Reboot: [drain]}", "Reboot: expected one of"),
    ],
)
def test_a_wrong_policy_is_told_with_its_place(text, told):
    with pytest.raises(Misread) as error:
        read_rules(text)
    assert told in str(error.value)


def test_a_policy_that_goes_on_for_ever_is_refused():
    deep = "cordon"
    for _ in range(20):
        deep = f"{{below: 1s, do: drain, else: {deep}}}"
    with pytest.raises(Misread, match="at most 8"):
        read_rules(f"{{Reboot: {deep}}}")


@pytest.mark.parametrize(
    "text",
    [
        "{Freeze: {below: 30s, do: notify, else: cordon}}",
        "{Reboot: {source: User, within: 1h30m, do: drain, else: {below: 10s, do: ignore}, cordon-before: 1d, drain-before: 0s}}",
    ],
)
def test_a_policy_is_read_back_as_it_was_written(text):
    found = read_rules(text)
    assert read_rules(write_rules(found)) == found


def test_the_default_is_readable_at_a_glance():
    assert POLICY.write(DEFAULT) == (
        "{Freeze: {below: 30s, do: notify, else: cordon}, "
        "Reboot: cordon, Redeploy: cordon, Preempt: cordon, Terminate: cordon, other: cordon}"
    )
