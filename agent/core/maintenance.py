"""What to do about scheduled events: events, the mark on the node and what was heard, in; a plan, out.

The plan says what should stand on the node, not what to change: the same plan again changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.core.events import event_key
from agent.core.judgement import Limits, draining, marked, own_events
from agent.core.mark import Mark

if TYPE_CHECKING:
    from datetime import datetime

    from agent.core.events import ScheduledEvent
    from agent.core.hearing import Hearing
    from agent.core.mark import MarkedEvent
    from agent.core.policy import Policy

HELD = "the switch holds cordons as they are"


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """No event of ours, no mark: nothing of ours should stand there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """The mark should stand, without a cordon of ours."""

    mark: Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Cordon:
    """The mark and our cordon should stand.

    Attributes:
        waiting_for: why the node is not given back although its events are over; None while one lasts.
    """

    mark: Mark
    waiting_for: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """The mark and our cordon should stand, and the pods should go, step by step.

    Attributes:
        deadline: when the first of these events may start; None where nobody can say.
        keys: of the events that it is for.
    """

    mark: Mark
    deadline: datetime | None
    keys: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Our cordon, or what is left of the mark, should go.

    Attributes:
        mark: what remains to be said without a cordon; None for nothing.
        cordoned: whether the mark that goes stood for a cordon.
    """

    mark: Mark | None
    cordoned: bool


Plan = Idle | Notify | Cordon | Drain | Release


def _left(event: MarkedEvent, hearing: Hearing, policy: Policy) -> float | None:
    """Return the seconds for which an absent event must stay absent; None while it is present."""
    silent = hearing.silent_for(event.id)
    needed = policy.release_after if hearing.ever_saw(event.id) else policy.release_after_restart
    return None if silent is None else needed - silent


def is_over(event: MarkedEvent, hearing: Hearing, policy: Policy) -> bool:
    """Return whether an event has been absent for long enough: gone is enough, whether or not it had started."""
    left = _left(event, hearing, policy)
    return left is not None and left <= 0


def next_over(mark: Mark, hearing: Hearing, policy: Policy) -> float | None:
    """Return the seconds until the next marked event may be over if it stays absent; None if all are present or over."""
    waiting = [left for event in mark.events if (left := _left(event, hearing, policy)) is not None and left > 0]
    return min(waiting, default=None)


def _broken_is_over(hearing: Hearing, policy: Policy) -> bool:
    if hearing.first_good is None or hearing.last_good is None:
        return False
    if any(hearing.last_good - since < policy.release_after for since in hearing.absent_since.values()):
        return False  # it may be the one that was marked
    return hearing.last_good - hearing.first_good >= policy.release_after_restart


def obstacle(
    hearing: Hearing,
    policy: Policy,
    instant: float,
    *,
    ready: bool,
    vm_name: str | None,
    taken_by: str | None = None,
) -> str | None:
    """Return what stands in the way of giving the node back; None for nothing."""
    if vm_name is None:
        return "the VM's name is not known yet"
    if hearing.last_good is None or instant - hearing.last_good > policy.stale_after:
        return "IMDS has not said lately that no event is left"
    if not ready:
        return "the node is not Ready"
    if taken_by is not None:
        return f"{taken_by} is taking the node down"
    return None


def plan(
    *,
    mark: Mark | None,
    hearing: Hearing,
    vm_name: str | None,
    ready: bool,
    cordoned_before: bool,
    policy: Policy,
    now: datetime,
    instant: float,
    limits: Limits | None = None,
    taken_by: str | None = None,
) -> Plan:
    """Choose what should stand on the node.

    Args:
        mark: what stands there; None for nothing.
        ready: whether the kubelet says so.
        cordoned_before: whether the node is cordoned now without a mark, by somebody else.
        now: UTC by the service's clock, compared with `NotBefore` only.
        instant: monotonic seconds, compared with the hearing only.
        limits: what keeps the policy from having its way.
        taken_by: whose passing mark keeps the node from being given back; None for nobody's.
    """
    limits = limits or Limits()
    own = own_events(hearing, vm_name)
    events = marked(mark, own, policy, limits, now)
    if mark is None and not events:
        return Idle()
    before = mark.before if mark is not None and mark.cordons else cordoned_before
    more = mark.more if mark is not None else ()
    left = tuple(event for event in events if not is_over(event, hearing, policy))
    standing = mark is not None and mark.cordons
    broken = mark is not None and mark.broken
    if limits.cordon == "release":
        if standing:
            return Release(mark=Mark(events=left, more=more) if left else None, cordoned=True)
    elif standing and limits.cordon == "hold":
        return Cordon(mark=Mark(events=events, before=before, broken=broken, more=more), waiting_for=HELD)
    else:
        lasting = broken and not _broken_is_over(hearing, policy)
        if lasting or any(event.cordons for event in left):
            what = Mark(events=left, before=before, broken=lasting, more=more)
            return _cordon_or_drain(what, draining(left, own, limits), hearing)
        if standing:
            if waiting_for := obstacle(hearing, policy, instant, ready=ready, vm_name=vm_name, taken_by=taken_by):
                what = Mark(events=events, before=before, broken=broken, more=more)
                return Cordon(mark=what, waiting_for=waiting_for)
            return Release(mark=Mark(events=left, more=more) if left else None, cordoned=True)
    return Notify(mark=Mark(events=left, more=more)) if left else Release(mark=None, cordoned=False)


def _cordon_or_drain(mark: Mark, drained_for: tuple[ScheduledEvent, ...], hearing: Hearing) -> Cordon | Drain:
    if drained_for:
        deadlines = [event.not_before for event in drained_for if event.not_before is not None]
        keys = frozenset(event_key(event.id) for event in drained_for)
        return Drain(mark=mark, deadline=min(deadlines, default=None), keys=keys)
    hidden = hearing.document is not None and hearing.document.hidden > 0
    return Cordon(mark=mark, waiting_for="IMDS shows an event that cannot be read: it may be ours" if hidden else None)
