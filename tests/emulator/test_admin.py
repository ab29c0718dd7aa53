"""The admin side over real HTTP."""

import pytest

from agent.emulator import Emulator
from agent.emulator.default_vm import default_vm
from tests.emulator.asking import HEADER, ask

EVENTS = "/metadata/scheduledevents?api-version=2020-07-01"
NAME = "aks-pool1-12345678-vmss_2"


@pytest.fixture
def emulator():
    with Emulator(rate_limit=None) as running:
        yield running


def admin(emulator, method, path, body=None):
    return ask(emulator.admin_url + path, method=method, headers={}, body=body)


def test_health_names_the_vms(emulator):
    answer = admin(emulator, "GET", "/health")
    assert (answer.status, answer.json) == (200, {"status": "ok", "vms": [NAME]})


def test_the_instance_can_be_read_put_and_patched(emulator):
    assert admin(emulator, "GET", "/instance").json == default_vm()
    patched = admin(emulator, "PATCH", "/instance", {"compute": {"tags": "a:b", "zone": None}})
    assert (patched.status, patched.json["compute"]["tags"], "zone" in patched.json["compute"]) == (200, "a:b", False)
    put = admin(emulator, "PUT", "/instance", {"compute": {"name": "x"}})
    assert (put.status, put.json) == (200, {"compute": {"name": "x"}})
    assert admin(emulator, "GET", "/instance").json == {"compute": {"name": "x"}}
    assert ask(emulator.url + "/metadata/instance/compute/name?api-version=2017-08-01&format=text").body == b"x"


def test_a_refused_document_leaves_the_vm_as_it_was(emulator):
    assert admin(emulator, "PATCH", "/instance", {"compute": {"zone": 3, "tags": "x:y"}}).status == 400
    assert admin(emulator, "GET", "/instance").json == default_vm()


def test_an_event_goes_through_its_life(emulator):
    created = admin(emulator, "POST", "/events", {"EventType": "Reboot"})
    assert (created.status, created.json["EventStatus"], created.json["Resources"]) == (201, "Scheduled", [NAME])
    event_id = created.json["EventId"]
    assert ask(emulator.url + EVENTS).json["Events"] == [created.json]
    assert admin(emulator, "GET", "/events").json == ask(emulator.url + EVENTS).json
    changed = admin(emulator, "PATCH", f"/events/{event_id.lower()}", {"EventStatus": "Started", "Description": "now"})
    assert (changed.status, changed.json["NotBefore"], changed.json["Description"]) == (200, "", "now")
    assert ask(emulator.url + EVENTS).json["Events"] == [changed.json]
    assert admin(emulator, "DELETE", f"/events/{event_id}").status == 200
    assert ask(emulator.url + EVENTS).json == {"DocumentIncarnation": 4, "Events": []}


def test_an_event_is_over_so_many_seconds_after_its_start():
    now = [1_000_000.0]
    with Emulator(clock=lambda: now[0]) as emulator:
        admin(emulator, "POST", "/events", {"EventType": "Freeze", "NotBeforeSeconds": 10, "RemoveAfterSeconds": 5})
        seen = []
        for moment in (0, 9.9, 10, 14.9, 15):
            now[0] = 1_000_000.0 + moment
            seen.append([each["EventStatus"] for each in admin(emulator, "GET", "/events").json["Events"]])
    assert seen == [["Scheduled"], ["Scheduled"], ["Started"], ["Started"], []]


def test_not_before_is_fifteen_minutes_ahead_unless_said():
    with Emulator(clock=lambda: 0.0) as emulator:
        assert admin(emulator, "POST", "/events", {}).json["NotBefore"] == "Thu, 01 Jan 1970 00:15:00 GMT"
        near = admin(emulator, "POST", "/events", {"NotBeforeSeconds": 30}).json
    assert near["NotBefore"] == "Thu, 01 Jan 1970 00:00:30 GMT"


def test_the_incarnation_can_be_set_lower_and_goes_on_from_there(emulator):
    for _ in range(3):
        emulator.add_event()
    assert admin(emulator, "PUT", "/events/incarnation", {"value": 0}).json == {"value": 0}
    assert ask(emulator.url + EVENTS).json["DocumentIncarnation"] == 0
    emulator.add_event()
    assert ask(emulator.url + EVENTS).json["DocumentIncarnation"] == 1


def test_faults_can_be_put_and_deleted(emulator):
    faults = [{"kind": "status", "status": 410, "path": "/metadata/instance"}]
    assert admin(emulator, "PUT", "/faults", faults).json == faults
    gone = ask(emulator.url + "/metadata/instance?api-version=2017-08-01")
    assert (gone.status, gone.body) == (410, b'{ "error": "Gone" }')
    assert ask(emulator.url + "/metadata/versions").status == 200
    assert admin(emulator, "DELETE", "/faults").status == 200
    assert ask(emulator.url + "/metadata/instance?api-version=2017-08-01").status == 200


def test_the_log_of_requests_has_no_header_and_goes_on_counting(emulator):
    ask(emulator.url + "/metadata/versions", headers=HEADER | {"x-secret": "s3cret"})
    ask(emulator.url + "/metadata/instance?x=1", headers={})
    entries = admin(emulator, "GET", "/requests").json
    seconds = [entry.pop("seconds") for entry in entries]
    assert entries == [
        {"n": 1, "method": "GET", "path": "/metadata/versions", "query": "", "status": 200, "fault": None, "vm": NAME},
        {
            "n": 2,
            "method": "GET",
            "path": "/metadata/instance",
            "query": "x=1",
            "status": 400,
            "fault": None,
            "vm": NAME,
        },
    ]
    assert seconds == sorted(seconds)
    assert [each["n"] for each in admin(emulator, "GET", "/requests?since=1").json] == [2]
    assert admin(emulator, "DELETE", "/requests").status == 200
    assert admin(emulator, "GET", "/requests").json == []
    ask(emulator.url + "/metadata/versions")
    assert [each["n"] for each in admin(emulator, "GET", "/requests").json] == [3]


def test_a_story_can_be_begun(emulator):
    answer = admin(emulator, "POST", "/scenario", {"name": "preempt", "speed": 100000})
    assert (answer.status, answer.json) == (200, {"name": "preempt", "speed": 100000})
    while admin(emulator, "GET", "/events").json["DocumentIncarnation"] < 4:
        pass
    assert admin(emulator, "GET", "/events").json["Events"] == []


EVENT_KEYS = (
    "Description, DurationInSeconds, EventId, EventSource, EventStatus, EventType, NotBefore, NotBeforeSeconds, "
    "RemoveAfterSeconds, Resources"
)
SCENARIOS = (
    "reboot, live-migration, preempt, redeploy, terminate, cancelled-maintenance, host-failure, flapping-service, "
    "user-reboot, user-redeploy, hardware-prediction, multi-vm, preempt-burst, maintenance-wave, freeze-wave, "
    "approved-by-others, reschedules, overlapping, incarnation-restarts"
)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "error"),
    [
        ("POST", "/events", {"EventType": 3}, 400, "$.EventType: expected a type such as 'Reboot', found 3"),
        ("POST", "/events", {"Typ": 3}, 400, f"$.Typ: expected one of {EVENT_KEYS}, found this key"),
        ("POST", "/events", b"{", 400, "$: expected JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("POST", "/events", b"[" * 200_000, 400, None),
        ("POST", "/events", b'{"Description": "\\ud800"}', 400, "$.Description: expected a string without lone surrogates, found '\\ud800'"),
        ("POST", "/events", {"NotBeforeSeconds": 1e300}, 400, "$.NotBeforeSeconds: expected seconds, 0 to 1e9, found 1e+300"),
        ("GET", "/requests?since=" + "9" * 5000, None, 400, None),
        ("POST", "/events", [], 400, "$: expected an object, found []"),
        ("PATCH", "/events/NO", {}, 404, "expected an event's id, found 'NO'"),
        ("DELETE", "/events/NO", None, 404, "expected an event's id, found 'NO'"),
        ("PUT", "/events/incarnation", {"value": -1}, 400, "$.value: expected a whole number, 0 or more, found -1"),
        ("PUT", "/faults", [{"kind": "html", "x": 1}], 400, "$[0].x: expected one of body, empty, flaw, for, kind, method, path, seconds, status, times, found this key"),
        ("PUT", "/instance", {"compute": {"zone": 3}}, 400, "$.compute.zone: expected a string, found 3"),
        ("PUT", "/instance", {"compute": {"zones": "3"}}, 400, None),
        ("PUT", "/instance", {"network": {"interface": [{"macAddress": None}]}}, 400, "$.network.interface[0].macAddress: expected a string, found None"),
        ("PATCH", "/instance", [], 400, "$: expected an object, found []"),
        ("POST", "/scenario", {"name": "x"}, 400, f"$.name: expected one of {SCENARIOS}, found 'x'"),
        ("POST", "/scenario", {}, 400, "$.name: expected a scenario's name, found None"),
        ("POST", "/scenario", {"name": "reboot", "speed": 0}, 400, "$.speed: expected a number above 0, found 0.0"),
        ("POST", "/scenario", {"name": "reboot", "speed": "2"}, 400, "$.speed: expected a number above 0, found '2'"),
        ("GET", "/requests?since=x", None, 400, "?since: expected a number, found 'x'"),
        ("GET", "/instance?vm=no", None, 400, f"?vm: expected one of {NAME}, found 'no'"),
        ("POST", "/instance", {}, 405, "expected GET PUT PATCH, found POST"),
        ("GET", "/events/X", None, 405, "expected PATCH DELETE, found GET"),
        ("GET", "/nothing", None, 404, "expected a path of instance, events, events/*, events/incarnation, faults, requests, scenario, identities, loadbalancer, issuers/*, health, found /nothing"),
        ("GET", "/", None, 404, None),
    ],
)  # fmt: skip
def test_a_wrong_admin_request_is_told_what_is_wrong(emulator, method, path, body, status, error):
    answer = admin(emulator, method, path, body)
    assert answer.status == status
    assert list(answer.json) == ["error"]
    assert error is None or answer.json["error"] == error
    assert "zones" not in str(body) or answer.json["error"].startswith("$.compute.zones: expected one of ")


def test_an_id_that_an_event_has_already_is_refused(emulator):
    admin(emulator, "POST", "/events", {"EventId": "A"})
    answer = admin(emulator, "POST", "/events", {"EventId": "a"})
    assert (answer.status, answer.json) == (400, {"error": "$.EventId: expected one that no event has, found 'a'"})


def test_imds_has_no_admin_paths_and_the_admin_side_no_metadata(emulator):
    assert ask(emulator.url + "/events", headers={}).status == 400
    assert admin(emulator, "GET", "/metadata/instance").status == 404
