"""Placement in, the names of rack and update group out. Python 3.8 syntax: Hadoop's hosts may have nothing newer."""

from __future__ import annotations

from typing import Protocol


class Placed(Protocol):
    """What a rack is made of."""

    @property
    def location(self) -> str | None:
        """The region, in lower case."""

    @property
    def zone(self) -> str | None:
        """The availability zone, a bare digit."""

    @property
    def fault_domain(self) -> int | None:
        """Azure's fault domain."""

    @property
    def update_domain(self) -> int | None:
        """Azure's update domain."""


def zone(placement: Placed) -> str:
    """Return `westeurope-1`; "" where there is no true zone: a fault domain is never passed off as one."""
    if not placement.location or not placement.zone:
        return ""
    return f"{placement.location}-{placement.zone}"


def rack(placement: Placed) -> str:
    """Return `westeurope-1-fd0`, without zones `westeurope-fd0`, without fault domain what is left; "" if nothing is.

    A raw fault domain is no rack: fault domain 0 exists in every zone. Different racks are different hardware only
    inside one placement group (Azure's documentation).
    """
    return _below(placement, "fd", placement.fault_domain) or _site(placement)


def update_group(placement: Placed) -> str:
    """Return `westeurope-1-ud3`; "" without an update domain."""
    return _below(placement, "ud", placement.update_domain)


def _site(placement: Placed) -> str:
    return zone(placement) or placement.location or ""


def _below(placement: Placed, prefix: str, number: int | None) -> str:
    site = _site(placement)
    return f"{site}-{prefix}{number}" if site and number is not None else ""
