"""`events`: what IMDS has scheduled, for this VM and its neighbours."""

from __future__ import annotations

import dataclasses
import sys
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from agent.clients.imds_errors import ImdsError
from agent.commands.facts import DEADLINE, scheduled
from agent.commands.output import DIM, YELLOW, columns, paint, say, say_json
from agent.core.events import EventDocument, ScheduledEvent, concerns
from agent.core.policy import Decision, decide
from agent.daemon.partners import imds_client
from agent.settings import SettingsError

if TYPE_CHECKING:
    import argparse

    from agent.clients.imds import Imds
    from agent.settings import Settings

NAMED = 3  # neighbours that are named; a placement group can have a hundred


def events(settings: Settings, arguments: argparse.Namespace) -> int:
    """Show the events once, or each time they change; or approve one."""
    if arguments.deed is None and (arguments.yes or arguments.approver):
        raise SettingsError("--yes and --as go with: events approve ID")
    if arguments.deed == "approve":
        if arguments.watch:
            raise SettingsError("--watch does not go with events approve")
        if not arguments.event_id:
            raise SettingsError("events approve: expected the ID of an event, found nothing")
        from agent.commands.approve import approve  # noqa: PLC0415 - a command of its own

        return approve(settings, arguments)
    client = imds_client(settings)
    name = client.instance(deadline=DEADLINE).value.name
    if not arguments.watch:
        document = scheduled(client)
        _show(document, _decisions(document, settings), name, arguments.output)
        return 0
    _watch(client, settings, name, arguments.output)
    return 0


def _watch(client: Imds, settings: Settings, name: str | None, output: str) -> None:
    """Show each change until interrupted; a service that fails is told once, and asked again."""
    before: tuple[EventDocument, list[Decision]] | None = None
    failing = False
    while True:
        try:
            document = client.events().value
        except ImdsError as error:
            if not failing:
                sys.stderr.write(f"imds-agent: {error} Still watching.\n")
            failing = True
        else:
            failing = False
            found = document, _decisions(document, settings)
            if found != before:
                _show(*found, name, output, at=datetime.now(timezone.utc))
                sys.stdout.flush()  # into a pipe as well as on a terminal
            before = found
        time.sleep(max(settings.events_interval, 0.5))


def _decisions(document: EventDocument, settings: Settings) -> list[Decision]:
    rules, now = settings.rules().events, datetime.now(timezone.utc)
    return [decide(event, rules, now) for event in document.events]


def _show(
    document: EventDocument, decisions: list[Decision], name: str | None, output: str, at: datetime | None = None
) -> None:
    judged = list(zip(document.events, decisions, strict=True))
    if output == "json":
        found = [
            {**dataclasses.asdict(event), "own": _is_own(event, name), "decision": decision.do}
            for event, decision in judged
        ]
        say_json({"incarnation": document.incarnation, "vm": name, "events": found, "unreadable": document.unreadable})
        return
    count = len(document.events)
    many = "no scheduled events" if count == 0 else f"{count} scheduled event{'s' if count > 1 else ''}"
    when = f"{at:%H:%M:%SZ}  " if at else ""
    say(paint(f"{when}{many}; this VM is {name or 'not known'}; incarnation {document.incarnation}", DIM))
    columns(row for event, decision in judged for row in _rows(event, decision, name))
    for note in document.unreadable:
        say(paint(f"  unreadable: {note}", YELLOW))


def _is_own(event: ScheduledEvent, name: str | None) -> bool:
    return bool(name and concerns(event, name))


def _rows(event: ScheduledEvent, decision: Decision, name: str | None) -> list[tuple[str, str, str]]:
    """Return two rows: what it is and when, then what follows and its id."""
    verdict = f"{decision.do}: {decision.because}" if _is_own(event, name) else f"not this VM: for {_whose(event)}"
    begin = f"not before {event.not_before:%Y-%m-%d %H:%M:%SZ}" if event.not_before else ""
    return [(event.type, event.status, f"{begin}  {event.id}".strip()), ("", "", paint(verdict, DIM))]


def _whose(event: ScheduledEvent) -> str:
    more = len(event.resources) - NAMED
    return ", ".join(event.resources[:NAMED]) + (f" and {more} more" if more > 0 else "")
