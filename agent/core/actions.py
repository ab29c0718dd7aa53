"""What may be done: one class an action, each one request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from agent.core.budget import Place, Purpose, Take
    from agent.core.drain import Asking
    from agent.core.labels import Written
    from agent.core.mark import Mark
    from agent.core.node import Hold

Group = Literal["facts", "tags"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyGroup:
    """Apply one group's labels and annotations; what is left out disappears unless others own it."""

    group: Group
    written: Written


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyMark:
    """Apply the mark and the cordon in one request; None and False withdraw them."""

    mark: Mark | None
    cordon: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """Apply the cordon under a second manager, so that it stays when ours goes."""

    holds: tuple[Hold, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearCordon:
    """Clear a cordon that is ours although its ownership was lost, mark and all, if the node is still at this version."""

    resource_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Remove leftovers of ours that an apply cannot remove, because others own them."""

    labels: tuple[str, ...] = ()
    annotations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTaints:
    """Bring our taints to what they should be, everybody else's left alone.

    Attributes:
        event_type: the type that the event taint should tell; None for no event taint.
        lift_startup: why the startup taint should go; None where it should not.
    """

    event_type: str | None
    lift_startup: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Ask one pod to leave, by eviction or deletion."""

    asking: Asking


@dataclass(frozen=True, slots=True, kw_only=True)
class TakePlace:
    """Take a place in a budget, if nobody was faster."""

    purpose: Purpose
    take: Take


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewPlace:
    """Show that the holder of a place is alive."""

    purpose: Purpose
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class FreePlace:
    """Give a place in a budget back."""

    purpose: Purpose
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Approve:
    """Tell the service that an event may begin now, for all VMs that it concerns."""

    event_id: str
    event_type: str
    resources: tuple[str, ...]


NodeAction = ApplyGroup | ApplyMark | HandOver | ClearCordon | Sweep | SetTaints
Action = NodeAction | Ask | TakePlace | RenewPlace | FreePlace | Approve
