"""What a kubelet is told: the agent's own labels, what our own part may add, and nothing that could keep it from starting."""

import json

import pytest

from agent.boot.registration import is_settable, registration
from agent.core.labelling import written
from agent.core.labels import LabelPolicy
from agent.core.own_part import read_own_part
from tests.core.builders import RACK, P, instance

POLICY = LabelPolicy()


def own(document, allowed=("example.com/", f"tag.{P}/")):
    return read_own_part(json.dumps(document).encode(), P, allowed)


def test_a_whole_answer_gives_the_labels_that_the_agent_would_give():
    vm = instance(update_domain=3)
    assert registration(vm, POLICY).labels == {
        **written(vm, "facts", POLICY).labels,
        **written(vm, "tags", POLICY).labels,
    }


def test_what_waits_for_a_third_answer_is_left_to_the_agent():
    found = registration(instance(zone=None, fault_domain=2, update_domain=1), POLICY).labels
    assert RACK not in found
    assert f"topology.{P}/update-group" not in found
    assert found[f"topology.{P}/fault-domain"] == "2"


def test_our_own_part_adds_and_never_overrules():
    parts = [own({"labels": {f"{P}/pool": "blue"}}), own({"labels": {f"{P}/pool": "red", "example.com/team": "x"}})]
    found = registration(instance(), POLICY, parts)
    assert (found.labels[f"{P}/pool"], found.labels["example.com/team"]) == ("blue", "x")
    assert found.left_out == ()


def test_an_own_label_that_the_agent_would_take_away_is_left_out():
    found = registration(instance(), POLICY, [own({"labels": {f"tag.{P}/env": "mine", f"tag.{P}/x": "y"}})])
    assert (found.labels[f"tag.{P}/env"], f"tag.{P}/x" in found.labels) == ("prod", False)
    assert len(found.left_out) == 2


def test_taints_come_in_kubelets_words_the_startup_taint_first_and_each_once():
    asked = own(
        {"taints": [{"key": "a.b/c", "effect": "NoSchedule"}, {"key": "a.b/c", "value": "d", "effect": "NoExecute"}]}
    )
    again = own({"taints": [{"key": "a.b/c", "value": "later", "effect": "NoSchedule"}]})
    found = registration(instance(), POLICY, [asked, again], f"{P}/startup")
    assert found.taints == (f"{P}/startup:NoSchedule", "a.b/c:NoSchedule", "a.b/c=d:NoExecute")


@pytest.mark.parametrize(
    "key", ["karpenter.sh/disrupted", "remediator.kubernetes.azure.com/unschedulable", f"{P}/scheduled-event"]
)
def test_no_own_taint_bears_a_drainers_mark_or_our_own_for_events(key):
    found = registration(instance(), POLICY, [own({"taints": [{"key": key, "effect": "NoSchedule"}]})])
    assert found.taints == ()
    assert len(found.left_out) == 1


def test_what_is_refused_of_our_own_part_is_counted_and_not_quoted():
    found = registration(instance(), POLICY, [own({"labels": {"x.y/z": "hunter2"}, "password": "hunter2"})])
    assert found.left_out == ("own part: 2 pieces refused; `imds-agent custom-data` shows which",)


def test_while_nothing_is_known_there_are_taints_and_own_labels():
    found = registration(None, POLICY, [own({"labels": {f"{P}/pool": "blue"}})], f"{P}/startup")
    assert (found.labels, found.taints) == ({f"{P}/pool": "blue"}, (f"{P}/startup:NoSchedule",))


@pytest.mark.parametrize(
    ("key", "value", "settable"),
    [
        ("a", "", True),
        ("a.b/c", "x" * 63, True),
        ("a.b/c", "x" * 64, False),
        ("a.b/" + "c" * 64, "", False),
        ("a.b/c", "x,y=z", False),
        ("a.b/c", "-x", False),
        ("a b/c", "x", False),
        ("/c", "x", False),
        ("a/b/c", "x", False),
        ("node-role.kubernetes.io/worker", "", False),
        ("node-restriction.kubernetes.io/a", "", False),
        ("k8s.io/a", "", False),
        ("kubernetes.io/os", "linux", True),
        ("topology.kubernetes.io/zone", "a", True),
        ("topology.kubernetes.io/other", "a", False),
        ("node.kubernetes.io/anything", "a", True),
        ("x.kubelet.kubernetes.io/anything", "a", True),
        ("notkubernetes.io/a", "a", True),
    ],
)
def test_only_what_a_kubelet_takes_and_may_give_itself_is_settable(key, value, settable):
    assert is_settable(key, value) is settable
