"""DataNodes as a NameNode's JMX shows them: attributes of `NameNodeInfo`, each JSON as a text (Hadoop 3.5.0, tried)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from agent.core.document import DocumentError, Place, read_json
from agent.core.rack_table import bits_of, canonical

IN_SERVICE: Final = "In Service"
IN_MAINTENANCE: Final = "In Maintenance"
ENTERING: Final = "Entering Maintenance"
DECOMMISSIONING: Final = "Decommission In Progress"
DECOMMISSIONED: Final = "Decommissioned"
_DIGITS = 5  # of a port; int() refuses thousands of them


@dataclass(frozen=True, slots=True, kw_only=True)
class DataNode:
    """One DataNode.

    Attributes:
        address: its IP, canonical as in a table of racks; `xferaddr` of the bean.
        name: what the NameNode calls it: a host name where it knows one.
        rack: the path that it has at the NameNode until that restarts.
        state: "In Service", "Entering Maintenance", "In Maintenance", "Decommission In Progress" or "Decommissioned".
        live: its heartbeats come.
        seen: it has registered since the NameNode's start; a host that was only listed in `dfs.hosts` has not.
    """

    address: str
    port: int
    name: str
    rack: str
    state: str
    upgrade_domain: str | None
    live: bool
    seen: bool = True


def read_datanodes(bean: Place) -> tuple[DataNode, ...]:
    """Read the bean `NameNodeInfo`, live ones first.

    Raises:
        DocumentError: it is not that.
    """
    return (*_nodes(bean.at("LiveNodes"), live=True), *_nodes(bean.at("DeadNodes"), live=False))


def _nodes(attribute: Place, *, live: bool) -> list[DataNode]:
    text = attribute.text()
    if text is None:
        raise attribute.wrong("a JSON object as a text")
    try:
        members = read_json(text).members()
    except DocumentError as error:
        raise DocumentError(f"{attribute.path}{error.path.removeprefix('$')}", error.expected, error.found) from error
    nodes = Place(path=attribute.path, value=members)
    return [_node(name, nodes.at(name), live=live) for name in sorted(members)]


def _node(name: str, said: Place, *, live: bool) -> DataNode:
    transfer = said.at("xferaddr")
    host, _, port = (transfer.text() or "").rpartition(":")
    address = canonical(host.strip("[]"))
    if bits_of(address) is None or not (port.isascii() and port.isdigit() and len(port) <= _DIGITS):
        raise transfer.wrong("ADDRESS:PORT")
    return DataNode(
        address=address,
        port=int(port),
        name=name.rpartition(":")[0] or name,
        rack=said.at("location").text() or "",
        state=said.at("adminState").text() or IN_SERVICE,
        upgrade_domain=said.at("upgradeDomain").text(),
        live=live,
        seen=live or said.at("uuid").text() is not None,
    )
