"""The mark and the cordon: what is ours on the node, and what brings them to what the plan says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.core.actions import ApplyMark, ClearCordon, HandOver, NodeAction, Sweep
from agent.core.labels import read_identity
from agent.core.mark import Mark, mark_text, read_mark
from agent.core.node import EVENTS, HANDOVER, NodeView, cordoned_by_others, holds

if TYPE_CHECKING:
    from agent.core.maintenance import Release
    from agent.core.sighting import Sighting


def vm_name(sighting: Sighting | None, view: NodeView, domain: str) -> str | None:
    """Return who we are: IMDS's word, or until it has spoken what the node's own annotation says."""
    if sighting is not None and sighting.instance.name:
        return sighting.instance.name
    identity = read_identity(view.annotations.get(f"{domain}/instance", ""))
    return identity.name if identity else None


def standing_mark(view: NodeView, domain: str) -> Mark | None:
    """Return the mark on the node; a broken one where the cordon is ours and the mark was taken away."""
    mark = read_mark(view.annotations.get(f"{domain}/events"))
    if mark is None and view.cordon_is_applied_by_us():
        return Mark(broken=True)
    return mark


def _nobodys_wish(view: NodeView, domain: str, mark: Mark) -> bool:
    """Return whether the cordon would stay without being anybody's wish: its ownership was lost or copied."""
    ours_alone = view.cordon_is_applied_by_us() and sum(owner.unschedulable for owner in view.owners) == 1
    return bool(view.unschedulable) and not ours_alone and not mark.before and not cordoned_by_others(view, domain)


def release_actions(release: Release, view: NodeView, domain: str, mark: Mark) -> tuple[NodeAction, ...]:
    """Return what gives the node back, or hands its cordon over to those who want it."""
    holding = holds(view, domain) if release.cordoned and view.unschedulable else ()
    handed = view.owner(HANDOVER)
    first: tuple[NodeAction, ...] = ()
    if holding:
        first = () if handed and handed.unschedulable else (HandOver(holds=holding),)
    elif release.cordoned and _nobodys_wish(view, domain, mark):
        clear = ClearCordon(resource_version=view.resource_version)
        return (clear, ApplyMark(mark=release.mark, cordon=False)) if release.mark else (clear,)
    withdraw = ApplyMark(mark=release.mark, cordon=False)
    if release.mark is None and not _mark_is_ours_alone(view, domain):
        return (*first, withdraw, Sweep(annotations=(f"{domain}/events",)))
    return (*first, withdraw)


def _mark_is_ours_alone(view: NodeView, domain: str) -> bool:
    """Return whether the mark goes when our manager withdraws it; otherwise it was copied, or its ownership lost."""
    key = f"{domain}/events"
    owners = [owner for owner in view.owners if key in owner.annotations]
    return len(owners) == 1 and owners[0] == view.owner(EVENTS)


def mark_actions(mark: Mark, view: NodeView, domain: str, *, cordon: bool) -> tuple[NodeAction, ...]:
    """Return what makes mark and cordon stand as they should; nothing where they do."""
    if view.annotations.get(f"{domain}/events") == mark_text(mark) and view.unschedulable in (True, cordon):
        return ()
    return (ApplyMark(mark=mark, cordon=cordon),)
