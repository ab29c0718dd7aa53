"""Which scheduled events were heard of, and for how long each has been silent.

An event that vanished is over or cancelled (Azure's documentation), but one document without it proves little: the
service restarts, and may take minutes to show events again. Instants are monotonic seconds of this process.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.core.events import EventDocument, ScheduledEvent, event_key, gone

if TYPE_CHECKING:
    from collections.abc import Mapping

FORGET_AFTER = 86_400.0  # seconds; the service forgets a client after a day without requests, so may we
REMEMBERED = 1000  # absent events at most, the last ones: who plays the service could send new ones each second


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """What the good event documents of this process said, all together.

    Attributes:
        document: the last good document; None before the first.
        first_good: when the first good document came; None before.
        last_good: when the last good document came; None before.
        first_seen: when each event (by key) was first seen by this process.
        absent_since: when each event seen earlier was first missed, if it is still missing.
    """

    document: EventDocument | None = None
    first_good: float | None = None
    last_good: float | None = None
    first_seen: Mapping[str, float] = field(default_factory=dict)
    absent_since: Mapping[str, float] = field(default_factory=dict)

    def present(self) -> tuple[ScheduledEvent, ...]:
        """Return the events that the last good document shows as not over."""
        if self.document is None:
            return ()
        return tuple(event for event in self.document.events if not gone(event))

    def silent_for(self, event_id: str) -> float | None:
        """Return the seconds between the first and the last good document without an event.

        None while it is present or nothing good was heard. An event that this process never saw has been silent since
        the first good document.
        """
        if self.first_good is None or self.last_good is None:
            return None
        key = event_key(event_id)
        if any(event_key(event.id) == key for event in self.present()):
            return None
        return self.last_good - self.absent_since.get(key, self.first_good)

    def ever_saw(self, event_id: str) -> bool:
        """Return whether this process has seen the event itself."""
        return event_key(event_id) in self.first_seen


def heard(before: Hearing, document: EventDocument, now: float) -> Hearing:
    """Return what is known after one more good document.

    A document with an event that could not be read cannot prove any event absent: the unreadable one may be it.
    Every silence then begins anew.
    """
    keys = {event_key(event.id) for event in document.events if not gone(event)}
    if document.hidden:
        return Hearing(
            document=document,
            first_good=None,
            last_good=None,
            first_seen={**dict.fromkeys(keys, now), **before.first_seen},
        )
    absent = {key: since for key, since in before.absent_since.items() if key not in keys}
    for key in before.first_seen:
        if key not in keys:
            absent.setdefault(key, now)
    latest = sorted(absent, key=lambda key: absent[key], reverse=True)
    old = {key for key, since in absent.items() if now - since > FORGET_AFTER} | set(latest[REMEMBERED:])
    seen = {**dict.fromkeys(keys, now), **before.first_seen}
    return Hearing(
        document=document,
        first_good=now if before.first_good is None else before.first_good,
        last_good=now,
        first_seen={key: instant for key, instant in seen.items() if key not in old},
        absent_since={key: since for key, since in absent.items() if key not in old},
    )
