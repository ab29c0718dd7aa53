"""What one agent tells another of its VM: read back as it was written, and strictly."""

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.document import DocumentError
from agent.core.facts_document import HostFacts, facts_text, host_facts, read_facts, told_events
from agent.core.hearing import Hearing
from agent.core.instance import OsProfile
from agent.core.mark import Mark, MarkedEvent
from agent.core.network import Address, NetworkInterface
from agent.core.placement import Placement
from agent.core.policy import Policy
from agent.core.racks import RackedHost
from tests.core.builders import NAME, NOW, document, event, hearing, instance, mark, marked_event, showing

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
NUMBERS = st.one_of(st.none(), st.integers(0, 1000))
FACTS = st.builds(
    HostFacts,
    vm_id=st.one_of(st.none(), st.uuids().map(str)),
    name=st.one_of(st.none(), TEXTS),
    computer_name=st.one_of(st.none(), TEXTS),
    addresses=st.lists(st.ip_addresses().map(str), max_size=5).map(tuple),
    placement=st.builds(
        Placement,
        location=st.one_of(st.none(), TEXTS),
        zone=st.one_of(st.none(), TEXTS),
        fault_domain=NUMBERS,
        update_domain=NUMBERS,
    ),
    complete=st.booleans(),
    events=st.one_of(
        st.none(),
        st.lists(
            st.builds(
                MarkedEvent,
                id=TEXTS,
                type=st.one_of(st.just(""), TEXTS),
                do=st.sampled_from(["notify", "cordon", "drain"]),
                started=st.booleans(),
                overridden=st.booleans(),
            ),
            max_size=4,
        ).map(tuple),
    ),
    age=st.integers(0, 10**9),
)

SENT = {
    "v": 1,
    "vm": {"id": "02AA", "name": "web_0", "computer_name": "web000"},
    "addresses": ["10.224.0.4", "fd00::4"],
    "placement": {"location": "westeurope", "zone": "1", "fault_domain": 0, "update_domain": 3},
    "complete": True,
    "events": [{"id": "E1", "type": "Reboot", "do": "drain", "started": False, "overridden": False}],
    "age": 1,
}


def sent(**other) -> str:
    return json.dumps({**SENT, **other})


@given(FACTS)
def test_facts_are_read_back_as_they_were_written(facts):
    assert read_facts(facts_text(facts)) == facts
    assert read_facts(facts_text(facts).encode()) == facts


@given(st.text())
def test_no_text_breaks_the_reader(text):
    with pytest.raises(DocumentError):
        read_facts(text)


def test_what_is_read_is_a_host_with_a_place_and_its_events():
    facts = read_facts(sent())
    assert facts.vm_id == "02aa"
    assert facts.host == RackedHost(
        names=("10.224.0.4", "fd00::4", "web000", "web_0"),
        placement=Placement(location="westeurope", zone="1", fault_domain=0, update_domain=3),
    )
    assert facts.events == (marked_event(do="drain"),)


def test_the_document_is_canonical_json():
    assert facts_text(read_facts(sent())) == (
        '{"addresses":["10.224.0.4","fd00::4"],"age":1,"complete":true,'
        '"events":[{"do":"drain","id":"E1","overridden":false,"started":false,"type":"Reboot"}],'
        '"placement":{"fault_domain":0,"location":"westeurope","update_domain":3,"zone":"1"},'
        '"v":1,"vm":{"computer_name":"web000","id":"02aa","name":"web_0"}}'
    )


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"v": 2}, "$.v: expected version 1, found 2"),
        ({"v": True}, "$.v: expected version 1, found True"),
        ({"vm": "web"}, "$.vm: expected an object"),
        ({"addresses": ["10.0.0.1", "web one"]}, "$.addresses[1]: expected an address, found 'web one'"),
        ({"addresses": [""]}, "$.addresses[0]: expected an address"),
        ({"addresses": ["fe80::1%eth0"]}, "$.addresses[0]: expected an address"),
        ({"placement": {"fault_domain": -1}}, "$.placement.fault_domain: expected a number from 0 on, found -1"),
        ({"complete": "true"}, "$.complete: expected true or false"),
        ({"age": None}, "$.age: expected a number, found nothing"),
        ({"events": "none"}, "$.events: expected an array"),
        ({"events": [{"id": "E1", "do": "dance"}]}, "$.events[0].do: expected one of notify, cordon, drain"),
        ({"events": [{"do": "cordon"}]}, "$.events[0].id: expected a text, found nothing"),
        ({"events": [{"id": "E1", "do": "cordon", "started": 1}]}, "$.events[0].started: expected true or false"),
    ],
)
def test_what_is_wrong_is_said_with_its_path(other, said):
    with pytest.raises(DocumentError) as wrong:
        read_facts(sent(**other))
    assert str(wrong.value).startswith(said)


def test_what_a_newer_agent_adds_is_passed_over():
    assert read_facts(sent(new={"x": 1})) == read_facts(sent())


def test_a_name_that_is_no_host_s_is_told_but_never_asked_for():
    facts = read_facts(sent(vm={"name": "web one", "computer_name": "a" * 300}))
    assert facts.host.names == ("10.224.0.4", "fd00::4")


def test_a_vm_is_told_by_its_private_addresses_and_without_tags_or_secrets():
    first = NetworkInterface(ipv4=(Address(private="10.0.0.4", public="20.1.2.3"), Address()), ipv6=("fd00::4",))
    second = NetworkInterface(ipv4=(Address(private="10.0.0.4"), Address(private="no address")))
    vm = instance(
        network=(first, second),
        os_profile=OsProfile(computer_name="web000", admin_username="root"),
        user_data="c2VjcmV0",
    )
    told = host_facts(vm, complete=True, events=(marked_event(drain="done", approved="agent"),), age=1.9)
    assert told.addresses == ("10.0.0.4", "fd00::4")
    assert told.events == (marked_event(),)
    assert told.age == 1
    for hidden in ("20.1.2.3", "root", "c2VjcmV0", "prod", "no address"):
        assert hidden not in facts_text(told)
    assert host_facts(vm, complete=True, events=None, age=0.0).events is None


@pytest.mark.parametrize(
    ("standing", "heard_of", "name"),
    [
        (None, showing(event()), NAME),
        (Mark(broken=True), showing(event()), NAME),
        (Mark(), Hearing(), NAME),
        (Mark(), showing(event()), None),
        (Mark(), hearing((0.0, document(hidden=1))), NAME),
    ],
)
def test_unknown_events_are_not_no_events(standing, heard_of, name):
    assert told_events(standing, heard_of, name, Policy(), NOW) is None


def test_no_events_are_no_events_once_both_have_spoken():
    assert told_events(Mark(), showing(), NAME, Policy(), NOW) == ()


def test_the_mark_is_told_as_it_stands_whatever_imds_says_now():
    standing = mark(marked_event(overridden=True))
    assert told_events(standing, Hearing(), None, Policy(), NOW) == standing.events
    assert told_events(standing, showing(event("e1", status="Started")), NAME, Policy(), NOW) == standing.events


def test_an_event_that_is_not_marked_yet_is_told_as_the_policy_judges_it():
    new = event("E2", "Redeploy")
    neighbours = event("E3", resources=("web_1",))
    later = event("E4", not_before=NOW + timedelta(days=1))
    told = told_events(mark(marked_event("E1")), showing(new, neighbours, later), NAME, Policy(), NOW)
    assert told == (marked_event("E1"), marked_event("E2", "Redeploy"), marked_event("E4", do="notify"))
