"""Events as people give them: a few fields, the rest sensible."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Any

from agent.emulator.events import Event, begun
from agent.emulator.reading import object_of, seconds_of, text_of, texts_of, whole_of, word_of, wrong

NOTICE = 900.0  # seconds; Azure's documentation gives 15 minutes for Freeze and Reboot


def new_event(given: object, *, event_id: str, own_name: str, now: float) -> Event:
    """Make an event from what is given; it concerns the own VM and comes in 15 minutes unless it says otherwise.

    Raises:
        InputError: for an unknown field or a wrong value.
    """
    event = Event(event_id=event_id, resources=(own_name,), not_before=now + NOTICE)
    return changed_event(event, given, now)


def changed_event(event: Event, given: object, now: float) -> Event:
    """Return the event with the given fields changed; EventStatus "Started" starts it now.

    Raises:
        InputError: for an unknown field or a wrong value.
    """
    changes: dict[str, Any] = {}
    for key, value in object_of(given, "$", _READERS).items():
        field, read = _READERS[key]
        changes[field] = read(value, f"$.{key}", now)
    result: Event = replace(event, **changes)
    if result.status == "Started":
        return begun(result, now)
    approved = None if "status" in changes else result.starts_at  # put back to Scheduled, it waits again
    return replace(result, started_at=None, starts_at=approved)


def _not_before(value: object, path: str, _now: float) -> float | None:
    text = text_of(value, path)
    if not text:
        return None
    try:
        parsed = parsedate_to_datetime(text)
    except ValueError:
        raise wrong(path, "a date such as 'Mon, 11 Apr 2026 22:26:58 GMT'", value) from None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=timezone.utc)).timestamp()


def _remove_after(value: object, path: str, _now: float) -> float | None:
    return None if value is None else seconds_of(value, path)


_Read = Callable[[object, str, float], Any]
_READERS: dict[str, tuple[str, _Read]] = {
    "EventId": ("event_id", lambda value, path, _now: word_of(value, path)),
    # Any word: what the service may say one day has to be tried as well.
    "EventType": ("event_type", lambda value, path, _now: word_of(value, path, "a type such as 'Reboot'")),
    "EventStatus": ("status", lambda value, path, _now: word_of(value, path, "a status such as 'Started'")),
    "Resources": ("resources", lambda value, path, _now: texts_of(value, path)),
    "NotBefore": ("not_before", _not_before),
    "NotBeforeSeconds": ("not_before", lambda value, path, now: now + seconds_of(value, path)),
    "Description": ("description", lambda value, path, _now: text_of(value, path)),
    "EventSource": ("source", lambda value, path, _now: text_of(value, path)),
    "DurationInSeconds": ("duration", lambda value, path, _now: whole_of(value, path)),
    "RemoveAfterSeconds": ("remove_after", _remove_after),
}
