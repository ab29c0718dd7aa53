import pytest

from agent.core.node import FACTS
from agent.core.well_known import REGION, UNINITIALIZED, ZONE, well_known_labels
from tests.core.builders import instance, managed, metadata_of, node, seen

BOTH = {ZONE: "westeurope-1", REGION: "westeurope"}
BARE = seen(node())
OURS = seen(node(labels=BOTH, managers=[managed(FACTS, labels=BOTH)]))
MOVED = instance(zone="2")


def wanted(view, vm=None, mode="if-absent", *, settled=True):
    return well_known_labels(vm or instance(), view, mode, settled=settled)


def test_a_zonal_vm_gets_both_labels_where_nobody_has_written_them():
    assert wanted(BARE) == BOTH


def test_by_default_they_are_never_written_nor_kept():
    assert wanted(BARE, mode="never") == {}
    assert wanted(OURS, mode="never", settled=False) == {}


@pytest.mark.parametrize("vm", [instance(zone=None), instance(location=None)])
def test_without_a_true_zone_there_are_none_and_a_fault_domain_is_no_zone(vm):
    assert wanted(BARE, vm) == {}
    assert wanted(OURS, vm) == {}


def test_what_others_wrote_is_left_to_them_even_where_it_is_wrong():
    assert wanted(seen(node(labels={ZONE: "0"}))) == {REGION: "westeurope"}
    assert wanted(seen(node(labels=BOTH))) == {}


def test_a_node_with_a_cloud_provider_gets_none():
    assert wanted(seen(node(provider_id="azure:///x"))) == {}
    assert wanted(seen(node(taints=[{"key": UNINITIALIZED, "effect": "NoSchedule"}]))) == {}
    assert wanted(seen(node(taints=[{"key": "other", "effect": "NoSchedule"}]))) == BOTH


def test_a_view_of_metadata_alone_adds_none_and_drops_none():
    assert wanted(seen(metadata_of(node()))) == {}
    kept = node(labels=BOTH, managers=[managed(FACTS, labels=BOTH)])
    assert wanted(seen(metadata_of(kept))) == BOTH


def test_ours_stay_when_a_cloud_provider_comes_and_agrees():
    taken = node(labels=BOTH, managers=[managed(FACTS, labels=BOTH)], provider_id="azure:///x")
    assert wanted(seen(taken)) == BOTH


def test_ours_are_given_up_when_another_took_them_over_with_another_value():
    taken = {ZONE: "westeurope-3", REGION: "westeurope"}
    view = seen(node(labels=taken, managers=[managed("cloud-node-manager", applied=False, labels=[ZONE])]))
    assert wanted(view, settled=False) == wanted(view) == {}


@pytest.mark.parametrize("vm", [MOVED, instance(zone=None), instance(location=None)])
def test_ours_are_not_taken_away_on_the_word_of_a_document_that_is_not_settled(vm):
    assert wanted(OURS, vm, settled=False) == BOTH


def test_ours_follow_the_facts_once_these_are_settled():
    assert wanted(OURS, MOVED) == {ZONE: "westeurope-2", REGION: "westeurope"}
