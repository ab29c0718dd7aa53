"""A Kubernetes node is a host with a place once our agent has labelled it."""

import pytest

from agent.core.facts_document import HostFacts
from agent.core.hdfs_nodes import NodePlace, hdfs_host, name_of, racked_node, told_host
from agent.core.mark import MarkedEvent
from agent.core.placement import Placement

P = "imds-agent.github.io"


def node(labels=None, addresses=(("InternalIP", "10.0.0.4"), ("Hostname", "node-a")), **spec):
    prefixed = {f"topology.{P}/{key}": value for key, value in (labels or {}).items()}
    status = {"addresses": [{"type": kind, "address": address} for kind, address in addresses]}
    return {"metadata": {"name": "node-a", "labels": prefixed}, "spec": spec, "status": status}


def with_annotations(annotations):
    found = node({"region": "westeurope", "zone": "westeurope-1"})
    found["metadata"] |= {"annotations": annotations, "uid": "u-1"}
    return found


def test_labels_become_a_place_and_addresses_its_names():
    found = racked_node(
        node(
            {"region": "westeurope", "zone": "westeurope-1", "fault-domain": "0", "update-domain": "3"},
            podCIDRs=["10.244.1.0/24", "x"],
        ),
        P,
    )
    assert found.placement == NodePlace(location="westeurope", zone="1", fault_domain=0, update_domain=3)
    assert (found.names, found.networks) == (("10.0.0.4", "node-a"), ("10.244.1.0/24",))


def test_a_regional_node_has_no_zone_and_one_network_may_stand_alone():
    found = racked_node(node({"region": "eastus", "fault-domain": "2"}, podCIDR="10.244.2.0/24"), P)
    assert (found.placement.zone, found.placement.fault_domain, found.networks) == (None, 2, ("10.244.2.0/24",))


@pytest.mark.parametrize(
    "document",
    [
        node(),
        node({"region": "westeurope"}, addresses=()),
        {},
        {"metadata": {"labels": {f"topology.{P}/region": 3}}},
        {"metadata": {"labels": [], "name": "x"}, "status": {"addresses": "x"}},
        node({"fault-domain": "x"}),
        node({"zone": "westeurope-1"}),
    ],
)
def test_a_node_that_does_not_say_where_it_stands_has_no_place(document):
    assert racked_node(document, P) is None


def test_a_node_has_a_name():
    assert name_of(node()) == "node-a"
    assert name_of({}) == ""


def test_a_node_becomes_a_host_with_its_vm_its_events_and_what_is_said_of_it():
    mark = '{"v":1,"events":{"E1":{"type":"Reboot","do":"cordon"}}}'
    annotations = {
        f"{P}/instance": '{"vmId":"ABC","name":"vm_1"}',
        f"{P}/events": mark,
        f"{P}/hdfs": "said",
    }
    found = hdfs_host(with_annotations(annotations), P)
    assert found is not None
    assert (found.vm_id, [each.id for each in found.events], found.said, found.uid) == ("abc", ["E1"], "said", "u-1")


def test_a_node_keeps_its_place_and_not_its_events_while_its_labels_are_gone():
    known = hdfs_host(with_annotations({f"{P}/events": '{"v":1,"events":{"E1":{"type":"Reboot","do":"cordon"}}}'}), P)
    bare = {"metadata": {"name": "node-a", "uid": "u-1"}, "status": {}}
    assert hdfs_host(bare, P) is None
    kept = hdfs_host(bare, P, known)
    assert kept is not None
    assert kept.host == known.host
    assert kept.events == ()
    assert kept.vm_id is None


def facts(**more):
    given = {
        "vm_id": "abc",
        "name": "web_0",
        "computer_name": "web000",
        "addresses": ("10.0.0.4",),
        "placement": Placement(location="westeurope", zone="1"),
        "complete": True,
        "events": (MarkedEvent(id="E1", type="Reboot", do="cordon"),),
        "age": 1,
    }
    return HostFacts(**{**given, **more})


def test_a_vm_without_kubernetes_is_a_host_as_its_own_agent_tells():
    found = told_host(facts())
    assert (found.name, found.vm_id, found.host.names) == ("web_0", "abc", ("10.0.0.4", "web000", "web_0"))
    assert [each.id for each in found.events] == ["E1"]
    assert told_host(facts(name=None)).name == "10.0.0.4"


def test_a_place_that_is_not_sure_yet_is_waited_for_and_a_known_one_stays():
    assert told_host(facts(complete=False)) is None
    assert told_host(facts(addresses=(), computer_name=None, name=None)) is None
    known = told_host(facts())
    moved = told_host(facts(complete=False, placement=Placement()), known)
    assert moved.host == known.host


def test_no_word_of_events_is_not_no_events_and_another_vm_has_its_own():
    known = told_host(facts())
    assert told_host(facts(events=None), known).events == known.events
    assert told_host(facts(events=()), known).events == ()
    assert told_host(facts(events=None, vm_id="other"), known).events == ()
