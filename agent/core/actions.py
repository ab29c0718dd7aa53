"""What may be done to the node: one class an action, each one request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
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


Action = ApplyGroup | ApplyMark | HandOver | ClearCordon | Sweep
