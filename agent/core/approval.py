"""May this event be told to begin now? An approval releases it for all VMs that it concerns, once and for ever."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from agent.core.events import EVENT_TYPES, concerns, event_key
from agent.core.hdfs_said import read_said, stepped_aside
from agent.core.labels import read_identity
from agent.core.mark import Mark, read_mark

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.core.events import ScheduledEvent
    from agent.core.hdfs_said import HdfsSaid
    from agent.core.mark import MarkedEvent

Mode = Literal["off", "own-user-events", "when-drained"]
WaitsFor = Literal["nobody", "hdfs"]

# Azure's cloud provider: a VM of a uniform scale set is named SET_NUMBER in events, any other one by its own name.
_PROVIDER_ID = re.compile(
    r"azure://.*/providers/Microsoft\.Compute(?:/virtualMachineScaleSets/([^/]+))?/virtualMachines/([^/]+)",
    re.IGNORECASE,
)
_USER = "user"
_ASKED_FOR = ("Reboot", "Redeploy")  # what a user asks for and then waits for; a deletion or eviction needs no help


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A node of this cluster and what it says of its VM.

    Attributes:
        vm: the VM's name, from the instance annotation.
        mark: None where the node has none.
        node: the node's name.
        said: what `hdfs-sync` says of its DataNode.
    """

    vm: str
    mark: Mark | None
    node: str
    said: HdfsSaid | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether to approve, and why.

    Attributes:
        needs_neighbours: it depends on the marks of the other nodes, which were not given.
    """

    approve: bool
    because: str
    needs_neighbours: bool = False


def neighbours(documents: Iterable[Mapping[str, object]], domain: str) -> tuple[Neighbour, ...]:
    """Read the nodes, or their metadata, as the API server lists them; one that does not say which VM it is, is left out."""
    return tuple(found for each in documents if (found := _neighbour(each, domain)) is not None)


def names_in(events: Iterable[ScheduledEvent]) -> frozenset[str]:
    """Return how the VMs of events may be called, in lower case."""
    return frozenset(name for event in events for each in event.resources for name in (each.casefold(), _vm_key(each)))


def may_be(document: Mapping[str, object], vm: str) -> bool:
    """Say whether a whole node may be this VM, by its providerID: unlike our annotation no agent's token can write that.

    One that names no VM of Azure says nothing against it.
    """
    found = _PROVIDER_ID.fullmatch(str(_mapping(document.get("spec")).get("providerID") or ""))
    if found is None:
        return True
    scale_set, name = found.groups()
    return vm.casefold() == (f"{scale_set}_{name}" if scale_set else name).casefold()


def verdict(
    event: ScheduledEvent,
    entry: MarkedEvent | None,
    *,
    mode: Mode,
    vm_name: str,
    cordoned: bool,
    drains: bool,
    neighbours: tuple[Neighbour, ...] | None,
    waits_for: WaitsFor = "nobody",
    said: HdfsSaid | None = None,
) -> Verdict:
    """Return whether this agent may approve an event that is shown now.

    Args:
        entry: what the mark on the node says of the event; None where it does not stand there.
        cordoned: the API server confirmed the cordon.
        drains: the policy drains the node for this event, if not now then later.
        neighbours: all nodes of the cluster, this one included; None where they are not known.
        waits_for: who else must say first that the VM may go.
        said: what `hdfs-sync` says on this node.
    """
    if mode == "off":
        return _no("approval is off")
    if entry is None:
        return _no("it does not stand in the mark")
    if why := _obstacle(event, vm_name) or _obstacle_in_mark(entry, cordoned=cordoned):
        return _no(why)
    drain_owed = entry.drain != "done" and (drains or entry.do == "drain" or entry.drain is not None)
    own_users = _is_own_users(event, vm_name)
    if own_users and drain_owed:
        return _no("the drain of this node is not done")
    if waits_for == "hdfs" and not stepped_aside(said, event.id):
        return _no("HDFS does not say yet that the DataNode of this node may go")
    if own_users:
        return Verdict(approve=True, because="a user asked for it, and it concerns this VM only")
    if mode == "own-user-events":
        return _no("it is no restart or redeployment that a user asked for, of this VM alone")
    return _when_drained(event, entry, vm_name, neighbours, waits_for)


def _no(because: str) -> Verdict:
    return Verdict(approve=False, because=because)


def _obstacle(event: ScheduledEvent, vm_name: str) -> str | None:
    """Return why no mode allows it; None where one may."""
    if event.status != "Scheduled":
        return f"its status is {event.status!r}, not 'Scheduled'"
    if event.type not in EVENT_TYPES:
        return f"its type {event.type!r} is not known"
    if not concerns(event, vm_name):
        return "it does not concern this VM"
    return None


def _obstacle_in_mark(entry: MarkedEvent, *, cordoned: bool) -> str | None:
    if entry.approved is not None:
        return f"it was approved before, by {entry.approved}"
    if entry.overridden:
        return "somebody made the node schedulable while it lasts"
    if entry.drain in ("failed", "stopped"):
        return f"the drain of this node {'failed' if entry.drain == 'failed' else 'was stopped'}"
    if entry.started:
        return "it was seen Started before"
    if not entry.cordons or not cordoned:
        return "the node is not cordoned for it"
    return None


def _is_own_users(event: ScheduledEvent, vm_name: str) -> bool:
    alone = all(_is_vm(resource, vm_name) for resource in event.resources)
    return alone and (event.source or "").casefold() == _USER and event.type in _ASKED_FOR


def _when_drained(
    event: ScheduledEvent, entry: MarkedEvent, vm_name: str, known: tuple[Neighbour, ...] | None, waits_for: WaitsFor
) -> Verdict:
    if entry.drain != "done":
        return _no("the drain of this node is not done")
    first = min(event.resources, key=_vm_key)
    ours = _is_vm(first, vm_name)
    if known is None and ours:
        return Verdict(approve=False, because="the marks of the other nodes are not known", needs_neighbours=True)
    nodes = _by_vm(known or ())
    for resource in event.resources if known is not None else ():
        if why := _missing(resource, event, nodes, waits_for):
            return _no(why)
    # All VMs must be nodes, so the first of them is the first among the nodes: no other agent need list them.
    if not ours:
        return _no(f"{first} speaks for this event")
    return Verdict(approve=True, because=f"drained are all of {', '.join(event.resources)}")


def _by_vm(known: tuple[Neighbour, ...]) -> dict[str, list[Neighbour]]:
    found: dict[str, list[Neighbour]] = {}
    for each in known:
        found.setdefault(each.vm.casefold(), []).append(each)
    return found


def _missing(
    resource: str, event: ScheduledEvent, by_vm: Mapping[str, list[Neighbour]], waits_for: WaitsFor
) -> str | None:
    """Return why one VM's node is not ready for the event; None where it is."""
    names = {resource.casefold(), _vm_key(resource)}
    nodes = [each for name in sorted(names) for each in by_vm.get(name, ())]
    if not nodes:
        return f"{resource} is no node of this cluster"
    if len(nodes) > 1:  # names are unique in a resource group only
        return f"{resource} may be any of the nodes {', '.join(each.node for each in nodes)}"
    (node,) = nodes
    entry = _entry(node.mark, event.id)
    if entry is None:
        return f"{resource} (node {node.node}) has not marked it"
    if entry.approved is not None:
        return f"it was approved before, by {entry.approved} on node {node.node}"
    if not entry.cordons or entry.drain != "done":
        return f"{resource} (node {node.node}) is not drained"
    if waits_for == "hdfs" and not stepped_aside(node.said, event.id):
        return f"HDFS does not say yet that the DataNode of {resource} (node {node.node}) may go"
    return None


def _entry(mark: Mark | None, event_id: str) -> MarkedEvent | None:
    key = event_key(event_id)
    return next((each for each in mark.events if event_key(each.id) == key), None) if mark is not None else None


def _vm_key(resource: str) -> str:
    return resource.casefold().removeprefix("_")


def _is_vm(resource: str, vm_name: str) -> bool:
    """Say whether an event's resource is the VM of this name, as `concerns` does."""
    return resource.casefold() in (vm_name.casefold(), f"_{vm_name.casefold()}")


def _neighbour(document: Mapping[str, object], domain: str) -> Neighbour | None:
    metadata = _mapping(document.get("metadata"))
    annotations = _mapping(metadata.get("annotations"))
    instance, mark, said = (annotations.get(f"{domain}/{key}") for key in ("instance", "events", "hdfs"))
    identity = read_identity(instance) if isinstance(instance, str) else None
    if identity is None or identity.name is None:
        return None
    standing = read_mark(mark) if isinstance(mark, str) else None
    word = read_said(said) if isinstance(said, str) else None
    return Neighbour(vm=identity.name, mark=standing, node=str(metadata.get("name", "")), said=word)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
