"""`/metadata/scheduledevents` as values: one broken event never hides the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.core.dates import read_date
from agent.core.document import DocumentError, Place, read_json

if TYPE_CHECKING:
    from datetime import datetime

EVENT_TYPES = ("Freeze", "Reboot", "Redeploy", "Preempt", "Terminate")

_STATUSES = ("Scheduled", "Started")
_GONE = frozenset({"completed", "canceled", "cancelled"})  # only Microsoft's mock server shows events that are over
_MACHINE = "virtualmachine"
# What stands in the mark must fit into an annotation. An id has 36 characters, a VM's name at most 80, a description 100.
_LONGEST = 256
_LONGEST_DECORATION = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledEvent:
    """One scheduled event; unknown types and statuses are kept as they came.

    Attributes:
        id: as sent; compare by `event_key`, since its case differs between sources.
        resources: names of the VMs that it concerns, others' too.
        not_before: aware UTC; None once started, or unreadable.
        duration: seconds of expected interruption, 0 for none; None where it is not known (-1) or not sent.
    """

    id: str
    type: str
    status: str
    resource_type: str | None = None
    resources: tuple[str, ...] = ()
    not_before: datetime | None = None
    description: str | None = None
    source: str | None = None
    duration: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDocument:
    """One answer of /metadata/scheduledevents.

    Attributes:
        incarnation: for the log only; it can skip, repeat and restart. -1 when it could not be read.
        unreadable: what could not be read, a sentence each with its path; an event without id, type, status or
            resources is in here only, one with a bad date or duration is in `events` too.
        hidden: how many events are not in `events`: while there are any, nothing can be called absent.
    """

    incarnation: int
    events: tuple[ScheduledEvent, ...] = ()
    unreadable: tuple[str, ...] = ()
    hidden: int = 0


def read_events(body: bytes | str) -> EventDocument:
    """Read an answer of /metadata/scheduledevents.

    Raises:
        DocumentError: not JSON, or no array `Events`: that is an error, never "no events".
    """
    root = read_json(body)
    if not isinstance(root.members().get("Events"), list):
        raise root.at("Events").wrong("an array")
    notes: list[DocumentError] = []
    incarnation = _noted(root.at("DocumentIncarnation"), notes)
    read = [_event(each, notes) for each in root.at("Events").each()]
    return EventDocument(
        incarnation=-1 if incarnation is None else incarnation,
        events=tuple(event for event in read if event is not None),
        unreadable=tuple(str(note) for note in notes),
        hidden=read.count(None),
    )


def event_key(event_id: str) -> str:
    """Return what two ids of one event have in common: recorded ids are upper case, documented ones also lower."""
    return event_id.casefold()


def gone(event: ScheduledEvent) -> bool:
    """Say whether the event is over or cancelled although it is still shown."""
    return event.status.casefold() in _GONE


def concerns(event: ScheduledEvent, vm_name: str) -> bool:
    """Say whether the event is about the VM of this name (`compute.name`, which is not the node's name).

    Case does not matter; the first preview put an underscore before each name (Azure's documentation).
    """
    if event.resource_type is not None and event.resource_type.casefold() != _MACHINE:
        return False
    name = vm_name.casefold()
    return any(resource.casefold() in (name, f"_{name}") for resource in event.resources)


def _event(place: Place, notes: list[DocumentError]) -> ScheduledEvent | None:
    try:
        return ScheduledEvent(
            id=_required(place.at("EventId")),
            type=_known(_required(place.at("EventType")), EVENT_TYPES),
            status=_known(_required(place.at("EventStatus")), _STATUSES),
            resource_type=_decoration(place.at("ResourceType"), notes),
            resources=_resources(place.at("Resources")),
            not_before=_not_before(place.at("NotBefore"), notes),
            description=_decoration(place.at("Description"), notes),
            source=_decoration(place.at("EventSource"), notes),
            duration=_duration(place.at("DurationInSeconds"), notes),
        )
    except DocumentError as error:
        notes.append(error)
        return None


def _required(place: Place) -> str:
    text = place.text()
    if text is None:
        raise place.wrong("a text")
    if len(text) > _LONGEST:
        raise DocumentError(place.path, f"a text of at most {_LONGEST} characters", f"{len(text)}")
    return text


def _known(word: str, words: tuple[str, ...]) -> str:
    """Return a known word in its documented spelling, another one as it came."""
    return next((known for known in words if known.casefold() == word.casefold()), word)


def _decoration(place: Place, notes: list[DocumentError]) -> str | None:
    """Read a text without which the event still counts, cut where it is far too long."""
    try:
        text = place.text()
        return text and text[:_LONGEST_DECORATION]
    except DocumentError as error:
        notes.append(error)
        return None


def _resources(place: Place) -> tuple[str, ...]:
    if place.is_empty:
        raise place.wrong("an array")  # without it nobody can say whom the event concerns
    return tuple(_required(each) for each in place.each())


def _not_before(place: Place, notes: list[DocumentError]) -> datetime | None:
    if place.is_empty:
        return None
    date = read_date(place.value) if isinstance(place.value, str) else None
    if date is None:
        notes.append(place.wrong("a date"))
    return date


def _duration(place: Place, notes: list[DocumentError]) -> int | None:
    seconds = None if place.is_empty else _noted(place, notes)
    return seconds if seconds is not None and seconds >= 0 else None


def _noted(place: Place, notes: list[DocumentError]) -> int | None:
    """Read a number without which the rest is still worth having."""
    try:
        number = place.number()
    except DocumentError as error:
        notes.append(error)
        return None
    if number is None:
        notes.append(place.wrong("a number"))
    return number
