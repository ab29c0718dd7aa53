"""Scheduled events: their document by version, and their life, with time as a number."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent.emulator import events
from agent.emulator.event_input import changed_event, new_event
from agent.emulator.events import Event, Schedule
from agent.emulator.reading import InputError
from agent.emulator.shape import compact
from agent.emulator.unconfirmed import Choices
from agent.emulator.versions import Service
from tests.emulator.asking import DOCUMENTS, document, said

NOW = 1_000_000.0
VERSIONS = ["2017-03-01", "2017-08-01", "2017-11-01", "2019-01-01", "2019-04-01", "2019-08-01", "2020-07-01"]
BASE = ["EventId", "EventStatus", "EventType", "ResourceType", "Resources", "NotBefore"]
FIELDS = dict.fromkeys(VERSIONS[:4], BASE) | {
    "2019-04-01": [*BASE, "Description"],
    "2019-08-01": [*BASE, "Description", "EventSource"],
    "2020-07-01": [*BASE, "Description", "EventSource", "DurationInSeconds"],
}


def an_event(**fields):
    return Event(**({"event_id": "A", "resources": ("vm_1",), "not_before": NOW + 900} | fields))


def scheduled(*all_events):
    return Schedule(incarnation=1, events=all_events)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_event_has_the_fields_of_its_version_in_the_order_of_the_service(version):
    response = said(f"/metadata/scheduledevents?api-version={version}", schedule=scheduled(an_event()))
    shown = json.loads(response.body)
    assert list(shown) == ["DocumentIncarnation", "Events"]
    assert list(shown["Events"][0]) == FIELDS[version]


def test_only_the_preview_puts_an_underscore_before_the_names_of_vms():
    names = {version: events.document(scheduled(an_event()), version)["Events"][0]["Resources"] for version in VERSIONS}
    assert names == {version: ["vm_1"] for version in VERSIONS} | {"2017-03-01": ["_vm_1"]}


@pytest.mark.parametrize(
    ("event_type", "count"), [("Reboot", 7), ("Freeze", 7), ("Redeploy", 7), ("Preempt", 5), ("Terminate", 4)]
)
def test_a_version_does_not_show_a_type_that_came_later(event_type, count):
    schedule = scheduled(an_event(event_type=event_type))
    assert sum(len(events.document(schedule, version)["Events"]) for version in VERSIONS) == count


@pytest.mark.parametrize(("era", "expected"), [("2019", VERSIONS[:5]), ("2021", VERSIONS), ("2025", VERSIONS)])
def test_an_era_has_the_versions_not_younger_than_itself(era, expected):
    target = "/metadata/scheduledevents?api-version="
    assert [v for v in VERSIONS if said(target + v, service=Service(era=era)).status == 200] == expected


def test_without_events_the_list_is_empty():
    response = said("/metadata/scheduledevents?api-version=2020-07-01")
    assert response.body == b'{"DocumentIncarnation":1,"Events":[]}'


def test_the_published_live_migration_is_told_to_the_byte():
    names = [each.name for each in sorted((DOCUMENTS / "scheduledevents").glob("live-migration-*.json"))]
    empty, announced, started, gone = (document(f"scheduledevents/{name}") for name in names)
    given = {key: value for key, value in announced["Events"][0].items() if key != "ResourceType"}
    schedule = Schedule()
    assert events.document(schedule) == empty
    event = new_event(given | {"RemoveAfterSeconds": 300}, event_id="x", own_name="y", now=NOW)
    # The page's weekday is wrong (11 April 2026 is a Saturday); the emulator's is right.
    announced["Events"][0]["NotBefore"] = "Sat, 11 Apr 2026 22:26:58 GMT"
    schedule = events.added(schedule, event)
    assert compact(events.document(schedule)) == compact(announced)
    schedule = events.advanced(schedule, event.not_before)
    assert compact(events.document(schedule)) == compact(started)
    assert events.document(events.advanced(schedule, event.not_before + 300)) == gone


def test_the_published_preemption_is_the_document_of_its_version():
    printed = document("scheduledevents/preempt-2019-08-01.json")
    given = {key: value for key, value in printed["Events"][0].items() if key != "ResourceType"}
    event = new_event(given, event_id="x", own_name="y", now=NOW)
    assert compact(events.document(scheduled(event), "2019-08-01")) == compact(printed)


def test_an_event_starts_when_not_before_has_come_and_not_a_moment_earlier():
    schedule = scheduled(an_event())
    assert events.advanced(schedule, NOW + 899.9) is schedule
    (started,) = events.advanced(schedule, NOW + 900).events
    assert (started.status, events.event_document(started)["NotBefore"]) == ("Started", "")


def test_an_approved_event_starts_at_once_and_lasts_from_then():
    schedule = events.approved(scheduled(an_event(remove_after=60)), ["a"], NOW + 10)
    assert [each.status for each in events.advanced(schedule, NOW + 69).events] == ["Started"]
    assert events.advanced(schedule, NOW + 70).events == ()


def test_an_event_without_an_end_stays_until_somebody_removes_it():
    schedule = events.advanced(scheduled(an_event()), NOW + 10**9)
    assert [each.status for each in schedule.events] == ["Started"]
    assert events.removed(schedule, "a").events == ()


def test_each_change_counts_so_that_a_client_that_looks_late_sees_the_incarnation_skip():
    schedule = events.added(Schedule(incarnation=2), an_event(remove_after=60))
    assert schedule.incarnation == 3
    assert events.advanced(schedule, NOW + 2000).incarnation == 5
    assert events.advanced(schedule, NOW).incarnation == 3


def test_two_events_that_end_together_count_twice():
    both = scheduled(an_event(remove_after=60), an_event(event_id="B", remove_after=60))
    assert events.advanced(both, NOW + 960) == Schedule(incarnation=5)


def test_starting_what_has_started_changes_nothing():
    started = events.approved(scheduled(an_event(remove_after=60)), ["A"], NOW)
    assert events.approved(started, ["A"], NOW + 30) is started
    (event,) = started.events
    assert events.replaced(started, changed_event(event, {"EventStatus": "Started"}, NOW + 30)) is started


def test_several_events_may_be_approved_at_once_and_each_counts():
    schedule = events.approved(scheduled(*(an_event(event_id=each) for each in "ABC")), ["A", "c"], NOW)
    assert [each.status for each in schedule.events] == ["Started", "Scheduled", "Started"]
    assert schedule.incarnation == 3


def test_an_approval_that_takes_a_while_shows_only_at_the_start():
    waiting = events.approved(scheduled(an_event(remove_after=60)), ["A"], NOW, takes=20.0)
    assert events.document(waiting) == events.document(scheduled(an_event()))
    assert events.advanced(waiting, NOW + 19.9) is waiting
    (started,) = events.advanced(waiting, NOW + 20).events
    assert (started.status, started.started_at) == ("Started", NOW + 20)


def test_a_second_approval_does_not_put_the_start_off():
    waiting = events.approved(scheduled(an_event()), ["A"], NOW, takes=20.0)
    assert events.approved(waiting, ["A"], NOW + 15, takes=20.0) is waiting


def test_an_approval_that_takes_longer_than_the_notice_does_not_put_the_start_off():
    waiting = events.approved(scheduled(an_event()), ["A"], NOW, takes=2000.0)
    (started,) = events.advanced(waiting, NOW + 900).events
    assert started.started_at == NOW + 900


def test_an_event_without_not_before_starts_when_approved():
    (started,) = events.approved(scheduled(an_event(not_before=None)), ["A"], NOW).events
    assert (started.status, started.started_at) == ("Started", NOW)


def test_deletions_with_one_not_before_wait_until_all_are_approved():
    deletions = [an_event(event_id=each, event_type="Terminate") for each in "AB"]
    later = an_event(event_id="C", event_type="Terminate", not_before=NOW + 1000)
    schedule = events.approved(scheduled(*deletions, later, an_event(event_id="D")), ["A"], NOW)
    assert [each.status for each in schedule.events] == ["Scheduled"] * 4
    schedule = events.approved(schedule, ["B"], NOW + 10)
    assert [each.status for each in schedule.events] == ["Started", "Started", "Scheduled", "Scheduled"]
    assert [each.started_at for each in schedule.events[:2]] == [NOW + 10, NOW + 10]
    (_, _, alone, _) = events.approved(schedule, ["C"], NOW + 20).events
    assert alone.status == "Started"


def test_an_approved_event_that_is_put_back_waits_for_another_approval():
    (started,) = events.approved(scheduled(an_event()), ["A"], NOW).events
    back = scheduled(changed_event(started, {"EventStatus": "Scheduled"}, NOW + 1))
    assert events.advanced(back, NOW + 899) is back
    (again,) = events.approved(back, ["A"], NOW + 2).events
    assert again.started_at == NOW + 2


def test_an_approval_stays_when_something_else_is_changed():
    (approved,) = events.approved(scheduled(an_event()), ["A"], NOW, takes=20.0).events
    changed = changed_event(approved, {"Description": "d"}, NOW + 1)
    assert events.advanced(scheduled(changed), NOW + 20).events[0].status == "Started"


def test_all_times_told_are_shifted_and_none_that_is_not_there():
    schedule = scheduled(an_event(), an_event(event_id="B", not_before=None))
    shifted = events.shifted(schedule, -60.0)
    assert [each.not_before for each in shifted.events] == [NOW + 840, None]
    assert shifted.incarnation == 1


def test_removing_what_is_not_there_changes_nothing():
    schedule = scheduled(an_event())
    assert events.removed(schedule, "B") is schedule


def approve(body, schedule):
    target = "/metadata/scheduledevents?api-version=2020-07-01"
    return said(target, method="POST", body=body, schedule=schedule)


@pytest.mark.parametrize("status", ["Scheduled", "Started"])
def test_approving_is_answered_200_even_if_somebody_already_did(status):
    response = approve(b'{"StartRequests":[{"EventId":"a"}]}', scheduled(an_event(status=status)))
    assert (response.status, response.body) == (200, b"")


def test_an_empty_list_of_approvals_is_answered_200():
    assert approve(b'{"StartRequests":[]}', scheduled(an_event())).status == 200


@pytest.mark.parametrize(("status", "body"), [(200, b""), (404, b'{ "error": "Bad request" }')])
def test_the_answer_to_an_unknown_event_can_be_switched(status, body):
    target = "/metadata/scheduledevents?api-version=2020-07-01"
    service = Service(choices=Choices(approve_unknown_status=status))
    response = said(target, method="POST", body=b'{"StartRequests":[{"EventId":"B"}]}', service=service)
    assert (response.status, response.body) == (status, body)


@pytest.mark.parametrize("query", ["&format=text", "&format=yaml"])
def test_a_format_is_ignored_where_only_json_exists(query):
    response = said(f"/metadata/scheduledevents?api-version=2020-07-01{query}")
    assert (response.content_type, response.body) == ("application/json", b'{"DocumentIncarnation":1,"Events":[]}')


def test_the_published_body_approves():
    asked = document("scheduledevents/start-requests-body.json")
    schedule = scheduled(an_event(event_id=asked["StartRequests"][0]["EventId"].upper()))
    assert approve(compact(asked), schedule).status == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"x", b"[]", b"{}", b'{"StartRequests":{}}', b'{"StartRequests":["A"]}', b'{"StartRequests":[{}]}',
     b'{"StartRequests":[{"EventId":1}]}', b'{"StartRequests":[{"EventId":"B"}]}', b"\xff\xfe", b"[" * 200_000,
     b'{"StartRequests":[{"EventId":"A"},{"EventId":"B"}]}'],
)  # fmt: skip
def test_a_malformed_approval_or_an_unknown_event_is_a_bad_request(body):
    response = approve(body, scheduled(an_event()))
    assert (response.status, response.body) == (400, b'{ "error": "Bad request" }')


def test_a_given_type_is_enough():
    event = new_event({"EventType": "Redeploy"}, event_id="ID", own_name="own", now=NOW)
    assert event == Event(event_id="ID", event_type="Redeploy", resources=("own",), not_before=NOW + 900)


def test_all_fields_may_be_given():
    given = {"EventId": "E", "EventType": "Freeze", "EventStatus": "Started", "Resources": ["a", "b"], "Description": "d",
             "EventSource": "User", "DurationInSeconds": 9, "NotBeforeSeconds": 30, "RemoveAfterSeconds": 5}  # fmt: skip
    event = new_event(given, event_id="ID", own_name="own", now=NOW)
    assert event == Event(
        event_id="E", event_type="Freeze", status="Started", resources=("a", "b"), description="d", source="User",
        duration=9, not_before=NOW + 30, remove_after=5, started_at=NOW,
    )  # fmt: skip


def test_an_event_without_not_before_waits_for_somebody_to_start_it():
    event = new_event({"NotBefore": ""}, event_id="ID", own_name="own", now=NOW)
    assert events.advanced(scheduled(event), NOW + 10**9).events == (event,)


@pytest.mark.parametrize(
    "text", ["Sun, 11 Apr 2026 22:26:58 GMT", "11 Apr 2026 22:26:58", "Sun, 12 Apr 2026 00:26:58 +0200"]
)
def test_a_date_may_be_given_in_any_zone_and_means_utc_without_one(text):
    event = new_event({"NotBefore": text}, event_id="ID", own_name="own", now=NOW)
    assert events.event_document(event)["NotBefore"] == "Sat, 11 Apr 2026 22:26:58 GMT"


def test_a_date_without_a_zone_means_utc_wherever_the_machine_stands():
    program = (
        "from agent.emulator.event_input import new_event;"
        "print(new_event({'NotBefore': '1 Jan 1970 00:00:09'}, event_id='', own_name='', now=0.0).not_before)"
    )
    environment = {"TZ": "UTC-9", "PYTHONPATH": str(Path(__file__).parent.parent.parent)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "9.0\n"


def test_changing_a_field_leaves_the_others():
    event = an_event(description="d")
    assert changed_event(event, {"DurationInSeconds": 0}, NOW) == an_event(description="d", duration=0)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ([], "$: expected an object, found []"),
        ({"EventType": 3}, "$.EventType: expected a type such as 'Reboot', found 3"),
        ({"EventType": ""}, "$.EventType: expected a type such as 'Reboot', found ''"),
        ({"EventStatus": None}, "$.EventStatus: expected a status such as 'Started', found None"),
        ({"Resources": "vm"}, "$.Resources: expected a list, found 'vm'"),
        ({"Resources": ["vm", 1]}, "$.Resources[1]: expected a string, found 1"),
        ({"NotBefore": "tomorrow"}, "$.NotBefore: expected a date such as 'Mon, 11 Apr 2026 22:26:58 GMT', found 'tomorrow'"),
        ({"NotBeforeSeconds": -1}, "$.NotBeforeSeconds: expected seconds, 0 to 1e9, found -1"),
        ({"DurationInSeconds": "9"}, "$.DurationInSeconds: expected a whole number, found '9'"),
        ({"DurationInSeconds": True}, "$.DurationInSeconds: expected a whole number, found True"),
        ({"RemoveAfterSeconds": "x" * 99}, f"$.RemoveAfterSeconds: expected seconds, 0 to 1e9, found '{'x' * 63}..."),
        ({"Type": "Reboot"}, ("$.Type: expected one of Description, DurationInSeconds, EventId, EventSource, EventStatus, EventType, "
                             "NotBefore, NotBeforeSeconds, RemoveAfterSeconds, Resources, found this key")),
    ],
)  # fmt: skip
def test_a_wrong_event_is_refused_with_place_expectation_and_finding(given, error):
    with pytest.raises(InputError) as caught:
        new_event(given, event_id="ID", own_name="own", now=NOW)
    assert str(caught.value) == error
