"""What a VM without Kubernetes remembers of its scheduled events: on its disk, since the events restart it.

Which hook was begun for which phase of which event is written before it is begun, so that none ever runs twice.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

from agent.core.dates import read_date
from agent.core.document import read_json
from agent.core.events import ScheduledEvent, event_key
from agent.core.mark import Do, MarkedEvent

if TYPE_CHECKING:
    from agent.core.document import Place

VERSION = 1
KEPT = 100  # events that are over and still remembered, should the service show one again

Phase = Literal["scheduled", "started", "gone"]
Outcome = Literal["begun", "done", "failed", "late", "refused", "lost"]

PHASES: tuple[Phase, ...] = get_args(Phase)
_Word = TypeVar("_Word", bound=str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One hook and what came of it in one phase.

    Attributes:
        outcome: begun, and nothing more is known yet; done; failed; late: its time was over; refused: it was not begun, since
            others might have written it; lost: we died while it ran.
    """

    phase: Phase
    hook: str
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class HostEvent:
    """One event of this VM.

    Attributes:
        event: as the service last showed it.
        entry: what the policy made of it, and whether it was approved, as a mark would say it.
        through: phases in which nothing is left to begin.
    """

    event: ScheduledEvent
    entry: MarkedEvent
    ran: tuple[Ran, ...] = ()
    through: frozenset[Phase] = frozenset()

    @property
    def key(self) -> str:
        """What makes it one and the same event."""
        return event_key(self.event.id)

    @property
    def closed(self) -> bool:
        """Whether it is over, for the hooks too."""
        return "gone" in self.through

    def outcomes(self, phase: Phase) -> dict[str, Outcome]:
        """Return what came of each hook in a phase."""
        return {ran.hook: ran.outcome for ran in self.ran if ran.phase == phase}


@dataclass(frozen=True, slots=True, kw_only=True)
class HostState:
    """All that is remembered.

    Attributes:
        vm_id: whose it is: a disk may be copied, with all that was remembered on it.
        events: in the order in which they were first seen.
    """

    vm_id: str | None = None
    events: tuple[HostEvent, ...] = ()

    @property
    def open(self) -> tuple[HostEvent, ...]:
        """The events that are not over."""
        return tuple(event for event in self.events if not event.closed)


def event_entry(event: ScheduledEvent) -> dict[str, object]:
    """Return an event as programs on the VM read it."""
    return {
        "id": event.id,
        "type": event.type,
        "status": event.status,
        "not_before": f"{event.not_before:%Y-%m-%dT%H:%M:%SZ}" if event.not_before else None,
        "duration": event.duration,
        "source": event.source,
        "description": event.description,
        "resources": list(event.resources),
    }


def state_text(state: HostState) -> str:
    """Return the state as it is written, canonical JSON."""
    document = {"v": VERSION, "vm": state.vm_id, "events": [_written(event) for event in state.events]}
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def read_state(text: str | bytes) -> HostState:
    """Read a state as it was written.

    Raises:
        DocumentError: it is none, or of another version.
    """
    root = read_json(text)
    if root.at("v").number() != VERSION:
        raise root.at("v").wrong(f"version {VERSION}")
    return HostState(vm_id=root.at("vm").text(), events=tuple(_event(each) for each in root.at("events").each()))


def _written(event: HostEvent) -> dict[str, object]:
    return {
        "event": event_entry(event.event),
        "do": event.entry.do,
        "started": event.entry.started,
        "approved": event.entry.approved,
        "ran": [{"phase": ran.phase, "hook": ran.hook, "outcome": ran.outcome} for ran in event.ran],
        "through": sorted(event.through),
    }


def _event(place: Place) -> HostEvent:
    event = _shown(place.at("event"))
    entry = MarkedEvent(
        id=event.id,
        type=event.type,
        do=_word(place.at("do"), get_args(Do)),
        started=place.at("started").flag() or False,
        approved=place.at("approved").text(),
    )
    through = frozenset(_word(each, PHASES) for each in place.at("through").each())
    return HostEvent(
        event=event, entry=entry, ran=tuple(_ran(each) for each in place.at("ran").each()), through=through
    )


def _shown(place: Place) -> ScheduledEvent:
    return ScheduledEvent(
        id=_needed(place.at("id")),
        type=place.at("type").text() or "",
        status=place.at("status").text() or "",
        resources=tuple(each.text() or "" for each in place.at("resources").each()),
        not_before=read_date(place.at("not_before").text() or ""),
        description=place.at("description").text(),
        source=place.at("source").text(),
        duration=place.at("duration").number(),
    )


def _ran(place: Place) -> Ran:
    outcome: Outcome = _word(place.at("outcome"), get_args(Outcome))
    return Ran(phase=_word(place.at("phase"), PHASES), hook=_needed(place.at("hook")), outcome=outcome)


def _word(place: Place, words: tuple[_Word, ...]) -> _Word:
    found = next((word for word in words if word == place.value), None)
    if found is None:
        raise place.wrong(f"one of {', '.join(words)}")
    return found


def _needed(place: Place) -> str:
    text = place.text()
    if text is None:
        raise place.wrong("a text")
    return text
