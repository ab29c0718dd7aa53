"""Scheduled events: their document in each version, and their life from notice to end.

Scheduled, then Started when NotBefore has come or somebody approved, then gone. Times are seconds since 1970 in UTC.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from email.utils import formatdate

from agent.emulator.reading import Document
from agent.emulator.versions import EVENTS

# Azure's documentation: what each version of /metadata/scheduledevents added.
_ADDED = {"Description": "2019-04-01", "EventSource": "2019-08-01", "DurationInSeconds": "2020-07-01"}
# Types that a version did not know yet; a service of that version cannot have named them.
_TYPES_ADDED = {"Preempt": "2017-11-01", "Terminate": "2019-01-01"}
PREVIEW = "2017-03-01"  # the version whose resource names had a leading underscore


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One scheduled event.

    Args:
        not_before: None once nothing starts by itself; shown as "" when started.
        duration: seconds of interruption; -1 is unknown.
        starts_at: when it starts because somebody approved it; None while nobody has.
        started_at: when it became Started; None before.
        remove_after: seconds after its start until it is gone; None means that somebody removes it.
    """

    event_id: str
    event_type: str = "Reboot"
    status: str = "Scheduled"
    resources: tuple[str, ...] = ()
    not_before: float | None = None
    description: str = ""
    source: str = "Platform"
    duration: int = -1
    starts_at: float | None = None
    started_at: float | None = None
    remove_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The events of one placement group; the incarnation grows with each change, so a client may see it skip."""

    incarnation: int = 1
    events: tuple[Event, ...] = ()


def document(schedule: Schedule, version: str = EVENTS[-1]) -> Document:
    """Return the document of a version; events of a type that it does not know are left out."""
    shown = [each for each in schedule.events if _TYPES_ADDED.get(each.event_type, "") <= version]
    return {"DocumentIncarnation": schedule.incarnation, "Events": [event_document(each, version) for each in shown]}


def event_document(event: Event, version: str = EVENTS[-1]) -> Document:
    """Return one event as a version shows it, in the order in which the service sends the fields."""
    underscore = "_" if version == PREVIEW else ""
    waiting = event.not_before is not None and event.status != "Started"
    fields: Document = {
        "EventId": event.event_id,
        "EventStatus": event.status,
        "EventType": event.event_type,
        "ResourceType": "VirtualMachine",
        "Resources": [underscore + name for name in event.resources],
        "NotBefore": formatdate(event.not_before, usegmt=True) if waiting else "",
        "Description": event.description,
        "EventSource": event.source,
        "DurationInSeconds": event.duration,
    }
    return {name: value for name, value in fields.items() if _ADDED.get(name, "") <= version}


def named(schedule: Schedule, event_id: str) -> Event | None:
    """Return the event with an id, whose case does not count."""
    return next((each for each in schedule.events if each.event_id.upper() == event_id.upper()), None)


def added(schedule: Schedule, event: Event) -> Schedule:
    """Return the schedule with one more event."""
    return Schedule(incarnation=schedule.incarnation + 1, events=(*schedule.events, event))


def replaced(schedule: Schedule, event: Event) -> Schedule:
    """Return the schedule with the event of the same id changed; the same schedule if nothing differs."""
    return _mapped(schedule, lambda each: event if each.event_id == event.event_id else each)


def removed(schedule: Schedule, event_id: str) -> Schedule:
    """Return the schedule without an event."""
    kept = tuple(each for each in schedule.events if each.event_id.upper() != event_id.upper())
    if len(kept) == len(schedule.events):
        return schedule
    return Schedule(incarnation=schedule.incarnation + 1, events=kept)


def begun(event: Event, at: float) -> Event:
    """Return the event as Started; one that has started already stays as it is."""
    if event.status == "Started" and event.started_at is not None:
        return event
    return replace(event, status="Started", started_at=at)


def approved(schedule: Schedule, event_ids: Iterable[str], now: float, takes: float = 0.0) -> Schedule:
    """Approve events, as StartRequests asks for all their VMs, and start those that are due.

    Args:
        takes: seconds from an approval to the start; until then nothing in the document has changed.
    """
    wanted = {each.upper() for each in event_ids}
    events = tuple(
        replace(each, starts_at=now + takes)
        if each.event_id.upper() in wanted and each.status == "Scheduled" and each.starts_at is None
        else each
        for each in schedule.events
    )
    if events == schedule.events:
        return schedule
    return advanced(replace(schedule, events=events), now)


def shifted(schedule: Schedule, seconds: float) -> Schedule:
    """Return the schedule with every NotBefore so much later, as a service whose clock is ahead tells it."""
    events = tuple(
        each if each.not_before is None else replace(each, not_before=each.not_before + seconds)
        for each in schedule.events
    )
    return replace(schedule, events=events)


def advanced(schedule: Schedule, now: float) -> Schedule:
    """Let time pass: start what is due, remove what is over; each counts one incarnation."""
    started = _mapped(schedule, lambda each: _begun_if_due(each, schedule, now))
    kept = tuple(each for each in started.events if not _is_over(each, now))
    if len(kept) == len(started.events):
        return started
    over = len(started.events) - len(kept)
    return Schedule(incarnation=started.incarnation + over, events=kept)


def _begun_if_due(event: Event, schedule: Schedule, now: float) -> Event:
    times = [each for each in (event.not_before, _released_at(event, schedule)) if each is not None]
    if event.status != "Scheduled" or not times or min(times) > now:
        return event
    return begun(event, min(times))


def _released_at(event: Event, schedule: Schedule) -> float | None:
    """Return when approval starts an event; deletions that share a NotBefore wait until all are approved."""
    if event.event_type != "Terminate":
        return event.starts_at
    shared = [
        each.starts_at
        for each in schedule.events
        if (each.event_type, each.status, each.not_before) == ("Terminate", "Scheduled", event.not_before)
    ]
    times = [each for each in shared if each is not None]
    return max(times) if times and len(times) == len(shared) else None


def _is_over(event: Event, now: float) -> bool:
    if event.started_at is None or event.remove_after is None:
        return False
    return event.started_at + event.remove_after <= now


def _mapped(schedule: Schedule, change: Callable[[Event], Event]) -> Schedule:
    events = tuple(map(change, schedule.events))
    changes = sum(new is not old and new != old for new, old in zip(events, schedule.events, strict=True))
    return Schedule(incarnation=schedule.incarnation + changes, events=events) if changes else schedule
