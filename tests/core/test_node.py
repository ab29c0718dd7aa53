import pytest

from agent.core.node import (
    DRAINER_ANNOTATIONS,
    DRAINER_TAINTS,
    EVENTS,
    FACTS,
    HANDOVER,
    ORPHANED,
    RELEASE,
    Hold,
    Owner,
    Taint,
    cordoned_by_others,
    holds,
    read_node,
)
from tests.core.builders import EVENTS_KEY, HOLD_KEY, RACK, UID, VERSION, P, managed, metadata_of, node, seen

KUBECTL = managed("kubectl-cordon", applied=False, cordon=True)
OURS = managed(EVENTS, annotations=[EVENTS_KEY], cordon=True)


def who(view):
    return [hold.who for hold in holds(view, P)]


def test_a_node_is_read_as_the_api_server_sends_it():
    sent = node(
        labels={RACK: "westeurope-1-fd0"},
        annotations={HOLD_KEY: "disk swap"},
        managers=[managed(FACTS, labels=[RACK]), OURS],
        cordoned=True,
        taints=[{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}],
        provider_id="azure:///x",
    )
    view = seen(sent)
    assert (view.name, view.uid, view.resource_version, view.quorum) == ("node-1", UID, VERSION, True)
    assert view.labels == {"kubernetes.io/hostname": "node-1", RACK: "westeurope-1-fd0"}
    assert view.annotations == {HOLD_KEY: "disk swap"}
    assert view.owners == (
        Owner(manager=FACTS, applied=True, labels=frozenset({".", RACK}) - {"."}),
        Owner(manager=EVENTS, applied=True, annotations=frozenset({EVENTS_KEY}), unschedulable=True),
    )
    assert (view.unschedulable, view.ready, view.provider_id) == (True, True, "azure:///x")
    assert view.taints == (Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule"),)
    assert view.full


def test_a_view_of_metadata_alone_knows_neither_cordon_nor_ready_nor_taints():
    view = seen(metadata_of(node(managers=[OURS], cordoned=True, provider_id="azure:///x")), quorum=False)
    assert (view.unschedulable, view.ready, view.taints, view.provider_id) == (None, None, None, None)
    assert view.cordon_is_applied_by_us()
    assert not view.full
    assert not view.quorum


def test_a_full_view_without_the_field_is_of_a_schedulable_node():
    assert seen(node()).unschedulable is False


@pytest.mark.parametrize(
    ("conditions", "ready"),
    [
        ([{"type": "Ready", "status": "True"}], True),
        ([{"type": "Ready", "status": "Unknown"}], False),
        ([{"type": "DiskPressure", "status": "True"}], False),
        ([], False),
        (None, False),
    ],
)
def test_only_a_condition_ready_that_is_true_makes_a_node_ready(conditions, ready):
    assert seen(node() | {"status": {"conditions": conditions}}).ready is ready


@pytest.mark.parametrize("sent", [{}, {"metadata": None}, {"metadata": {"labels": ["x"], "managedFields": [7, None]}}])
def test_a_document_of_an_odd_shape_is_read_as_empty_and_never_fails(sent):
    view = read_node(sent)
    assert (view.labels, view.annotations, view.unschedulable) == ({}, {}, False)
    assert not view.cordon_is_applied_by_us()


def test_an_update_under_our_name_is_not_our_apply():
    view = seen(node(managers=[managed(EVENTS, applied=False, cordon=True)], cordoned=True))
    assert view.owner(EVENTS) is None
    assert not view.cordon_is_applied_by_us()


def test_a_quiet_node_is_held_by_nobody():
    assert who(seen(node(managers=[OURS], cordoned=True))) == []


def test_the_hold_annotation_holds_whoever_set_it_and_whatever_it_says():
    assert holds(seen(node(annotations={HOLD_KEY: ""})), P) == (Hold(who=f"annotation {HOLD_KEY}"),)


@pytest.mark.parametrize("manager", ["argocd", HANDOVER])
def test_another_server_side_applier_of_the_cordon_holds(manager):
    assert who(seen(node(managers=[OURS, managed(manager, cordon=True)]))) == [f"field manager {manager}"]


def test_a_plain_cordon_is_no_hold_since_it_stays_by_itself():
    assert who(seen(node(managers=[KUBECTL, OURS], cordoned=True))) == []


@pytest.mark.parametrize(("key", "name"), DRAINER_TAINTS.items())
def test_a_known_drainers_taint_holds(key, name):
    assert who(seen(node(taints=[{"key": key, "effect": "NoSchedule"}]))) == [f"{name} (taint {key})"]


@pytest.mark.parametrize(("key", "name"), DRAINER_ANNOTATIONS.items())
def test_a_known_drainers_annotation_holds(key, name):
    assert who(seen(node(annotations={key: "x"}))) == [f"{name} (annotation {key})"]


@pytest.mark.parametrize(
    ("managers", "stays"),
    [
        ([OURS], False),
        ([KUBECTL, OURS], True),
        ([managed("argocd", cordon=True), OURS], True),
        ([managed(EVENTS, applied=False, cordon=True)], True),
        ([managed(ORPHANED, applied=False, cordon=True), OURS], False),
        ([managed(RELEASE, applied=False, cordon=True)], False),
        ([managed("restore", applied=False, annotations=[EVENTS_KEY], cordon=True)], False),
        ([managed("restore", applied=False, annotations=[EVENTS_KEY], cordon=True), KUBECTL], True),
        ([], False),
    ],
)
def test_a_cordon_is_somebody_elses_unless_its_owner_is_ours_orphaned_or_a_copier_of_our_mark(managers, stays):
    assert cordoned_by_others(seen(node(managers=managers, cordoned=True)), P) is stays
