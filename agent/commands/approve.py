"""`events approve ID`: a person lets one event begin now, and the mark on the node says who it was."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.clients.cluster_errors import ClusterConflict, ClusterError
from agent.clients.imds import unsent
from agent.clients.imds_errors import ImdsError
from agent.commands.facts import DEADLINE, scheduled
from agent.commands.output import BOLD, DIM, paint, say, say_json
from agent.core.events import EventDocument, ScheduledEvent, concerns, event_key
from agent.core.mark import mark_text, read_mark
from agent.core.node import read_node
from agent.daemon.partners import imds_client, one_try
from agent.told import Told

if TYPE_CHECKING:
    import argparse

    from agent.clients.cluster import Cluster
    from agent.clients.imds import Imds
    from agent.settings import Settings

MANAGER = "imds-agent-approve"  # merge patches of the mark; never used for apply
PERSON = "person"
_TRIES = 5  # to write where others write at the same time: the agent itself, and the kubelet every few seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """What the mark on the node says after the approval.

    Attributes:
        mark: written; unchanged: somebody approved before; absent: the event does not stand there; failed; None: no
            node is configured.
    """

    mark: str | None
    told: str


def approve(settings: Settings, arguments: argparse.Namespace) -> int:
    """Show an event and all VMs that it would release, ask, approve, and say so in the mark.

    Args:
        settings: where IMDS is; with a node name also where the mark is.
        arguments: `event_id`, `yes` (do not ask), `approver` (a name for the mark, or None) and `output`.
    """
    client = imds_client(settings)
    event = _found(scheduled(client), arguments.event_id)
    asks = not arguments.yes
    if asks and (arguments.output == "json" or not sys.stdin.isatty()):
        raise Told("nobody can be asked here: give --yes to approve without a question")
    if arguments.output != "json":
        _show(event, _own_name(client))
    if asks and not _agreed():
        raise Told("not approved; nothing was sent")
    _send(client, event)
    by = f"{PERSON}:{arguments.approver}" if arguments.approver else PERSON
    noted = _noted(settings, event.id, by)
    if arguments.output == "json":
        say_json(
            {
                "event": dataclasses.asdict(event),
                "approved": True,
                "by": by,
                "node": settings.node_name,
                "mark": noted.mark,
                "trouble": noted.told if noted.mark == "failed" else None,
            }
        )
        return 0
    say(f"approved: {event.type} {event.id} may begin now")
    say(paint(f"  {noted.told}", DIM))
    return 0


def _found(document: EventDocument, event_id: str) -> ScheduledEvent:
    event = next((each for each in document.events if event_key(each.id) == event_key(event_id)), None)
    if event is None:
        shown = ", ".join(f"{each.id} ({each.type}, {each.status})" for each in document.events)
        raise Told(f"no event {event_id!r} is scheduled; {f'there are {shown}' if shown else 'there is none at all'}")
    if event.status != "Scheduled":
        has = "has started already" if event.status == "Started" else f"is {event.status}"
        raise Told(f"{event.type} {event.id} {has}: there is nothing to approve")
    return event


def _own_name(client: Imds) -> str | None:
    """Return this VM's name for the list; who cannot be told it can approve all the same."""
    try:
        return client.instance(deadline=DEADLINE).value.name
    except ImdsError:
        return None


def _show(event: ScheduledEvent, name: str | None) -> None:
    begin = f", not before {event.not_before:%Y-%m-%d %H:%M:%SZ}" if event.not_before else ""
    say(f"{paint(event.type, BOLD)} {event.id}: {event.status}{begin}, asked for by {event.source or 'nobody known'}")
    if event.description:
        say(f"  {event.description}")
    count = len(event.resources)
    say(f"  approved, it may begin at once, for {f'all {count} VMs' if count > 1 else 'this one VM'}:")
    for resource in event.resources:
        own = name is not None and concerns(replace(event, resources=(resource,)), name)
        say(f"    {resource}{'  (the VM you are on)' if own else ''}")
    if name is not None and not concerns(event, name):
        say(f"  the VM you are on, {name}, is not among them")


def _agreed() -> bool:
    sys.stdout.flush()
    sys.stderr.write("This cannot be taken back. Type yes to approve: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().casefold() == "yes"


def _send(client: Imds, event: ScheduledEvent) -> None:
    try:
        client.approve(event.id)
    except ImdsError as error:
        if unsent(error):
            raise
        raise Told(f"{error} It may have been received all the same: see imds-agent events.") from error


def _noted(settings: Settings, event_id: str, by: str) -> Noted:
    """Write into the mark who approved; that it could not be written takes nothing from the approval."""
    node = settings.node_name
    if node is None:
        return Noted(mark=None, told="no node is configured, so no mark says so")
    from agent.clients.cluster import Cluster  # noqa: PLC0415 - 0.4 s that an approval without Kubernetes need not pay

    try:
        return _written(Cluster(one_try(settings)), node, f"{settings.domain}/events", event_id, by)
    except ClusterError as error:
        return Noted(mark="failed", told=f"the mark on node {node} does not say so: {error}")


def _written(cluster: Cluster, node: str, key: str, event_id: str, by: str) -> Noted:
    for tried in range(1, _TRIES + 1):
        view = read_node(cluster.node(node), quorum=True)
        mark = read_mark(view.annotations.get(key))
        entry = (
            next((each for each in mark.events if event_key(each.id) == event_key(event_id)), None) if mark else None
        )
        if mark is None or entry is None:
            return Noted(mark="absent", told=f"node {node} carries no mark of this event")
        if entry.approved is not None:
            return Noted(mark="unchanged", told=f"the mark on node {node} says already: approved by {entry.approved}")
        events = tuple(replace(each, approved=by) if each is entry else each for each in mark.events)
        metadata = {
            "uid": view.uid,
            "resourceVersion": view.resource_version,
            "annotations": {key: mark_text(replace(mark, events=events))},
        }
        try:
            cluster.merge(node, {"metadata": metadata}, manager=MANAGER)
        except ClusterConflict:
            if tried == _TRIES:
                raise
            continue
        return Noted(mark="written", told=f"the mark on node {node} says: approved by {by}")
    raise AssertionError(_TRIES)
