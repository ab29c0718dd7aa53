"""The mark: what stands on the node about our scheduled events, and all that a restarted agent needs to know.

The annotation `P/events` is canonical JSON without timestamps:
`{"v":1,"events":{"ID":{"type":"Reboot","do":"cordon","started":true,"overridden":true}},"before":true}`; false is left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

VERSION = 1

Do = Literal["notify", "cordon"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedEvent:
    """One scheduled event that concerns this node.

    Attributes:
        do: what the policy made of it when it was marked; never taken back while the event lasts.
        started: it was seen Started.
        overridden: somebody made the node schedulable on purpose while it lasted.
    """

    id: str
    type: str
    do: Do
    started: bool = False
    overridden: bool = False

    @property
    def cordons(self) -> bool:
        """Whether this event keeps the node cordoned."""
        return self.do == "cordon" and not self.overridden


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """All marked events.

    Attributes:
        before: the node was cordoned by somebody else before we cordoned it.
        broken: the annotation could not be read, or is gone while the cordon is still ours: which events it was is
            unknown, that there was one is not.
    """

    events: tuple[MarkedEvent, ...] = ()
    before: bool = False
    broken: bool = False

    @property
    def cordons(self) -> bool:
        """Whether the mark stands for a cordon of ours."""
        return self.broken or any(event.cordons for event in self.events)


def _entry(event: MarkedEvent) -> dict[str, object]:
    entry: dict[str, object] = {"type": event.type, "do": event.do}
    flags = {"started": event.started, "overridden": event.overridden}
    return {**entry, **{name: True for name, value in flags.items() if value}}


def mark_text(mark: Mark) -> str:
    """Return the annotation's value: the same bytes for the same mark."""
    document: dict[str, object] = {"v": VERSION, "events": {event.id: _entry(event) for event in mark.events}}
    if mark.before:
        document["before"] = True
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def _marked_event(event_id: str, entry: object) -> MarkedEvent:
    known: Mapping[str, object] = entry if isinstance(entry, Mapping) else {}
    return MarkedEvent(
        id=event_id,
        type=str(known.get("type", "")),
        do="notify" if known.get("do") == "notify" else "cordon",
        started=known.get("started") is True,
        overridden=known.get("overridden") is True,
    )


def read_mark(text: str | None) -> Mark | None:
    """Read the annotation; None if there is none.

    What a newer agent added is passed over; what cannot be read at all is a broken mark, never no mark: a node must not be
    stranded by a typing error.
    """
    if text is None:
        return None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return Mark(broken=True)
    if not isinstance(document, dict) or not isinstance(document.get("events"), dict) or not document["events"]:
        return Mark(broken=True)
    events = tuple(_marked_event(key, entry) for key, entry in sorted(document["events"].items()))
    return Mark(events=events, before=document.get("before") is True)
