"""Faults and the rate limit, with time as a number."""

import json

import pytest

from agent.emulator.default_vm import default_vm
from agent.emulator.exchange import Delivery, Request, Response
from agent.emulator.faults import GARBAGE, PAGE, Fault, faults_from, met, spoiled
from agent.emulator.fleet import one_vm
from agent.emulator.limits import admitted
from agent.emulator.reading import InputError
from agent.emulator.unconfirmed import Choices
from agent.emulator.versions import Service
from agent.emulator.world import World
from tests.emulator.asking import HEADER, said

INSTANCE = "/metadata/instance"
REQUEST = Request(method="GET", path=INSTANCE)


class Clock:
    """Time that stands still until it is told to go on."""

    def __init__(self, now=1_000_000.0):
        self.now = now

    def __call__(self):
        return self.now


def a_world(clock, rate_limit=None, **choices):
    return World(one_vm(), service=Service(choices=Choices(**choices)), rate_limit=rate_limit, clock=clock)


def asked(world, target="/metadata/instance?api-version=2017-08-01"):
    path, _, query = target.partition("?")
    (vm,) = world.vms
    return world.deliver(vm.name, Request(method="GET", path=path, query=query, headers=HEADER))


def test_five_requests_pass_in_any_second_and_the_sixth_does_not():
    world = a_world(clock := Clock(), rate_limit=5)
    statuses = []
    for moment in [0, 0.1, 0.2, 0.3, 0.9, 0.95, 0.99, 1.0, 1.05, 1.1, 1.5]:
        clock.now = 1_000_000.0 + moment
        statuses.append(asked(world).response.status)
    assert statuses == [200, 200, 200, 200, 200, 429, 429, 200, 429, 200, 200]


def test_a_request_over_the_limit_gets_the_generic_body_and_no_retry_after():
    world = a_world(Clock(), rate_limit=1)
    asked(world)
    assert asked(world).response == Response(status=429, body=b'{"error":"Too many requests"}')


def test_retry_after_can_be_switched_on():
    world = a_world(Clock(), rate_limit=1, retry_after=7)
    asked(world)
    assert asked(world).response.headers == (("Retry-After", "7"),)


def test_without_a_limit_nothing_is_refused_nor_remembered():
    window = ()
    for _ in range(100):
        window, passes = admitted(window, 0.0, None)
        assert passes
    assert window == ()


def test_every_category_shares_the_limit():
    world = a_world(Clock(), rate_limit=2)
    targets = ["/metadata/versions", "/metadata/scheduledevents?api-version=2020-07-01", "/metadata/versions"]
    assert [asked(world, target).response.status for target in targets] == [200, 200, 429]


@pytest.mark.parametrize("path", ["/metadata/versions", "/metadata/scheduledevents", "/other/metadata/instance"])
def test_a_fault_meets_only_what_is_below_its_path(path):
    fault = Fault(kind="reset", path=INSTANCE)
    assert met((fault,), "/metadata/instance/compute", 0.0)[0] == fault
    assert met((fault,), path, 0.0)[0] is None


def test_a_fault_for_two_requests_meets_two_of_its_path():
    faults = (Fault(kind="reset", path=INSTANCE, times=2),)
    kinds = []
    for path in [INSTANCE, "/metadata/versions", INSTANCE, INSTANCE]:
        fault, faults = met(faults, path, 0.0)
        kinds.append(fault and fault.kind)
    assert (kinds, faults) == (["reset", None, "reset", None], ())


def test_a_fault_for_ten_seconds_ends_then():
    faults = faults_from([{"kind": "reset", "for": 10}], now=100.0)
    assert met(faults, INSTANCE, 109.9) == (faults[0], faults)
    assert met(faults, INSTANCE, 110.0) == (None, ())


def test_the_first_of_two_faults_is_met_until_it_is_used_up():
    faults = (Fault(kind="reset", times=1), Fault(kind="html"))
    first, faults = met(faults, INSTANCE, 0.0)
    second, _ = met(faults, INSTANCE, 0.0)
    assert (first.kind, second.kind) == ("reset", "html")


TRUE = Response(body=b"the truth")


@pytest.mark.parametrize(
    ("fault", "delivery"),
    [
        ({"kind": "status"}, Delivery(response=Response(status=503, body=b'{"error":"Service unavailable"}'))),
        ({"kind": "status", "status": 410}, Delivery(response=Response(status=410, body=b'{ "error": "Gone" }'))),
        ({"kind": "status", "status": 200, "body": "[1]"}, Delivery(response=Response(status=200, body=b"[1]"))),
        ({"kind": "delay"}, Delivery(response=TRUE, seconds=1.0)),
        ({"kind": "delay", "seconds": 3}, Delivery(response=TRUE, seconds=3.0)),
        ({"kind": "hang"}, Delivery(manner="hang", seconds=None)),
        ({"kind": "hang", "seconds": 2}, Delivery(manner="hang", seconds=2.0)),
        ({"kind": "reset"}, Delivery(manner="reset")),
        ({"kind": "truncate"}, Delivery(response=TRUE, manner="truncated")),
        ({"kind": "html"}, Delivery(response=Response(body=PAGE.encode(), content_type="text/html"))),
        ({"kind": "html", "body": "<p>"}, Delivery(response=Response(body=b"<p>", content_type="text/html"))),
        ({"kind": "empty"}, Delivery(response=Response())),
        ({"kind": "garbage"}, Delivery(response=Response(body=GARBAGE.encode()))),
    ],
)
def test_each_kind_of_fault_makes_its_own_of_the_answer(fault, delivery):
    (parsed,) = faults_from([fault], now=0.0)
    assert spoiled(parsed, REQUEST, Service(), lambda _emptied: TRUE) == delivery


def test_a_status_fault_speaks_identitys_words_there():
    request = Request(method="GET", path="/metadata/identity/oauth2/token")
    (fault,) = faults_from([{"kind": "status", "status": 500}], now=0.0)
    body = spoiled(fault, request, Service(), lambda _emptied: TRUE).response.body
    assert body == b'{"error":"server_error","error_description":"Server error"}'


def test_a_partial_document_is_a_200_with_the_named_parts_empty():
    world = a_world(Clock())
    world.put_faults(None, lambda now: faults_from([{"kind": "partial"}], now))
    delivery = asked(world, "/metadata/instance?api-version=2025-04-07")
    expected = json.loads(said("/metadata/instance?api-version=2025-04-07").body)
    expected["compute"] |= {"zone": "", "platformFaultDomain": "", "tags": "", "tagsList": []}
    assert (delivery.response.status, json.loads(delivery.response.body)) == (200, expected)
    assert world.instance(None) == default_vm()


@pytest.mark.parametrize(
    ("name", "path", "shown"),
    [
        ("storageProfile", "compute/storageProfile", b"{}"),
        ("compute", "compute", b"{}"),
        ("network", "network", b"{}"),
        ("compute.osProfile.computerName", "compute/osProfile", b'"computerName":""'),
        ("network.interface", "network", b'{"interface":[]}'),
    ],
)
def test_any_part_can_be_emptied(name, path, shown):
    assert shown in said(f"/metadata/instance/{path}?api-version=2025-04-07", emptied=(name,)).body


@pytest.mark.parametrize("name", ["zone", "nonsense", "compute.no.such", "network.interface.0"])
def test_emptying_what_a_version_does_not_have_changes_nothing(name):
    target = "/metadata/instance?api-version=2017-08-01"
    assert said(target, emptied=(name,)) == said(target)


def test_a_partial_fault_lets_scheduled_events_through():
    world = a_world(Clock())
    world.put_faults(None, lambda now: faults_from([{"kind": "partial"}], now))
    response = asked(world, "/metadata/scheduledevents?api-version=2020-07-01").response
    assert response.body == b'{"DocumentIncarnation":1,"Events":[]}'


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({}, "$: expected a list, found {}"),
        ([3], "$[0]: expected an object, found 3"),
        ([{}], "$[0].kind: expected one of status, delay, hang, reset, truncate, html, partial, empty, garbage, found None"),
        ([{"kind": "reset"}, {"kind": "boom"}], "$[1].kind: expected one of status, delay, hang, reset, truncate, html, partial, empty, garbage, found 'boom'"),
        ([{"kind": "status", "status": 99}], "$[0].status: expected a status from 200 to 599, found 99"),
        ([{"kind": "status", "body": {}}], "$[0].body: expected a string, found {}"),
        ([{"kind": "reset", "times": 0}], "$[0].times: expected a whole number, 1 or more, found 0"),
        ([{"kind": "reset", "for": "1"}], "$[0].for: expected seconds, 0 to 1e9, found '1'"),
        ([{"kind": "partial", "empty": "zone"}], "$[0].empty: expected a list, found 'zone'"),
        ([{"kind": "reset", "path": ""}], "$[0].path: expected the beginning of a path such as '/metadata', found ''"),
        ([{"kind": "reset", "stat": 1}], "$[0].stat: expected one of body, empty, for, kind, path, seconds, status, times, found this key"),
    ],
)  # fmt: skip
def test_a_wrong_fault_is_refused_with_place_expectation_and_finding(given, error):
    with pytest.raises(InputError) as caught:
        faults_from(given, now=0.0)
    assert str(caught.value) == error


def test_the_first_events_request_may_be_made_to_take_its_two_minutes_and_only_the_first():
    world = a_world(Clock(), first_events_seconds=120.0)
    target = "/metadata/scheduledevents?api-version=2020-07-01"
    assert [asked(world).seconds, asked(world, target).seconds, asked(world, target).seconds] == [0.0, 120.0, 0.0]
