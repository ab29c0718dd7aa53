"""Our own part may add a few labels and taints, and nothing else, whoever wrote it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.own_part import AT_MOST, LARGEST, OwnTaint, allowed_prefixes, read_own_part

P = "imds-agent.github.io"


def read(document, allowed=()):
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    return read_own_part(text, P, allowed)


def refusal(document, allowed=()) -> str:
    found = read(document, allowed)
    assert (found.labels, found.taints) == ((), ())
    [why] = found.refused
    return why


def test_labels_below_our_domain_and_below_allowed_prefixes_and_taints_are_taken():
    found = read(
        b'#imds-agent\n{"labels":{"imds-agent.github.io/pool":"blue","example.com/team":""},'
        b'"taints":[{"key":"example.com/new","effect":"NoSchedule"},{"key":"a.b/c","value":"d","effect":"NoExecute"}]}',
        ("example.com/",),
    )
    assert found.labels == ((f"{P}/pool", "blue"), ("example.com/team", ""))
    assert found.taints == (
        OwnTaint(key="example.com/new", effect="NoSchedule"),
        OwnTaint(key="a.b/c", value="d", effect="NoExecute"),
    )
    assert found.refused == ()


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("example.com/x", "$.labels: expected a key below imds-agent.github.io/ or corp.example/, found 'example.com/x'"),
        ("topology.imds-agent.github.io/zone", "$.labels: expected a key below imds-agent.github.io/ or corp.example/, found 'topology.imds-agent.github.io/zone'"),
        ("node-role.kubernetes.io/control-plane", "$.labels: expected a key that is not Kubernetes' own, found 'node-role.kubernetes.io/control-plane'"),
        ("k8s.io/x", "$.labels: expected a key that is not Kubernetes' own, found 'k8s.io/x'"),
        ("plain", "$.labels: expected a key such as 'example.com/name', found 'plain'"),
        ("Example.com/x", "$.labels: expected a key such as 'example.com/name', found 'Example.com/x'"),
        ("imds-agent.github.io/", "$.labels: expected a key such as 'example.com/name', found 'imds-agent.github.io/'"),
        ("imds-agent.github.io/a/b", "$.labels: expected a key such as 'example.com/name', found 'imds-agent.github.io/a/b'"),
    ],
)  # fmt: skip
def test_another_key_is_refused(key, said):
    assert refusal({"labels": {key: "v"}}, ("corp.example/",)) == said


def test_one_wrong_thing_costs_none_of_the_others():
    found = read(
        {
            "labels": {f"{P}/a": "1", f"{P}/b": "not valid!", f"{P}/c": 3},
            "taints": [{"key": "a.b/c"}, {"key": "a.b/c", "effect": "NoSchedule"}],
        }
    )
    assert (found.labels, len(found.taints), len(found.refused)) == (((f"{P}/a", "1"),), 1, 3)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (b"not json", "$: expected JSON, found Expecting value at character 0 of 8"),
        (b"[]", "$: expected an object, found an array"),
        ({"labels": []}, "$.labels: expected an object, found an array"),
        ({"taints": {}}, "$.taints: expected an array, found an object"),
        ({"imds-url": "http://evil"}, "$.imds-url: expected labels or taints, found 'imds-url'"),
        ({"taints": [3]}, "$.taints[0]: expected an object, found 3"),
        ({"taints": [{"key": "a.b/c", "effect": "NoSchedule", "x": 1}]}, "$.taints[0]: expected key, value and effect, found 'x'"),
        ({"taints": [{"key": "a.b/c", "effect": "Never"}]}, "$.taints[0].effect: expected one of NoSchedule, PreferNoSchedule, NoExecute, found 'Never'"),
        ({"taints": [{"effect": "NoSchedule"}]}, "$.taints[0].key: expected a key such as 'example.com/name', found ''"),
        ({"taints": [{"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}]}, "$.taints[0].key: expected a key that is not Kubernetes' own, found 'node.kubernetes.io/not-ready'"),
        ({"taints": [{"key": f"{P}/scheduled-event", "effect": "NoExecute"}]}, f"$.taints[0].key: expected a key that is not the event taint's, found '{P}/scheduled-event'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(document, said):
    assert refusal(document) == said


def test_no_more_are_taken_than_anybody_needs():
    found = read(
        {
            "labels": {f"{P}/l{n}": "" for n in range(AT_MOST + 1)},
            "taints": [{"key": f"a.b/t{n}", "effect": "NoSchedule"} for n in range(AT_MOST + 1)],
        }
    )
    assert (len(found.labels), len(found.taints)) == (AT_MOST, AT_MOST)
    assert found.refused == (
        f"$.labels: expected at most {AT_MOST} labels, found {AT_MOST + 1}",
        f"$.taints: expected at most {AT_MOST} taints, found {AT_MOST + 1}",
    )


def test_a_part_is_read_up_to_its_largest_size_and_after_empty_lines_as_its_kind_is_told():
    text = b'\n \n#IMDS-Agent\n{"labels":{"imds-agent.github.io/a":"1"}}'
    assert read(text + b" " * (LARGEST - len(text))).labels == ((f"{P}/a", "1"),)
    assert (
        refusal(text + b" " * (LARGEST + 1 - len(text))) == f"$: expected at most {LARGEST} bytes, found {LARGEST + 1}"
    )


def test_prefixes_are_read_a_line_each_and_hold_a_whole_domain():
    text = "# ours\nexample.com/\n corp.example/team-  # theirs\n\ne\nexample.com\nnode-role.kubernetes.io/\nexample.com/a b\n"
    found, wrong = allowed_prefixes(text)
    assert found == ("example.com/", "corp.example/team-")
    assert [each.partition(":")[0] for each in wrong] == ["line 5", "line 6", "line 7", "line 8"]


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["labels", "taints", "key", "effect", f"{P}/x"]) | st.text(max_size=5),
                inner,
                max_size=3,
            )
        ),
    )
)
def test_whatever_it_says_only_keys_that_may_be_added_are_added(document):
    found = read(document)
    assert all(key.startswith(f"{P}/") for key, _ in found.labels)
    assert all("kubernetes.io" not in taint.key for taint in found.taints)
