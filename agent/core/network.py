"""The `network` part of /metadata/instance."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.core.document import Place

_MAC = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An IPv4 address pair.

    Attributes:
        public: None also for a public address of Standard SKU or on a load balancer (Azure's documentation).
    """

    private: str | None = None
    public: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """An IPv4 subnet, `prefix` in bits."""

    address: str | None = None
    prefix: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkInterface:
    """A network interface; their order says nothing about which is primary (Azure's documentation).

    Attributes:
        mac_address: as Linux prints it, `00:0d:3a:f8:06:ec`; IMDS sends `000D3AF806EC`.
        ipv6: private addresses; the document has no IPv6 subnet.
    """

    mac_address: str | None = None
    ipv4: tuple[Address, ...] = ()
    subnets: tuple[Subnet, ...] = ()
    ipv6: tuple[str, ...] = ()


def read_network(place: Place) -> tuple[NetworkInterface, ...]:
    """Read `network`; a degraded answer may have it empty or not at all."""
    return tuple(_interface(each) for each in place.at("interface").each())


def _interface(place: Place) -> NetworkInterface:
    ipv4 = place.at("ipv4")
    ipv6 = (each.at("privateIpAddress").text() for each in place.at("ipv6").at("ipAddress").each())
    return NetworkInterface(
        mac_address=_mac_address(place.at("macAddress").text()),
        ipv4=tuple(_address(each) for each in ipv4.at("ipAddress").each()),
        subnets=tuple(_subnet(each) for each in ipv4.at("subnet").each()),
        ipv6=tuple(address for address in ipv6 if address is not None),
    )


def _address(place: Place) -> Address:
    return Address(private=place.at("privateIpAddress").text(), public=place.at("publicIpAddress").text())


def _subnet(place: Place) -> Subnet:
    return Subnet(address=place.at("address").text(), prefix=place.at("prefix").number())


def _mac_address(sent: str | None) -> str | None:
    if sent is None:
        return None
    digits = sent.lower()
    if not _MAC.fullmatch(digits):
        return digits
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))
