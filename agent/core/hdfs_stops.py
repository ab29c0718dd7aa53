"""Which marked events stop a DataNode, for which VM, and what is said about it on the node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from agent.core.datanodes import DECOMMISSIONED, DECOMMISSIONING, ENTERING, IN_MAINTENANCE
from agent.core.events import event_key
from agent.core.hdfs_said import HdfsSaid, said_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.core.datanodes import DataNode
    from agent.core.hdfs_nodes import HdfsHost
    from agent.core.hdfs_said import DataNodeState
    from agent.core.mark import MarkedEvent

# By address, for each event (by its key) the id of the VM that it was marked for; None where that is not known.
Begun = Mapping[str, Mapping[str, "str | None"]]

_SHORT = "Freeze"  # lasts seconds; a DataNode is dead to HDFS after ten minutes and a half
_WORDS: Mapping[str, DataNodeState] = {
    IN_MAINTENANCE: "in-maintenance",
    ENTERING: "entering",
    DECOMMISSIONED: "decommissioned",
    DECOMMISSIONING: "decommissioning",
}


def stopping(host: HdfsHost, begun: Mapping[str, str | None]) -> tuple[MarkedEvent, ...]:
    """Return the events that will stop this very VM: those of a VM that was here before are over for HDFS at once."""
    return tuple(
        event
        for event in host.events
        if event.cordons and event.type != _SHORT and _same(begun.get(event_key(event.id)), host.vm_id)
    )


def _same(before: str | None, now: str | None) -> bool:
    return None in (before, now) or before == now


def begun_of(
    hosts: Iterable[HdfsHost],
    known: Begun,
    addresses: Mapping[str, str],
    asked: Mapping[str, tuple[MarkedEvent, ...]],
) -> Begun:
    """Return for which VM each event was marked first, for as long as a mark names it."""
    found: dict[str, dict[str, str | None]] = {}
    for host in hosts:
        address = addresses.get(host.name)
        if address is None:
            continue
        before = known.get(address, {})
        marked = {event_key(event.id) for event in host.events}
        new = {event_key(event.id): host.vm_id for event in asked.get(host.name, ())}
        kept = {key: vm for key, vm in before.items() if key in marked and vm is not None}
        if both := {**new, **kept}:
            found[address] = both
    return found


def words(
    hosts: Iterable[HdfsHost],
    datanodes: Iterable[DataNode],
    addresses: Mapping[str, str],
    asked: Mapping[str, tuple[MarkedEvent, ...]],
    *,
    settled: bool,
) -> dict[str, str | None]:
    """Return by a host's name what should stand on its node about HDFS and does not; None takes it away.

    Args:
        addresses, asked: by a host's name: its address, and the events that it should be out of service for.
        settled: the NameNode has been up for long enough that a DataNode that it does not have live is none.
    """
    states = {each.address: each.state for each in datanodes if each.live}
    found: dict[str, str | None] = {}
    for host in hosts:
        events = asked.get(host.name, ())
        state = states.get(addresses.get(host.name, ""))
        word = _word(state, settled=settled)
        text = said_text(HdfsSaid(state=word, events=tuple(each.id for each in events))) if events else None
        if text != host.said:
            found[host.name] = text
    return found


def _word(state: str | None, *, settled: bool) -> DataNodeState:
    if state is None:
        return "no-datanode" if settled else "asked"
    return _WORDS.get(state, "asked")
