"""`events`: what IMDS has scheduled, for this VM and its neighbours."""

from __future__ import annotations

import dataclasses
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from agent.clients.imds import Imds
from agent.commands.facts import DEADLINE
from agent.commands.output import DIM, YELLOW, columns, paint, say, say_json
from agent.core.events import EventDocument, ScheduledEvent, concerns
from agent.core.maintenance import decide
from agent.daemon.partners import imds_client

if TYPE_CHECKING:
    import argparse

    from agent.settings import Settings


def events(settings: Settings, arguments: argparse.Namespace) -> int:
    """Show the events once, or each time they change."""
    client = imds_client(settings)
    name = client.instance(deadline=DEADLINE).value.name
    before: EventDocument | None = None
    while True:
        document = client.events().value
        if document != before:
            _show(document, name, settings, arguments.output)
        if not arguments.watch:
            return 0
        before = document
        time.sleep(settings.events_interval)


def _show(document: EventDocument, name: str | None, settings: Settings, output: str) -> None:
    rules, now = settings.rules().events, datetime.now(timezone.utc)
    if output == "json":
        found = [
            {
                **dataclasses.asdict(event),
                "own": bool(name and concerns(event, name)),
                "decision": decide(event, rules, now).do,
            }
            for event in document.events
        ]
        say_json({"incarnation": document.incarnation, "vm": name, "events": found, "unreadable": document.unreadable})
        return
    say(
        paint(
            f"incarnation {document.incarnation}, {len(document.events)} event(s); this VM is {name or 'not known'}",
            DIM,
        )
    )
    columns(_row(event, name, settings, now) for event in document.events)
    for note in document.unreadable:
        say(paint(f"  unreadable: {note}", YELLOW))


def _row(event: ScheduledEvent, name: str | None, settings: Settings, now: datetime) -> tuple[str, ...]:
    own = bool(name and concerns(event, name))
    decision = decide(event, settings.rules().events, now)
    when = event.not_before.strftime("%H:%M:%SZ") if event.not_before else "-"
    verdict = f"{decision.do}: {decision.because}" if own else f"for {', '.join(event.resources)}, not this VM"
    return (event.id, event.type, event.status, when, verdict)


__all__ = ["Imds", "events"]
