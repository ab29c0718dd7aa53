import json
from datetime import datetime, timezone
from pathlib import Path

import pytest

from agent.core.document import DocumentError
from agent.core.events import EVENT_TYPES, ScheduledEvent, concerns, event_key, gone, read_events

DOCUMENTS = Path(__file__).parent.parent / "documents" / "imds" / "scheduledevents"
GOOD = {"EventId": "E1", "EventType": "Reboot", "EventStatus": "Scheduled", "Resources": ["web_0"]}


def document(*events, incarnation=1):
    return read_events(json.dumps({"DocumentIncarnation": incarnation, "Events": list(events)}))


def event(*resources, resource_type="VirtualMachine"):
    return ScheduledEvent(id="E1", type="Reboot", status="Scheduled", resources=resources, resource_type=resource_type)


def test_a_live_migration_is_read_from_notice_to_its_end():
    read = [read_events(path.read_bytes()) for path in sorted(DOCUMENTS.glob("live-migration-*.json"))]
    assert [each.incarnation for each in read] == [1, 2, 3, 4]
    assert [[each.status for each in one.events] for one in read] == [[], ["Scheduled"], ["Started"], []]
    [scheduled] = read[1].events
    assert scheduled == ScheduledEvent(
        id="C7061BAC-AFDC-4513-B24B-AA5F13A16123",
        type="Freeze",
        status="Scheduled",
        resource_type="VirtualMachine",
        resources=("WestNO_0", "WestNO_1"),
        not_before=datetime(2026, 4, 11, 22, 26, 58, tzinfo=timezone.utc),
        description="Virtual machine is being paused because of a memory-preserving Live Migration operation.",
        source="Platform",
        duration=5,
    )
    assert read[2].events[0].not_before is None
    assert all(each.unreadable == () for each in read)


def test_an_old_version_says_no_duration():
    [preempt] = read_events((DOCUMENTS / "preempt-2019-08-01.json").read_bytes()).events
    assert (preempt.type, preempt.duration, preempt.description) == ("Preempt", None, None)


@pytest.mark.parametrize(("sent", "duration"), [(9, 9), (0, 0), (-1, None), ("", None), (None, None), ("7", 7)])
def test_a_duration_of_minus_one_is_unknown_and_zero_is_none_at_all(sent, duration):
    [read] = document({**GOOD, "DurationInSeconds": sent}).events
    assert read.duration == duration


@pytest.mark.parametrize(
    ("broken", "path"),
    [
        (7, "$.Events[1]"),
        ({**GOOD, "EventId": ""}, "$.Events[1].EventId"),
        ({**GOOD, "EventType": 1}, "$.Events[1].EventType"),
        ({**GOOD, "EventStatus": None}, "$.Events[1].EventStatus"),
        ({**GOOD, "Resources": None}, "$.Events[1].Resources"),
        ({**GOOD, "Resources": ["a", 1]}, "$.Events[1].Resources[1]"),
    ],
)
def test_a_broken_event_is_named_and_hides_no_other(broken, path):
    read = document({**GOOD, "EventId": "first"}, broken, {**GOOD, "EventId": "last"})
    assert [each.id for each in read.events] == ["first", "last"]
    [note] = read.unreadable
    assert note.startswith(f"{path}: expected ")


@pytest.mark.parametrize(
    ("field", "value", "note"),
    [
        ("NotBefore", "soon", "$.Events[0].NotBefore: expected a date, found 'soon'"),
        ("NotBefore", 5, "$.Events[0].NotBefore: expected a date, found 5"),
        ("DurationInSeconds", "long", "$.Events[0].DurationInSeconds: expected a number, found 'long'"),
    ],
)
def test_an_event_with_an_unreadable_date_or_duration_still_counts(field, value, note):
    read = document({**GOOD, field: value})
    assert [(each.id, each.not_before, each.duration) for each in read.events] == [("E1", None, None)]
    assert read.unreadable == (note,)


@pytest.mark.parametrize("sent", [None, "x", []])
def test_an_incarnation_that_cannot_be_read_hides_no_event(sent):
    read = document(GOOD, incarnation=sent)
    assert (read.incarnation, len(read.events), len(read.unreadable)) == (-1, 1, 1)


@pytest.mark.parametrize("body", ["{}", '{"Events":null}', '{"Events":""}', '{"Events":{}}', "[]", '{"error":"x"}'])
def test_an_answer_without_an_array_of_events_is_an_error_and_never_no_events(body):
    with pytest.raises(DocumentError):
        read_events(body)


def test_unknown_types_and_statuses_are_kept_as_text():
    [read] = document({**GOOD, "EventType": "Relocate", "EventStatus": "Pondering"}).events
    assert (read.type, read.status) == ("Relocate", "Pondering")
    assert read.type not in EVENT_TYPES


@pytest.mark.parametrize(
    ("status", "over"),
    [("Completed", True), ("canceled", True), ("Cancelled", True), ("Scheduled", False), ("Started", False)],
)
def test_completed_and_cancelled_events_are_gone(status, over):
    assert gone(ScheduledEvent(id="E1", type="Reboot", status=status)) is over


@pytest.mark.parametrize("resource", ["web_1", "WEB_1", "_web_1"])
def test_an_event_concerns_the_vm_it_names_in_any_case_and_with_an_underscore_before(resource):
    assert concerns(event("other_0", resource), "Web_1")


@pytest.mark.parametrize("resource", ["web_11", "web_", "aweb_1", "__web_1", "web000001", ""])
def test_an_event_never_concerns_a_vm_whose_name_is_only_a_part(resource):
    assert not concerns(event(resource), "web_1")


@pytest.mark.parametrize(("kind", "ours"), [(None, True), ("virtualmachine", True), ("Disk", False)])
def test_an_event_about_another_kind_of_resource_is_not_ours(kind, ours):
    assert concerns(event("web_1", resource_type=kind), "web_1") is ours


def test_event_ids_in_different_case_are_one_event():
    assert event_key("C7061BAC-AFDC") == event_key("c7061bac-afdc")


@pytest.mark.parametrize("field", ["Description", "EventSource", "ResourceType"])
def test_a_decoration_of_the_wrong_type_costs_a_note_and_not_the_event(field):
    told = document({**GOOD, field: 7})
    assert [event.id for event in told.events] == ["E1"]
    assert told.hidden == 0
    assert field in told.unreadable[0]


def test_known_words_are_read_in_any_case_and_others_as_they_came():
    loud, other = document(
        {**GOOD, "EventType": "REBOOT", "EventStatus": "started"}, {**GOOD, "EventId": "E2", "EventType": "Quake"}
    ).events
    assert (loud.type, loud.status, other.type) == ("Reboot", "Started", "Quake")


@pytest.mark.parametrize("field", ["EventId", "EventType", "EventStatus"])
def test_an_event_that_no_annotation_could_hold_is_unreadable_and_not_quoted(field):
    read = document({**GOOD, field: "x" * 257}, {**GOOD, "EventId": "x" * 256})
    assert (read.hidden, [each.id for each in read.events]) == (1, ["x" * 256])
    assert read.unreadable == (f"$.Events[0].{field}: expected a text of at most 256 characters, found 257",)


def test_a_description_without_end_is_cut():
    [read] = document({**GOOD, "Description": "x" * 100_000}).events
    assert read.description == "x" * 1024
