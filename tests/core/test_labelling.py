from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.actions import ApplyGroup, ApplyMark, Sweep
from agent.core.instance import Tag
from agent.core.labelling import LabelRules, another_vm, group_of, kept, label_actions
from agent.core.labels import LabelPolicy, Written, fact_labels
from agent.core.node import FACTS, TAGS
from agent.core.refusal import Refusal
from agent.core.well_known import REGION
from agent.core.well_known import ZONE as WELL_KNOWN_ZONE
from tests.core.builders import (
    ENV,
    INSTANCE_KEY,
    RACK,
    SIZE,
    TAGS_KEY,
    ZONE,
    P,
    instance,
    labelled,
    managed,
    node,
    seen,
    sighting,
)

RULES = LabelRules()
DONE = seen(labelled())
PRIORITY = f"vm.{P}/priority"
MOVED = {"fault_domain": 1}
WELL_KNOWN = {WELL_KNOWN_ZONE: "westeurope-1", REGION: "westeurope"}


def actions(view, vm=None, **rules):
    return label_actions(vm or sighting(), view, LabelRules(**rules))


def applied(found, group="facts"):
    [action] = [each for each in found if isinstance(each, ApplyGroup) and each.group == group]
    return action.written


def replaced(view, **labels):
    return replace(view, labels={**view.labels, **labels})


def test_nothing_is_said_of_a_vm_that_imds_has_not_shown():
    assert label_actions(None, seen(node()), RULES) == ()


@pytest.mark.parametrize("agreed", [1, 2, 3])
def test_a_bare_node_gets_facts_and_tags_in_two_requests_after_the_first_complete_answer(agreed):
    facts, tags = actions(seen(node()), sighting(agreed))
    assert (facts.group, facts.written) == ("facts", fact_labels(instance(), LabelPolicy()))
    assert tags == ApplyGroup(
        group="tags", written=Written(labels={ENV: "prod"}, annotations={TAGS_KEY: '{"env":"prod"}'})
    )


@pytest.mark.parametrize("agreed", [0, 1, 2, 3])
def test_a_node_that_says_it_all_is_not_written_to(agreed):
    assert actions(DONE, sighting(agreed)) == ()


# Never take away on doubt (DESIGN 3).


@pytest.mark.parametrize("agreed", [1, 2])
def test_a_changed_fact_waits_for_the_third_complete_answer(agreed):
    assert actions(DONE, sighting(agreed, **MOVED)) == ()


def test_a_changed_fact_is_written_with_the_third_complete_answer():
    written = applied(actions(DONE, sighting(**MOVED)))
    assert written.labels[RACK] == "westeurope-1-fd1"


@pytest.mark.parametrize("agreed", [1, 2])
def test_a_fact_or_tag_that_vanished_stays_until_the_third_complete_answer(agreed):
    assert actions(DONE, sighting(agreed, zone=None, tags=())) == ()


def test_a_fact_or_tag_that_is_gone_for_good_is_dropped():
    found = actions(DONE, sighting(priority=None, tags=()))
    assert PRIORITY not in applied(found).labels
    assert applied(found).labels[RACK] == "westeurope-1-fd0"
    assert applied(found, "tags") == Written(labels={}, annotations={TAGS_KEY: "{}"})


def test_a_partial_first_answer_after_a_restart_changes_nothing():
    partial = sighting(0, name=None, zone=None, tags=(), vm_size=None, fault_domain=None)
    assert actions(DONE, partial) == ()


def test_what_is_new_is_added_at_once_and_what_stands_beside_it_stays():
    vm = sighting(1, tags=(Tag("env", "test"), Tag("team", "x")))
    assert applied(actions(DONE, vm), "tags").labels == {ENV: "prod", f"tag.{P}/team": "x"}


def test_a_partial_answer_adds_no_composite_and_no_priority():
    partial = sighting(0, vm_size=None)
    labels = applied(actions(seen(node()), partial)).labels
    assert labels.keys() == {f"topology.{P}/region", ZONE, f"topology.{P}/fault-domain"}


def test_another_vm_id_is_believed_at_once_when_its_answer_is_complete():
    other = sighting(1, vm_id="ffffffff", zone="2", tags=())
    found = actions(DONE, other)
    assert applied(found).labels[RACK] == "westeurope-2-fd0"
    assert applied(found, "tags").labels == {}


@pytest.mark.parametrize(
    ("agreed", "annotation", "another"),
    [
        (1, '{"vmId":"ffffffff"}', True),
        (0, '{"vmId":"ffffffff"}', False),
        (1, '{"vmId":"02AAB8A4"}', False),
        (1, '{"name":"web_0"}', False),
        (1, "garbled", False),
        (1, None, False),
    ],
)
def test_a_node_is_another_vms_only_if_its_annotation_says_so_and_the_answer_is_complete(agreed, annotation, another):
    view = seen(node(annotations={INSTANCE_KEY: annotation} if annotation else {}))
    assert another_vm(sighting(agreed), view, P) is another


def test_a_complete_answer_without_vm_id_is_nobody_elses():
    view = seen(node(annotations={INSTANCE_KEY: '{"vmId":"ffffffff"}'}))
    assert not another_vm(sighting(1, vm_id=None), view, P)


def test_well_known_labels_of_ours_stay_while_the_facts_are_in_doubt():
    ours = labelled(managed(FACTS, labels=WELL_KNOWN), labels=WELL_KNOWN)
    ours["metadata"]["managedFields"][0]["fieldsV1"]["f:metadata"]["f:labels"] |= {f"f:{key}": {} for key in WELL_KNOWN}
    view = seen(ours)
    for doubtful in (sighting(1, zone=None), sighting(2, zone="2"), sighting(0, location=None)):
        assert actions(view, doubtful, well_known="if-absent") == ()
    other = sighting(zone=None, vm_id="another")
    assert WELL_KNOWN_ZONE not in applied(actions(view, other, well_known="if-absent")).labels


TEXTS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("xyz"))


@given(TEXTS, TEXTS)
def test_before_facts_are_settled_all_that_stands_is_asked_for_again(standing, desired):
    asked = kept(standing, desired, settled=False)
    assert standing.items() <= asked.items()
    assert asked.keys() == standing.keys() | desired.keys()
    assert kept(standing, desired, settled=True) == desired


# Others on our keys.


def test_a_label_that_kubelet_registered_with_our_value_is_left_to_it():
    sent = labelled()
    sent["metadata"]["managedFields"][0] = managed(
        "kubelet", applied=False, labels=fact_labels(instance(), LabelPolicy()).labels
    )
    assert actions(seen(sent)) == ()


def test_a_label_that_kubelet_registered_with_another_value_is_set_right_once_settled():
    wrong = replaced(DONE, **{SIZE: "Standard_B1s"})
    assert actions(wrong, sighting(2)) == ()
    assert applied(actions(wrong)).labels[SIZE] == "Standard_D2s_v5"


def test_leftovers_below_our_prefixes_that_others_own_are_swept_once_settled():
    left = replaced(DONE, **{f"topology.{P}/old": "1", f"tag.{P}/old": "1", f"{P}/other": "1", "example.com/x": "1"})
    assert actions(left, sighting(2)) == ()
    assert actions(left) == (Sweep(labels=(f"topology.{P}/old",)), Sweep(labels=(f"tag.{P}/old",)))


def test_a_key_of_ours_that_is_dropped_but_stays_with_another_owner_is_swept():
    kubelet = managed("kubelet", applied=False, labels=[PRIORITY])
    vm = sighting(priority=None)
    assert PRIORITY not in applied(actions(seen(labelled(kubelet)), vm)).labels
    after = labelled(kubelet, vm=vm.instance, labels={PRIORITY: "regular"})
    assert actions(seen(after), vm) == (Sweep(labels=(PRIORITY,)),)


def test_labels_whose_ownership_was_wiped_are_swept_when_they_go():
    wiped = labelled()
    wiped["metadata"]["managedFields"] = []
    assert actions(seen(wiped)) == ()
    written = applied(actions(seen(wiped), sighting(zone=None)))
    assert ZONE not in written.labels


def test_a_label_that_a_person_removed_comes_back():
    view = replace(DONE, labels={key: value for key, value in DONE.labels.items() if key != RACK})
    assert applied(actions(view, sighting(1))).labels[RACK] == "westeurope-1-fd0"


def test_an_excluded_label_goes_when_the_facts_are_settled():
    policy = LabelPolicy(exclude=("vm.*/size",))
    assert actions(DONE, sighting(2), policy=policy) == ()
    assert SIZE not in applied(actions(DONE, policy=policy)).labels


# What admission refused.


def refusal(*keys, **more):
    return Refusal(keys=frozenset(keys), until=1e9, **more)


def test_a_refused_key_is_left_out_and_the_rest_is_written():
    written = applied(actions(seen(node()), refusals={"facts": refusal(SIZE)}))
    assert SIZE not in written.labels
    assert RACK in written.labels


def test_refused_labels_are_left_out_and_the_annotation_is_written():
    assert applied(actions(seen(node()), refusals={"facts": refusal(labels=True)})).labels == {}


def test_a_group_that_is_refused_altogether_rests_and_costs_the_other_nothing():
    [left] = actions(seen(node()), refusals={"facts": refusal(everything=True)})
    assert left.group == "tags"


@pytest.mark.parametrize("refused", [refusal(RACK, SIZE), refusal(labels=True), refusal(RACK, INSTANCE_KEY)])
def test_what_was_refused_stays_as_it_stands_instead_of_vanishing(refused):
    vm = sighting(fault_domain=1, vm_size="Standard_D4s_v5")
    found = actions(DONE, vm, refusals={"facts": refused})
    labels = applied(found).labels if found else DONE.labels
    assert (labels[RACK], labels[ZONE]) == ("westeurope-1-fd0", "westeurope-1")


def test_a_refused_change_is_not_asked_for_again_while_the_refusal_stands():
    vm = sighting(fault_domain=1)
    changed = refusal(RACK, f"topology.{P}/fault-domain")
    assert actions(DONE, vm, refusals={"facts": changed}) == ()


def test_nothing_is_swept_while_a_refusal_stands():
    left = replaced(DONE, **{f"tag.{P}/old": "1"})
    assert actions(left, refusals={"tags": refusal(f"tag.{P}/new")}) == ()


def test_the_two_groups_have_a_manager_each():
    only_tags = seen(node(managers=[managed(TAGS, labels=[f"tag.{P}/gone"])]))
    assert [action.group for action in actions(only_tags, sighting(tags=()))] == ["facts", "tags"]


@pytest.mark.parametrize(
    ("action", "group"),
    [
        (ApplyGroup(group="tags", written=Written()), "tags"),
        (Sweep(labels=(ZONE,)), "facts"),
        (Sweep(labels=(ENV,)), "tags"),
        (Sweep(annotations=(INSTANCE_KEY,)), "facts"),
        (Sweep(annotations=(TAGS_KEY,)), "tags"),
        (Sweep(annotations=(f"{P}/events",)), None),
        (ApplyMark(mark=None, cordon=False), None),
    ],
)
def test_a_refused_sweep_rests_with_its_group_and_one_of_the_mark_does_not(action, group):
    assert group_of(action, P) == group
