"""Kubernetes nodes as hosts of HDFS: where they stand, by what our own agents labelled, and what their marks say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.core.labels import read_identity
from agent.core.mark import MarkedEvent, read_mark
from agent.core.rack_table import network_of
from agent.core.racks import RackedHost

if TYPE_CHECKING:
    from agent.core.facts_document import HostFacts

_ADDRESSES = ("InternalIP", "Hostname", "InternalDNS", "ExternalIP", "ExternalDNS")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlace:
    """Where a node stands, as its labels say it."""

    location: str | None = None
    zone: str | None = None
    fault_domain: int | None = None
    update_domain: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HdfsHost:
    """A VM that may be a DataNode.

    Attributes:
        name: of the node, or of the VM where there is no Kubernetes.
        uid: of the node; "" where there is no Kubernetes.
        events: as its own agent marked them.
        said: what stands on the node about HDFS already.
    """

    name: str
    host: RackedHost
    vm_id: str | None = None
    events: tuple[MarkedEvent, ...] = ()
    uid: str = ""
    said: str | None = None


def hdfs_host(node: Mapping[str, object], domain: str, known: HdfsHost | None = None) -> HdfsHost | None:
    """Read a node; None where it has no place yet.

    Args:
        known: what was known of it before: its place stays where its labels are gone for a moment, since a VM does not move.
    """
    placed = racked_node(node, domain)
    if placed is None and known is not None:
        placed = known.host
    if placed is None:
        return None
    metadata = _mapping(node.get("metadata"))
    annotations = _mapping(metadata.get("annotations"))
    instance, mark, said = (_text(annotations, f"{domain}/{key}") for key in ("instance", "events", "hdfs"))
    identity = read_identity(instance) if instance is not None else None
    standing = read_mark(mark)
    return HdfsHost(
        name=name_of(node),
        host=placed,
        vm_id=identity.vm_id if identity is not None else None,
        events=standing.events if standing is not None else (),
        uid=_text(metadata, "uid") or "",
        said=said,
    )


def told_host(facts: HostFacts, known: HdfsHost | None = None) -> HdfsHost | None:
    """Return a VM as its own agent tells of it; None while it has no address or name, or its place is not sure yet.

    Args:
        known: what was known before: its place stays while what is told is not complete, its events while there is no word
            of any.
    """
    placed = facts.host if facts.complete or known is None else known.host
    if not placed.names or not (facts.complete or known is not None):
        return None
    before = known.events if known is not None and known.vm_id == facts.vm_id else ()
    return HdfsHost(
        name=facts.name or placed.names[0],
        host=placed,
        vm_id=facts.vm_id,
        events=facts.events if facts.events is not None else before,
    )


def racked_node(node: Mapping[str, object], domain: str) -> RackedHost | None:
    """Read a node as the API server sends it; None where it has none of our labels yet, or no address."""
    labels = _mapping(_mapping(node.get("metadata")).get("labels"))
    region, zone = _text(labels, f"topology.{domain}/region"), _text(labels, f"topology.{domain}/zone")
    place = NodePlace(
        location=region,
        zone=zone.removeprefix(f"{region}-") if zone and region else None,
        fault_domain=_number(labels, f"topology.{domain}/fault-domain"),
        update_domain=_number(labels, f"topology.{domain}/update-domain"),
    )
    names = _names(node)
    if place == NodePlace() or not names:
        return None
    return RackedHost(names=names, placement=place, networks=_networks(node))


def name_of(node: Mapping[str, object]) -> str:
    """Return a node's name."""
    return str(_mapping(node.get("metadata")).get("name", ""))


def _names(node: Mapping[str, object]) -> tuple[str, ...]:
    addresses = _mapping(node.get("status")).get("addresses")
    entries = [_mapping(each) for each in addresses] if isinstance(addresses, list) else []
    found = [str(each.get("address")) for each in entries if each.get("type") in _ADDRESSES and each.get("address")]
    return tuple(dict.fromkeys([*found, name_of(node)])) if found else ()


def _networks(node: Mapping[str, object]) -> tuple[str, ...]:
    spec = _mapping(node.get("spec"))
    listed = spec.get("podCIDRs")
    cidrs = listed if isinstance(listed, list) else [spec.get("podCIDR")]
    return tuple(str(each) for each in cidrs if each and network_of(str(each)) is not None)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _text(labels: Mapping[str, object], key: str) -> str | None:
    value = labels.get(key)
    return value if isinstance(value, str) and value else None


def _number(labels: Mapping[str, object], key: str) -> int | None:
    text = _text(labels, key)
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 6 else None
