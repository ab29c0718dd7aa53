import json
import random
import re
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.tags import ANNOTATION_LIMIT, BUILT_IN_DENY, TagPolicy, explain_tag, label_value, tag_labels

# Kubernetes' own rule (apimachinery validation.go): a qualified name's last part, and a label's value.
NAME = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]")
PREFIX = "tag.imds-agent.github.io/"
PLAIN = TagPolicy()

policies = st.builds(
    TagPolicy,
    case=st.sampled_from(["lower", "preserve"]),
    lossy=st.sampled_from(["sanitize", "hash", "skip"]),
    built_in_deny=st.booleans(),
    rename=st.sampled_from([(), (("env", "stage"),), (("a", "b"), ("Env", "b"))]),
    deny=st.sampled_from([(), ("a*",)]),
)
anything = st.text(st.characters(exclude_categories=()), max_size=200)  # half surrogate pairs too
near = st.text("aAbé!_.-", max_size=4)  # short and alike: they collide
pairs = st.lists(st.tuples(st.one_of(anything, near, st.sampled_from(["env", "ENV", "stage"])), anything), max_size=12)


def is_valid(key: str, value: str) -> bool:
    prefix, _, name = key.partition("/")
    return f"{prefix}/" == PREFIX and bool(NAME.fullmatch(name)) and (value == "" or bool(NAME.fullmatch(value)))


def digest(text: str, digits: int = 8) -> str:
    return sha256(text.encode()).hexdigest()[:digits]


def key_of(name: str, policy: TagPolicy = PLAIN) -> str | None:
    key = explain_tag(name, "v", policy).key
    return key and key.removeprefix(PREFIX)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("Department", "department"),
        ("Cost Center / EU", "cost_center_eu"),
        ("--trim.me__", "trim.me"),
        ("größe", "gr_e"),
        ("部門", f"x-{digest('部門', 10)}"),
        ("", f"x-{digest('', 10)}"),
        ("N" * 63, "n" * 63),
        ("N" * 64, "n" * 54 + "-" + digest("n" * 64)),
        ("n" * 53 + ".." + "n" * 20, "n" * 53 + "-" + digest("n" * 53 + ".." + "n" * 20)),
    ],
)
def test_a_name_is_mapped_by_its_rules(name, part):
    assert key_of(name) == part


def test_the_case_of_names_can_be_preserved():
    assert key_of("Department", TagPolicy(case="preserve")) == "Department"


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("", ""),
        ("WebRole", "WebRole"),
        ("two words", "two_words"),
        ("-x-", "x"),
        ("!!!", ""),
        ("v" * 63, "v" * 63),
        ("v" * 64, "v" * 54 + "-" + digest("v" * 64)),
    ],
)
def test_a_value_is_kept_where_it_is_valid_and_made_valid_where_not(value, label):
    tag = explain_tag("n", value, PLAIN)
    assert (tag.label, tag.lossy) == (label, label != value)
    assert label_value(value) == label


def test_lossy_values_can_be_told_apart_by_a_hash():
    policy = TagPolicy(lossy="hash")
    assert explain_tag("n", "two words", policy).label == f"two_words-{digest('two words')}"
    assert explain_tag("n", "!!!", policy).label == f"x-{digest('!!!')}"
    assert explain_tag("n", "plain", policy).label == "plain"


def test_lossy_values_can_be_left_out_of_the_labels_but_not_of_the_annotation():
    mapped = tag_labels([("n", "two words"), ("m", "one")], TagPolicy(lossy="skip"))
    assert mapped.labels == {f"{PREFIX}m": "one"}
    assert json.loads(mapped.annotation) == {"n": "two words", "m": "one"}
    skipped = mapped.explained[1]
    assert (skipped.key, skipped.label, skipped.allowed, skipped.lossy) == (None, None, True, True)
    assert skipped.because == ("allowed by '*'", "no label: it could not hold the value as it is")


def test_a_tag_is_explained_step_by_step():
    tag = explain_tag("Cost Center", "a b", PLAIN, "example.org")
    assert (tag.key, tag.label) == ("tag.example.org/cost_center", "a_b")
    assert tag.because == (
        "allowed by '*'",
        "name in lower case",
        "characters of the name that no label can hold replaced by _, and none left at its ends",
        "value made valid; as it is it stands in the annotation only",
    )


@pytest.mark.parametrize(
    "name",
    ["hidden-title", "AKS-managed-createOperationID", "k8s.io_cluster-autoscaler_enabled", "karpenter.sh_nodepool",
     "AKSENGINEVERSION", "poolname", "ms-resource-usage"],
)  # fmt: skip
def test_what_azure_and_autoscalers_write_is_denied_in_any_case_unless_switched_off(name):
    assert tag_labels([(name, "v")], PLAIN).labels == {}
    assert tag_labels([(name, "v")], PLAIN).annotation == "{}"
    assert not explain_tag(name, "v", PLAIN).allowed
    assert explain_tag(name, "v", TagPolicy(built_in_deny=False)).allowed


@pytest.mark.parametrize("pattern", BUILT_IN_DENY)
def test_each_built_in_pattern_denies_what_it_spells(pattern):
    assert explain_tag(pattern.replace("*", "x"), "v", PLAIN).because[0].startswith(f"denied by {pattern!r}")


def test_deny_wins_over_allow_and_what_is_not_allowed_is_denied():
    policy = TagPolicy(allow=("team*", "Env"), deny=("*-SECRET",))
    shown = {name: explain_tag(name, "v", policy).because[0] for name in ("Team", "team-secret", "other", "ENV")}
    assert shown == {
        "Team": "allowed by 'team*'",
        "team-secret": "denied by '*-SECRET'",
        "other": "no allow pattern matches",
        "ENV": "allowed by 'Env'",
    }


def test_a_renamed_tag_gets_its_name_in_whatever_case_the_tag_comes():
    policy = TagPolicy(rename=(("cost center", "CostCenter"),))
    assert key_of("Cost Center", policy) == "CostCenter"


@pytest.mark.parametrize(
    "settings",
    [
        {"rename": (("a", "not valid"),)},
        {"rename": (("a", ""),)},
        {"rename": (("a", "x" * 64),)},
        {"rename": (("a", "b"), ("A", "c"))},
        {"case": "upper"},
        {"lossy": "cut"},
    ],
)
def test_a_policy_that_cannot_work_is_refused_when_it_is_made(settings):
    with pytest.raises(ValueError, match=r"rename of tag|tag case|lossy tag values"):
        TagPolicy(**settings)


def test_the_refusal_of_a_rename_says_what_a_label_name_is():
    with pytest.raises(ValueError, match=r"^rename of tag 'a': expected a label name \(1 to 63 .*found '-x'$"):
        TagPolicy(rename=(("a", "-x"),))


def test_of_two_tags_that_want_one_key_the_unchanged_one_keeps_it():
    mapped = tag_labels([("env!", "lost"), ("Env", "kept")], PLAIN)
    assert mapped.labels == {f"{PREFIX}env": "kept", f"{PREFIX}env-{digest('env!')}": "lost"}
    [collision] = mapped.collisions
    assert (collision.key, collision.names, collision.keeper) == (f"{PREFIX}env", ("Env", "env!"), "Env")
    assert mapped.explained[1].because[-1] == f"another tag wants {PREFIX}env: a hash of the name appended"


def test_a_tag_renamed_to_a_key_keeps_it_before_the_one_that_is_named_so():
    mapped = tag_labels([("stage", "2"), ("Env", "1")], TagPolicy(rename=(("env", "stage"),)))
    assert mapped.labels == {f"{PREFIX}stage": "1", f"{PREFIX}stage-{digest('stage')}": "2"}


def test_where_no_tag_has_a_right_to_the_key_all_get_a_hash():
    mapped = tag_labels([("a!b", "1"), ("a b", "2")], PLAIN)
    assert mapped.labels == {f"{PREFIX}a_b-{digest('a!b')}": "1", f"{PREFIX}a_b-{digest('a b')}": "2"}
    assert mapped.collisions[0].keeper is None


def test_a_tag_named_like_anothers_hash_keeps_its_key():
    squatter = f"env-{digest('env!')}"
    mapped = tag_labels([("env", "1"), ("env!", "2"), (squatter, "3")], PLAIN)
    assert mapped.labels == {
        f"{PREFIX}env": "1",
        f"{PREFIX}env-{digest('env!', 9)}": "2",
        f"{PREFIX}{squatter}": "3",
    }


def test_names_that_differ_only_in_case_are_one_tag():
    assert tag_labels([("ENV", "1"), ("env", "2")], PLAIN).labels == {f"{PREFIX}env": "2"}


def test_the_annotation_is_canonical_json_of_the_allowed_tags_as_they_are():
    mapped = tag_labels([("b", "zwei Wörter"), ("A", "1"), ("hidden-x", "no")], PLAIN)
    assert mapped.annotation == '{"A":"1","b":"zwei Wörter"}'


def test_an_annotation_that_would_be_too_long_holds_what_fits_and_says_so():
    tags = {f"{number:03}": 250 * "ü" for number in range(50)}
    mapped = tag_labels(tags.items(), PLAIN)
    assert ANNOTATION_LIMIT - 600 < len(mapped.annotation.encode()) <= ANNOTATION_LIMIT
    said = json.loads(mapped.annotation)
    assert (said["truncated"], said["count"]) == (True, 50)
    assert said["tags"] == {name: tags[name] for name in sorted(tags)[: len(said["tags"])]}
    other = tag_labels({**tags, "049": "changed"}.items(), PLAIN)
    assert json.loads(other.annotation)["sha256"] != said["sha256"]


@given(pairs, policies)
def test_every_tag_gets_valid_syntax_and_a_key_of_its_own(tags, policy):
    mapped = tag_labels(tags, policy)
    assert all(is_valid(key, value) for key, value in mapped.labels.items())
    assert len(mapped.labels) == sum(tag.key is not None for tag in mapped.explained)
    assert len(mapped.annotation.encode("utf-8")) <= ANNOTATION_LIMIT


@given(pairs, policies, st.randoms(use_true_random=False))
def test_the_order_of_tags_makes_no_difference(tags, policy, chance):
    shuffled = list(tags)
    chance.shuffle(shuffled)
    assert tag_labels(shuffled, policy) == tag_labels(tags, policy)


@given(anything, anything, policies)
def test_mapping_what_was_mapped_changes_nothing(name, value, policy):
    once = explain_tag(name, value, TagPolicy(case=policy.case, lossy=policy.lossy, built_in_deny=False))
    if once.key is not None and once.label is not None:
        again = explain_tag(once.key.removeprefix(PREFIX), once.label, TagPolicy(case=policy.case, built_in_deny=False))
        assert (again.key, again.label, again.lossy) == (once.key, once.label, False)


def test_a_hundred_thousand_random_tags_are_valid_and_stable():
    chance = random.Random(7)
    alphabet = "abcXYZ019 -_./:;!<>%&?\\üß中İ😀\ud800\x00\n"
    open_policy = TagPolicy(built_in_deny=False)
    kept = 0
    for _ in range(100_000):
        name = "".join(chance.choices(alphabet, k=chance.choice((0, 1, 5, 20, 62, 63, 64, 80))))
        value = "".join(chance.choices(alphabet, k=chance.choice((0, 1, 5, 62, 63, 64, 80))))
        tag = explain_tag(name, value, open_policy)
        assert is_valid(tag.key, tag.label), (name, value)
        assert explain_tag(tag.key.removeprefix(PREFIX), tag.label, open_policy).key == tag.key
        kept += tag.label == value
    assert 10_000 < kept < 60_000  # both kinds of values were met
