"""Composite labels wait for all their parts, and a refused removal removes nothing."""

import pytest

from agent.core.actions import ApplyGroup
from agent.core.labelling import LabelRules, desired, label_actions
from agent.core.node import FACTS
from agent.core.refusal import Refusal
from agent.core.well_known import REGION
from agent.core.well_known import ZONE as WELL_KNOWN_ZONE
from tests.core.builders import RACK, ZONE, P, instance, labelled, managed, node, seen, sighting

GROUP = f"topology.{P}/update-group"
BARE = seen(node())


@pytest.mark.parametrize("agreed", [1, 2])
@pytest.mark.parametrize("lost", [{"zone": None}, {"fault_domain": None}])
def test_a_first_answer_that_lacks_a_part_gives_no_rack_until_three_agree(agreed, lost):
    unsettled = desired(sighting(agreed, **lost), BARE, "facts", LabelRules())
    assert unsettled is not None
    assert RACK not in unsettled.labels


def test_without_zones_the_rack_comes_with_the_third_answer():
    settled = desired(sighting(3, zone=None), BARE, "facts", LabelRules())
    assert settled is not None
    assert settled.labels[RACK] == "westeurope-fd0"


def test_an_update_group_waits_for_the_update_domain_and_costs_the_rack_nothing():
    found = desired(sighting(1, update_domain=None), BARE, "facts", LabelRules())
    assert found is not None
    assert GROUP not in found.labels
    assert found.labels[RACK] == "westeurope-1-fd0"


def test_a_zonal_vm_gets_its_rack_with_the_first_complete_answer():
    found = desired(sighting(1), BARE, "facts", LabelRules())
    assert found is not None
    assert (found.labels[RACK], found.labels[ZONE]) == ("westeurope-1-fd0", "westeurope-1")


def test_a_key_whose_removal_is_refused_stays_and_the_rest_is_written():
    given = {WELL_KNOWN_ZONE: "westeurope-1", REGION: "westeurope"}
    view = seen(node(labels=given, managers=[managed(FACTS, labels=given)]))
    rules = LabelRules(refusals={"facts": Refusal(keys=frozenset(given), until=1.0)})
    moved = sighting(fault_domain=1)
    action = label_actions(moved, view, rules)[0]
    assert isinstance(action, ApplyGroup)
    assert given.items() <= action.written.labels.items()
    assert action.written.labels[RACK] == "westeurope-1-fd1"


@pytest.mark.parametrize("lost", [{"zone": None}, {"fault_domain": None}, {"update_domain": None}])
def test_an_answer_without_the_placement_that_we_gave_this_node_takes_nothing_however_often_it_comes(lost):
    view = seen(labelled(vm=instance(update_domain=3)))
    assert label_actions(sighting(3, **{"update_domain": 3, **lost}, tags=()), view, LabelRules()) == ()


def test_another_vm_on_the_same_node_needs_no_zone():
    view = seen(labelled())
    found = desired(sighting(3, zone=None, vm_id="00000000-0000-0000-0000-000000000000"), view, "facts", LabelRules())
    assert found is not None
    assert ZONE not in found.labels
    assert found.labels[RACK] == "westeurope-fd0"
