"""Many VMs in one emulator."""

import pytest

from agent.emulator import Emulator
from agent.emulator.fleet import fleet_from
from agent.emulator.reading import InputError
from tests.emulator.asking import ask

EVENTS = "/metadata/scheduledevents?api-version=2020-07-01"
FLEET = [
    {"address": "127.0.1.1", "instance": {"compute": {"name": "a_0", "placementGroupId": "G"}}},
    {"address": "127.0.1.2", "instance": {"compute": {"name": "a_1", "placementGroupId": "G", "zone": "2"}}},
    {"address": "127.0.1.3", "instance": {"compute": {"name": "b_0", "placementGroupId": "H"}}},
    {"address": "127.0.1.4", "instance": {"compute": {"name": "c", "placementGroupId": ""}}},
    {"address": "127.0.1.5", "instance": {"compute": {"name": "d", "placementGroupId": ""}}},
]


@pytest.fixture
def emulator():
    with Emulator(fleet=FLEET, rate_limit=None) as running:
        yield running


def seen_by(emulator):
    return {
        name: [each["EventType"] for each in ask(url + EVENTS).json["Events"]] for name, url in emulator.urls.items()
    }


def test_each_vm_has_its_own_address_and_all_have_one_port(emulator):
    hosts, ports = zip(*(url.removeprefix("http://").split(":") for url in emulator.urls.values()), strict=True)
    assert hosts == ("127.0.1.1", "127.0.1.2", "127.0.1.3", "127.0.1.4", "127.0.1.5")
    assert len(set(ports)) == 1
    assert emulator.url == emulator.urls["a_0"]


def test_each_vm_sees_its_own_document_the_default_one_with_its_changes(emulator):
    target = "/metadata/instance/compute?api-version=2020-09-01"
    shown = {name: ask(url + target).json for name, url in emulator.urls.items()}
    assert {name: compute["name"] for name, compute in shown.items()} == {name: name for name in emulator.urls}
    assert [(each["zone"], each["location"]) for each in shown.values()] == [
        ("2" if name == "a_1" else "1", "westeurope") for name in shown
    ]


def test_an_event_reaches_the_placement_group_and_nobody_else(emulator):
    emulator.add_event(EventType="Reboot", vm="a_1")
    emulator.add_event(EventType="Freeze", vm="c")
    assert seen_by(emulator) == {"a_0": ["Reboot"], "a_1": ["Reboot"], "b_0": [], "c": ["Freeze"], "d": []}


def test_all_of_a_group_see_the_same_document_and_the_resources_name_the_vm_it_was_posted_to(emulator):
    url = f"{emulator.admin_url}/events?vm=a_1"
    created = ask(url, "POST", headers={}, body={"EventType": "Reboot"}).json
    assert created["Resources"] == ["a_1"]
    assert ask(emulator.urls["a_0"] + EVENTS).body == ask(emulator.urls["a_1"] + EVENTS).body


def test_one_vm_of_the_group_approves_for_all(emulator):
    event = emulator.add_event(EventType="Reboot", vm="a_0")
    body = {"StartRequests": [{"EventId": event["EventId"]}]}
    assert ask(emulator.urls["d"] + EVENTS, "POST", body=body).status == 400
    assert ask(emulator.urls["a_1"] + EVENTS, "POST", body=body).status == 200
    assert ask(emulator.urls["a_0"] + EVENTS).json["Events"][0]["EventStatus"] == "Started"


def statuses_seen_by(emulator):
    return {
        name: {each["EventId"]: each["EventStatus"] for each in ask(url + EVENTS).json["Events"]}
        for name, url in emulator.urls.items()
    }


def test_several_events_are_approved_in_one_request_and_start_for_all_vms_of_the_group(emulator):
    for name in ("A", "B", "C"):
        emulator.add_event(EventId=name, EventType="Reboot", Resources=["a_0", "a_1"], vm="a_0")
    emulator.add_event(EventId="A", EventType="Reboot", vm="b_0")
    body = {"StartRequests": [{"EventId": "A"}, {"EventId": "C"}]}
    answer = ask(emulator.urls["a_1"] + EVENTS, "POST", body=body)
    assert (answer.status, answer.body) == (200, b"")
    both = {"A": "Started", "B": "Scheduled", "C": "Started"}
    assert statuses_seen_by(emulator) == {"a_0": both, "a_1": both, "b_0": {"A": "Scheduled"}, "c": {}, "d": {}}


def test_an_approval_of_one_that_another_vm_approved_already_is_answered_200_and_changes_nothing(emulator):
    body = {"StartRequests": [{"EventId": emulator.add_event(EventType="Reboot", vm="a_0")["EventId"]}]}
    assert ask(emulator.urls["a_0"] + EVENTS, "POST", body=body).status == 200
    before = ask(emulator.urls["a_0"] + EVENTS).body
    assert ask(emulator.urls["a_1"] + EVENTS, "POST", body=body).status == 200
    assert ask(emulator.urls["a_1"] + EVENTS).body == before


@pytest.mark.parametrize(
    "body", [b"{", b'{"StartRequests":[{"EventId":"A"},{"Event":"B"}]}', b'{"StartRequests":[{"EventId":"A"},{"EventId":"NO"}]}']
)  # fmt: skip
def test_an_approval_that_is_wrong_in_one_part_is_a_400_and_starts_nothing(emulator, body):
    emulator.add_event(EventId="A", EventType="Reboot", vm="a_0")
    assert ask(emulator.urls["a_0"] + EVENTS, "POST", body=body).status == 400
    assert statuses_seen_by(emulator)["a_1"] == {"A": "Scheduled"}


def test_a_vm_that_moves_to_another_group_sees_that_groups_events(emulator):
    emulator.add_event(EventType="Reboot", vm="a_0")
    emulator.patch_instance({"compute": {"placementGroupId": "G"}}, vm="d")
    assert seen_by(emulator) == {"a_0": ["Reboot"], "a_1": ["Reboot"], "b_0": [], "c": [], "d": ["Reboot"]}


def test_faults_and_the_log_are_told_apart_by_vm(emulator):
    emulator.put_faults([{"kind": "status", "status": 500}], vm="b_0")
    assert {name: ask(url + EVENTS).status for name, url in emulator.urls.items()} == {
        "a_0": 200,
        "a_1": 200,
        "b_0": 500,
        "c": 200,
        "d": 200,
    }
    assert [each["vm"] for each in emulator.requests() if each["fault"]] == ["b_0"]


def test_each_vm_has_a_rate_limit_of_its_own():
    with Emulator(fleet=FLEET[:2], rate_limit=2, clock=lambda: 0.0) as emulator:
        statuses = {name: [ask(url + EVENTS).status for _ in range(3)] for name, url in emulator.urls.items()}
    assert statuses == {"a_0": [200, 200, 429], "a_1": [200, 200, 429]}


def test_the_cloud_of_a_fleet_is_the_one_asked_for():
    target = "/metadata/instance/compute/azEnvironment?api-version=2018-10-01&format=text"
    with Emulator(fleet=FLEET[:2], cloud="government") as emulator:
        assert {ask(url + target).body for url in emulator.urls.values()} == {b"AzureUSGovernmentCloud"}


def test_an_address_that_the_machine_does_not_have_is_an_os_error_and_leaves_nothing_open():
    with pytest.raises(OSError, match="Cannot assign"):
        Emulator(fleet=[FLEET[0], FLEET[1] | {"address": "192.0.2.1"}]).__enter__()


def test_a_fleet_of_a_hundred_starts_answers_and_ends():
    fleet = [
        {"address": f"127.0.2.{n}", "instance": {"compute": {"name": f"vm_{n}", "placementGroupId": "G"}}}
        for n in range(1, 101)
    ]
    with Emulator(fleet=fleet) as emulator:
        emulator.add_event(EventType="Reboot", vm="vm_50")
        assert {name for name, types in seen_by(emulator).items() if types == ["Reboot"]} == {
            f"vm_{n}" for n in range(1, 101)
        }


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({}, "$: expected a list, found {}"),
        ([], "$: expected at least one VM, found an empty list"),
        ([{"instance": {}}], "$[0].address: expected an address such as '127.0.1.5', found None"),
        ([{"address": "127.0.1.1", "vm": {}}], "$[0].vm: expected one of address, instance, found this key"),
        ([{"address": "127.0.1.1", "instance": {"compute": {"zone": 1}}}], "$[0].instance.compute.zone: expected a string, found 1"),
        ([{"address": "127.0.1.1"}, {"address": "127.0.1.2"}], "$[1].instance.compute.name: expected one that no other VM has, found 'aks-pool1-12345678-vmss_2'"),
        ([FLEET[0], FLEET[1] | {"address": "127.0.1.1"}], "$[1].address: expected one that no other VM has, found '127.0.1.1'"),
    ],
)  # fmt: skip
def test_a_wrong_fleet_is_refused_with_place_expectation_and_finding(given, error):
    with pytest.raises(InputError) as caught:
        fleet_from(given)
    assert str(caught.value) == error


@pytest.mark.parametrize("address", ["x", "127.0.1.1:80", ""])
def test_an_address_that_is_none_is_told_with_its_place(address):
    with pytest.raises(InputError) as wrong:
        fleet_from([FLEET[0], {"address": address, "instance": {"compute": {"name": "e"}}}])
    assert str(wrong.value).startswith("$[1].address: expected an address such as '127.0.1.5', found ")
