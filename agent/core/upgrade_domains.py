"""Which of Azure's facts is worth being HDFS's upgrade domain: the one that tells hosts apart."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal

from agent.core.rack import zone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from agent.core.rack import Placed

Kind = Literal["update-domain", "zone", "fault-domain", "none"]
ODD = 0.1  # of the hosts
KINDS: tuple[Kind, ...] = ("update-domain", "zone", "fault-domain")


def upgrade_domain(placement: Placed, kind: Kind) -> str | None:
    """Return a host's upgrade domain; None leaves the field out, and Hadoop takes the host for a domain of its own."""
    return _VALUES[kind](placement)


def telling_kind(placements: Iterable[Placed]) -> Kind:
    """Return the first kind with more than one value among all hosts, a tenth of odd ones aside.

    Whoever has one node's token can write its labels. If that changed the kind, all DataNodes would be in other domains.

    Update domains are what Azure reboots at once, where it shows them: availability sets and regional scale sets. In zones, and
    with max spreading, all are 0 (Azure's documentation: not exposed).
    """
    placed = tuple(placements)
    for kind in KINDS:
        counted = Counter(value for each in placed if (value := upgrade_domain(each, kind)) is not None)
        if counted.total() - max(counted.values(), default=0) > counted.total() * ODD:
            return kind
    return "none"


def _update_domain(placement: Placed) -> str | None:
    return None if placement.update_domain is None else f"ud{placement.update_domain}"


def _fault_domain(placement: Placed) -> str | None:
    return None if placement.fault_domain is None else f"fd{placement.fault_domain}"


_VALUES: Mapping[Kind, Callable[[Placed], str | None]] = {
    "update-domain": _update_domain,
    "zone": lambda placement: zone(placement) or None,
    "fault-domain": _fault_domain,
    "none": lambda _: None,
}
