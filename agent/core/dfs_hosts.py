"""`dfs.hosts` as JSON for Hadoop's CombinedHostFileManager: who may be a DataNode, its upgrade domain, its state.

Facts of Hadoop 3.5.0, tried: a file that is torn or empty, one unknown field or a state in lower case make it an **empty**
list, and "Refresh nodes successful" is said all the same; a name that does not resolve is left out; a list without one
NORMAL entry counts as empty. So entries are addresses, there is no field of our own, and what is written is read back by
this strict reader first.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from agent.core.datanodes import DECOMMISSIONED, DECOMMISSIONING, ENTERING, IN_MAINTENANCE, IN_SERVICE
from agent.core.document import DocumentError, read_json
from agent.core.rack_table import bits_of, canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agent.core.document import Place

State = Literal["NORMAL", "IN_MAINTENANCE", "DECOMMISSIONED"]

# What a NameNode calls a DataNode that it has as the file says.
MEANT: Mapping[State, tuple[str, ...]] = {
    "NORMAL": (IN_SERVICE,),
    "IN_MAINTENANCE": (ENTERING, IN_MAINTENANCE),
    "DECOMMISSIONED": (DECOMMISSIONING, DECOMMISSIONED),
}
_FIELDS = ("hostName", "port", "upgradeDomain", "adminState", "maintenanceExpireTimeInMS")
_PORTS = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class HostEntry:
    """One host.

    Attributes:
        address: an IP, canonical; Hadoop takes a name too, and leaves it out where it does not resolve.
        port: 0 for any.
        until: when maintenance ends by itself, in milliseconds since 1970; None for never.
    """

    address: str
    port: int = 0
    upgrade_domain: str | None = None
    state: State = "NORMAL"
    until: int | None = None


def is_over(entry: HostEntry, now: float) -> bool:
    """Return whether an entry's maintenance has ended by itself; `now` in milliseconds since 1970."""
    return entry.state == "IN_MAINTENANCE" and entry.until is not None and entry.until <= now


def read_hosts(text: str) -> tuple[HostEntry, ...]:
    """Read the file, more strictly than Hadoop does.

    Raises:
        DocumentError: Hadoop would take it for an empty list, or leave an entry out.
    """
    place = read_json(text)
    if place.is_empty:
        raise place.wrong("an array of hosts")
    entries = tuple(_entry(each) for each in place.each())
    seen: dict[tuple[str, int], int] = {}
    for number, entry in enumerate(entries):
        first = seen.setdefault((entry.address, entry.port), number)
        if first != number:
            raise DocumentError(f"$[{number}].hostName", "a host once", f"{entry.address} as in $[{first}]")
    return entries


def _entry(place: Place) -> HostEntry:
    unknown = [name for name in place.members() if name not in _FIELDS]
    if unknown:
        raise place.at(unknown[0]).wrong(f"no such field: Hadoop knows {', '.join(_FIELDS)}")
    name = place.at("hostName")
    address = canonical(name.text() or "")
    if bits_of(address) is None:
        raise name.wrong("an IP address")
    state = place.at("adminState")
    known = next((each for each in get_args(State) if each == (state.text() or "NORMAL")), None)
    if known is None:
        raise state.wrong(", ".join(get_args(State)))
    port = place.at("port").number() or 0
    if not 0 <= port < _PORTS:
        raise place.at("port").wrong("a port")
    return HostEntry(
        address=address,
        port=port,
        upgrade_domain=place.at("upgradeDomain").text(),
        state=known,
        until=place.at("maintenanceExpireTimeInMS").number(),
    )


def hosts_text(entries: Iterable[HostEntry]) -> str:
    """Return the file: an entry a line, by address."""
    rows = sorted(entries, key=lambda each: (bits_of(each.address) or (0, 0), each.port))
    lines = ",\n".join(json.dumps(_fields(each)) for each in rows)
    return f"[\n{lines}\n]\n"


def _fields(entry: HostEntry) -> dict[str, object]:
    found: dict[str, object] = {"hostName": entry.address}
    if entry.port:
        found["port"] = entry.port
    if entry.upgrade_domain is not None:
        found["upgradeDomain"] = entry.upgrade_domain
    if entry.state != "NORMAL":
        found["adminState"] = entry.state
    if entry.until is not None:
        found["maintenanceExpireTimeInMS"] = entry.until
    return found
