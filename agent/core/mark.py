"""The mark: what stands on the node about our scheduled events, and all that a restarted agent needs to know.

The annotation `P/events` is canonical JSON without timestamps; what is false or unknown is left out:
`{"v":1,"events":{"ID":{"type":"Reboot","do":"drain","started":true,"overridden":true,"drain":"done","approved":"agent"}},
"before":true}`. What a newer agent added is carried along as it came, so that an older one in between costs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

VERSION = 1
DEEPEST = 32  # levels of brackets; a mark has four, and JSON's writer gives up a little before its reader does

Do = Literal["notify", "cordon", "drain"]
Drained = Literal["begun", "done", "failed", "stopped"]

_KNOWN = frozenset({"type", "do", "started", "overridden", "drain", "approved"})
_KNOWN_OF_MARK = frozenset({"v", "events", "before"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedEvent:
    """One scheduled event that concerns this node.

    Attributes:
        do: what the policy made of it; a cordon is never taken back while the event lasts.
        started: it was seen Started.
        overridden: somebody made the node schedulable on purpose while it lasted.
        drain: how far its drain has come: begun; done: nothing is left that it would move; failed: its time ran out first;
            stopped: it was called off. None before it began.
        approved: who told the service to go ahead; None for nobody.
        more: what another version of the agent wrote, as pairs of a name and its JSON.
    """

    id: str
    type: str
    do: Do
    started: bool = False
    overridden: bool = False
    drain: Drained | None = None
    approved: str | None = None
    more: tuple[tuple[str, str], ...] = ()

    @property
    def cordons(self) -> bool:
        """Whether this event keeps the node cordoned."""
        return self.do != "notify" and not self.overridden


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """All marked events.

    Attributes:
        before: the node was cordoned by somebody else before we cordoned it.
        broken: the annotation could not be read, or is gone while the cordon is still ours: which events it was is
            unknown, that there was one is not.
        more: what another version of the agent wrote, as pairs of a name and its JSON.
    """

    events: tuple[MarkedEvent, ...] = ()
    before: bool = False
    broken: bool = False
    more: tuple[tuple[str, str], ...] = ()

    @property
    def cordons(self) -> bool:
        """Whether the mark stands for a cordon of ours."""
        return self.broken or any(event.cordons for event in self.events)


def _more(found: Mapping[str, object], known: frozenset[str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, _canonical(value)) for name, value in sorted(found.items()) if name not in known)


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _entry(event: MarkedEvent) -> dict[str, object]:
    more: dict[str, object] = {name: json.loads(text) for name, text in event.more}
    optional = {
        "started": event.started,
        "overridden": event.overridden,
        "drain": event.drain,
        "approved": event.approved,
    }
    said = {name: value for name, value in optional.items() if value}
    return {**more, "type": event.type, "do": event.do, **said}


def mark_text(mark: Mark) -> str:
    """Return the annotation's value: the same bytes for the same mark."""
    document: dict[str, object] = {name: json.loads(text) for name, text in mark.more}
    document |= {"v": VERSION, "events": {event.id: _entry(event) for event in mark.events}}
    if mark.before:
        document["before"] = True
    return _canonical(document)


def _marked_event(event_id: str, entry: object) -> MarkedEvent:
    known: Mapping[str, object] = entry if isinstance(entry, Mapping) else {}
    approved = known.get("approved")
    return MarkedEvent(
        id=event_id,
        type=str(known.get("type", "")),
        do=next((do for do in get_args(Do) if do == known.get("do")), "cordon"),
        started=known.get("started") is True,
        overridden=known.get("overridden") is True,
        drain=next((drain for drain in get_args(Drained) if drain == known.get("drain")), None),
        approved=approved if isinstance(approved, str) and approved else None,
        more=_more(known, _KNOWN),
    )


def _is_deeper(value: object, levels: int) -> bool:
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return levels < 0 or any(_is_deeper(each, levels - 1) for each in inner)


def read_mark(text: str | None) -> Mark | None:
    """Read the annotation; None if there is none.

    What cannot be read at all is a broken mark, never no mark: a node must not be
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
    if _is_deeper(document, DEEPEST):
        return Mark(broken=True)
    events = tuple(_marked_event(key, entry) for key, entry in sorted(document["events"].items()))
    return Mark(events=events, before=document.get("before") is True, more=_more(document, _KNOWN_OF_MARK))
