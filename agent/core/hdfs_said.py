"""What `hdfs-sync` says on a node of the DataNode there, so that an approval can wait for it.

The annotation `P/hdfs` is canonical JSON without timestamps: `{"v":1,"state":"in-maintenance","events":["ID"]}`. It goes
with the events that it was written for.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal, get_args

from agent.core.document import DocumentError, read_json
from agent.core.events import event_key

VERSION = 1

# asked: the file says so, the NameNode not yet; no-datanode: none is live there, so there is nothing to wait for.
DataNodeState = Literal["asked", "entering", "in-maintenance", "decommissioning", "decommissioned", "no-datanode"]

_READY = ("in-maintenance", "decommissioned", "no-datanode")


@dataclass(frozen=True, slots=True, kw_only=True)
class HdfsSaid:
    """What stands on a node.

    Attributes:
        events: ids of the marked events that it is about.
    """

    state: DataNodeState
    events: tuple[str, ...]


def said_text(said: HdfsSaid) -> str:
    """Return the annotation's value: the same bytes for the same."""
    document = {"v": VERSION, "state": said.state, "events": sorted(said.events)}
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def read_said(text: str | None) -> HdfsSaid | None:
    """Read the annotation; None where there is none, or it cannot be read: whoever waits goes on waiting."""
    if text is None:
        return None
    try:
        root = read_json(text)
        named = root.at("state").text()
        events = [event for place in root.at("events").each() if (event := place.text())]
    except DocumentError:
        return None
    state = next((each for each in get_args(DataNodeState) if each == named), None)
    return HdfsSaid(state=state, events=tuple(events)) if state is not None else None


def stepped_aside(said: HdfsSaid | None, event_id: str) -> bool:
    """Return whether HDFS no longer minds if the VM goes for an event."""
    if said is None or said.state not in _READY:
        return False
    return event_key(event_id) in {event_key(each) for each in said.events}
