"""Where the VM stands: the part of /metadata/instance's `compute` that racks and zones come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.core.document import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where the VM stands.

    Attributes:
        location: lower case and without blanks; IMDS also sends `CentralUS` (recorded).
        zone: a true availability zone, a bare digit; None in a region without.
        fault_domain: comparable only inside one placement group (Azure's documentation).
        host: id of the dedicated host; a VM has a host, a host group, or neither.
    """

    location: str | None = None
    zone: str | None = None
    physical_zone: str | None = None
    fault_domain: int | None = None
    update_domain: int | None = None
    sub_fault_domain: int | None = None
    placement_group: str | None = None
    host: str | None = None
    host_group: str | None = None
    extended_location: str | None = None
    extended_location_type: str | None = None


def read_placement(compute: Place) -> Placement:
    """Read the fields of `compute` that say where the VM stands."""
    extended = compute.at("extendedLocation")
    location = compute.at("location").text()
    return Placement(
        location=location and location.lower().replace(" ", ""),
        zone=compute.at("zone").text(),
        physical_zone=compute.at("physicalZone").text(),
        fault_domain=compute.at("platformFaultDomain").number(),
        update_domain=compute.at("platformUpdateDomain").number(),
        sub_fault_domain=compute.at("platformSubFaultDomain").number(),
        placement_group=compute.at("placementGroupId").text(),
        host=compute.at("host").at("id").text(),
        host_group=compute.at("hostGroup").at("id").text(),
        extended_location=extended.at("name").text(),
        extended_location_type=extended.at("type").text(),
    )
