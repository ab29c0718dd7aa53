"""`/metadata/loadbalancer`: the public addresses and rules of a Standard load balancer before this VM.

`/instance` leaves such addresses empty (Azure's documentation); `completed` puts them in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from agent.core.document import read_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.core.document import Place
    from agent.core.network import Address, NetworkInterface


class Front(NamedTuple):
    """A front end's address and the private one behind it; IPv6 bare, although the service sends `[2001::1]`."""

    frontend: str | None
    private: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundRule:
    """A rule of load balancing or inbound NAT; `protocol` in lower case, since it comes as `tcp` and as `Tcp`."""

    front: Front
    protocol: str | None = None
    frontend_port: int | None = None
    backend_port: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBalancer:
    """All that stands before this VM.

    Attributes:
        public: instance-level public addresses.
        outbound: front ends that outgoing connections come from.
    """

    public: tuple[Front, ...] = ()
    inbound: tuple[InboundRule, ...] = ()
    outbound: tuple[Front, ...] = ()


def read_load_balancer(body: bytes) -> LoadBalancer:
    """Read the answer.

    Raises:
        DocumentError: it is another document.
    """
    root = read_json(body).at("loadbalancer")
    if root.is_empty:
        raise root.wrong("an object")
    return LoadBalancer(
        public=tuple(_front(each) for each in root.at("publicIpAddresses").each()),
        inbound=tuple(_inbound(each) for each in root.at("inboundRules").each()),
        outbound=tuple(_front(each) for each in root.at("outboundRules").each()),
    )


def _front(place: Place) -> Front:
    right = place.at("frontendIpAddress")
    sent = (
        place.at("frotendIpAddress") if right.is_empty else right
    )  # as older pages and a draft of the specification spell it
    return Front(_bare(sent.text()), _bare(place.at("privateIpAddress").text()))


def _bare(address: str | None) -> str | None:
    return address.removeprefix("[").removesuffix("]") if address else None


def _inbound(place: Place) -> InboundRule:
    protocol = place.at("protocol").text()
    return InboundRule(
        front=_front(place),
        protocol=protocol.lower() if protocol else None,
        frontend_port=place.at("frontendPort").number(),
        backend_port=place.at("backendPort").number(),
    )


def completed(interfaces: Iterable[NetworkInterface], found: LoadBalancer) -> tuple[NetworkInterface, ...]:
    """Return the interfaces with the public addresses that only the load balancer's document has."""
    by_private: dict[str, str] = {}
    for front in found.public:
        if front.private and front.frontend:
            by_private.setdefault(front.private, front.frontend)  # the first, as Kubernetes' cloud provider takes it

    def known(address: Address) -> Address:
        public = address.public or by_private.get(address.private or "")
        return replace(address, public=public)

    return tuple(replace(each, ipv4=tuple(known(address) for address in each.ipv4)) for each in interfaces)


def lacks_public(interfaces: Iterable[NetworkInterface]) -> bool:
    """Return whether an address is there whose public side may stand in the load balancer's document."""
    return any(address.private and not address.public for each in interfaces for address in each.ipv4)
