"""Faults and the rate limit, with time as a number."""

import json
from dataclasses import replace

import pytest

from agent.emulator.default_vm import default_vm
from agent.emulator.exchange import Delivery, Request, Response
from agent.emulator.faults import GARBAGE, PAGE, Fault, Met, faults_from, met, spoiled
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
    assert met((fault,), "GET", "/metadata/instance/compute", 0.0).fault == fault
    assert met((fault,), "GET", path, 0.0).fault is None


def test_a_fault_of_one_method_lets_the_other_pass_and_is_not_used_up_by_it():
    (fault,) = faults_from([{"kind": "reset", "method": "POST", "times": 1}], now=0.0)
    assert met((fault,), "GET", INSTANCE, 0.0) == Met(fault=None, left=(fault,))
    assert met((fault,), "POST", INSTANCE, 0.0) == Met(fault=fault, left=())


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_fault_meets_both_methods_unless_said(method):
    (fault,) = faults_from([{"kind": "reset", "method": None}], now=0.0)
    assert met((fault,), method, INSTANCE, 0.0).fault == fault


def test_what_is_wrong_with_the_clock_comes_together_with_what_spoils_the_answer():
    faults = faults_from(
        [{"kind": "skew", "seconds": 90}, {"kind": "html", "times": 1}, {"kind": "skew", "seconds": -30}, {"kind": "no-date"}],
        now=0.0,
    )  # fmt: skip
    assert met(faults, "GET", INSTANCE, 0.0) == Met(
        fault=faults[1], skew=60.0, dated=False, left=(faults[0], faults[2], faults[3])
    )


def test_a_wrong_clock_can_be_met_once():
    faults = faults_from([{"kind": "skew", "seconds": 90, "times": 1}, {"kind": "no-date", "times": 2}], now=0.0)
    first = met(faults, "GET", INSTANCE, 0.0)
    second = met(first.left, "GET", INSTANCE, 0.0)
    third = met(second.left, "GET", INSTANCE, 0.0)
    assert [(each.skew, each.dated) for each in (first, second, third)] == [(90.0, False), (0.0, False), (0.0, True)]


def test_of_two_equal_faults_one_is_used_up():
    fault = Fault(kind="reset", times=1)
    faults = (fault, replace(fault))
    assert met(faults, "GET", INSTANCE, 0.0).left == (fault,)


def test_a_fault_for_two_requests_meets_two_of_its_path():
    faults = (Fault(kind="reset", path=INSTANCE, times=2),)
    kinds = []
    for path in [INSTANCE, "/metadata/versions", INSTANCE, INSTANCE]:
        found = met(faults, "GET", path, 0.0)
        faults = found.left
        kinds.append(found.fault and found.fault.kind)
    assert (kinds, faults) == (["reset", None, "reset", None], ())


def test_a_fault_for_ten_seconds_ends_then():
    faults = faults_from([{"kind": "reset", "for": 10}], now=100.0)
    assert met(faults, "GET", INSTANCE, 109.9) == Met(fault=faults[0], left=faults)
    assert met(faults, "GET", INSTANCE, 110.0) == Met(fault=None, left=())


def test_the_first_of_two_faults_is_met_until_it_is_used_up():
    faults = (Fault(kind="reset", times=1), Fault(kind="html"))
    first = met(faults, "GET", INSTANCE, 0.0)
    second = met(first.left, "GET", INSTANCE, 0.0)
    assert (first.fault.kind, second.fault.kind) == ("reset", "html")


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
        ([{}], "$[0].kind: expected one of status, delay, hang, reset, truncate, html, partial, empty, garbage, skew, no-date, attested, found None"),
        ([{"kind": "reset"}, {"kind": "boom"}], "$[1].kind: expected one of status, delay, hang, reset, truncate, html, partial, empty, garbage, skew, no-date, attested, found 'boom'"),
        ([{"kind": "status", "status": 99}], "$[0].status: expected a status from 200 to 599, found 99"),
        ([{"kind": "status", "body": {}}], "$[0].body: expected a string, found {}"),
        ([{"kind": "reset", "times": 0}], "$[0].times: expected a whole number, 1 or more, found 0"),
        ([{"kind": "reset", "for": "1"}], "$[0].for: expected seconds, 0 to 1e9, found '1'"),
        ([{"kind": "partial", "empty": "zone"}], "$[0].empty: expected a list, found 'zone'"),
        ([{"kind": "reset", "path": ""}], "$[0].path: expected the beginning of a path such as '/metadata', found ''"),
        ([{"kind": "reset", "method": "PUT"}], "$[0].method: expected GET or POST, found 'PUT'"),
        ([{"kind": "skew"}], "$[0].seconds: expected seconds, -3e8 to 3e8, found None"),
        ([{"kind": "skew", "seconds": None}], "$[0].seconds: expected seconds, -3e8 to 3e8, found None"),
        ([{"kind": "skew", "seconds": -4e8}], "$[0].seconds: expected seconds, -3e8 to 3e8, found -400000000.0"),
        ([{"kind": "delay", "seconds": -1}], "$[0].seconds: expected seconds, 0 to 1e9, found -1"),
        ([{"kind": "reset", "stat": 1}], "$[0].stat: expected one of body, empty, flaw, for, kind, method, path, seconds, status, times, found this key"),
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


EVENTS = "/metadata/scheduledevents?api-version=2020-07-01"


def a_world_with(clock, *faults, **given):
    world = a_world(clock, **given)
    world.add_event(None, {"EventId": "A", "NotBeforeSeconds": 900})
    world.put_faults(None, lambda now: faults_from(list(faults), now))
    return world


def not_before(delivery):
    (event,) = json.loads(delivery.response.body)["Events"]
    return event["NotBefore"]


@pytest.mark.parametrize(
    ("seconds", "expected"), [(3600, "Mon, 12 Jan 1970 15:01:40 GMT"), (-3600, "Mon, 12 Jan 1970 13:01:40 GMT")]
)
def test_a_skewed_clock_moves_the_date_and_not_before_alike_so_that_the_notice_is_true(seconds, expected):
    world = a_world_with(Clock(), {"kind": "skew", "seconds": seconds})
    delivery = asked(world, EVENTS)
    assert (delivery.date, not_before(delivery)) == (float(seconds), expected)
    assert world.requests()[-1]["fault"] is None


def test_a_skewed_clock_changes_nothing_but_what_is_told():
    world = a_world_with(clock := Clock(), {"kind": "skew", "seconds": 3600, "times": 2})
    first, clock.now = not_before(asked(world, EVENTS)), clock.now + 899
    second, third = asked(world, EVENTS), asked(world, EVENTS)
    assert first == not_before(second)
    assert (third.date, not_before(third)) == (0.0, "Mon, 12 Jan 1970 14:01:40 GMT")
    clock.now += 1
    assert not_before(asked(world, EVENTS)) == ""


def test_without_a_date_the_rest_of_the_answer_is_as_it_would_be():
    world = a_world_with(Clock(), {"kind": "no-date", "times": 1})
    first, second = asked(world, EVENTS), asked(world, EVENTS)
    assert (first.date, second.date) == (None, 0.0)
    assert first.response == second.response


@pytest.mark.parametrize(("fault", "date"), [({"kind": "skew", "seconds": 60}, 60.0), ({"kind": "no-date"}, None)])
def test_a_refusal_over_the_limit_is_told_by_the_same_clock_and_uses_no_fault_up(fault, date):
    world = a_world_with(clock := Clock(), {**fault, "times": 2}, rate_limit=1)
    found = [asked(world, EVENTS) for _ in range(3)]
    clock.now += 1
    found.append(asked(world, EVENTS))
    assert [each.response.status for each in found] == [200, 429, 429, 200]
    assert [each.date for each in found] == [date] * 4


def test_an_event_approved_over_a_skewed_clock_starts_and_ends_by_the_true_one_as_do_the_others():
    world = a_world_with(clock := Clock(), {"kind": "skew", "seconds": 3600})
    world.change_event(None, "A", {"RemoveAfterSeconds": 60})
    world.add_event(None, {"EventId": "B", "NotBeforeSeconds": 900})
    (vm,) = world.vms
    path, _, query = EVENTS.partition("?")
    body = b'{"StartRequests":[{"EventId":"A"}]}'
    world.deliver(vm.name, Request(method="POST", path=path, query=query, headers=HEADER, body=body))
    approved, other = world.schedule(None).events
    assert (approved.status, approved.started_at) == ("Started", clock.now)
    assert (other.status, other.not_before) == ("Scheduled", clock.now + 900)
    clock.now += 60
    assert world.schedule(None).events == (other,)
