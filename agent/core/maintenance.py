"""What to do about scheduled events: events, the mark on the node and what was heard, in; a plan, out.

The plan says what should stand on the node, not what to change: the same plan again changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from agent.core.events import ScheduledEvent, concerns, event_key
from agent.core.mark import Mark, MarkedEvent

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from agent.core.hearing import Hearing

STOPPING = frozenset({"Reboot", "Redeploy", "Preempt", "Terminate"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What each event is worth.

    Attributes:
        freeze_below: a Freeze known to be shorter than this many seconds is told, not cordoned for.
        cordon_before: seconds before `NotBefore` at which a cordon begins; until then the event is only told.
        release_after: seconds for which an event must be absent before the node is given back.
        release_after_restart: the same for an event that this process never saw: the service may take five minutes
            to show events again after it was asked for the first time (Azure's documentation).
        stale_after: seconds without a good document after which nothing is released: fifteen missed polls.
    """

    freeze_below: float = 30.0
    cordon_before: float = 3600.0
    release_after: float = 60.0
    release_after_restart: float = 300.0
    stale_after: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the policy makes of one event, and why."""

    do: Literal["notify", "cordon"]
    because: str


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
class Release:
    """Our cordon, or what is left of the mark, should go.

    Attributes:
        mark: what remains to be said without a cordon; None for nothing.
        cordoned: whether the mark that goes stood for a cordon.
    """

    mark: Mark | None
    cordoned: bool


Plan = Idle | Notify | Cordon | Release


def until_cordon(event: ScheduledEvent, policy: Policy, now: datetime) -> float:
    """Return the seconds until it is time to cordon for an event; 0 or less where it is."""
    if event.status != "Scheduled" or event.not_before is None:
        return 0.0
    return (event.not_before - now).total_seconds() - policy.cordon_before


def decide(event: ScheduledEvent, policy: Policy, now: datetime) -> Decision:
    """Return what one event is worth now.

    Args:
        now: UTC; compared with `NotBefore`, which is the service's word on when it may begin.
    """
    if event.status not in ("Scheduled", "Started"):
        return Decision(do="notify", because=f"status {event.status!r} is not known")
    if event.type == "Freeze" and event.duration is not None and event.duration < policy.freeze_below:
        return Decision(do="notify", because=f"a freeze of {event.duration} s is below {policy.freeze_below:g} s")
    if event.type != "Preempt" and until_cordon(event, policy, now) > 0:  # a Preempt gives seconds, never hours
        return Decision(do="notify", because=f"not before {event.not_before:%Y-%m-%d %H:%M:%S}Z: too early to cordon")
    if event.type == "Freeze":
        return Decision(do="cordon", because="a freeze of unknown or considerable length")
    if event.type in STOPPING:
        return Decision(do="cordon", because=f"{event.type} stops the VM")
    return Decision(do="cordon", because=f"type {event.type!r} is not known: better safe")


def own_events(hearing: Hearing, vm_name: str | None) -> tuple[ScheduledEvent, ...]:
    """Return the present events that concern this VM; none while its name is not known."""
    if vm_name is None:
        return ()
    return tuple(event for event in hearing.present() if concerns(event, vm_name))


def _remembered(event: ScheduledEvent, old: MarkedEvent | None, do: Literal["notify", "cordon"]) -> MarkedEvent:
    if old is None:
        return MarkedEvent(id=event.id, type=event.type, do=do, started=event.status == "Started")
    return replace(
        old,
        type=event.type,
        do="cordon" if old.do == "cordon" else do,
        started=old.started or event.status == "Started",
    )


def marked(mark: Mark | None, own: Iterable[ScheduledEvent], policy: Policy, now: datetime) -> tuple[MarkedEvent, ...]:
    """Return the mark's events brought up to date, those that are absent now included, in a stable order."""
    old = {event_key(event.id): event for event in (mark.events if mark else ())}
    for event in own:
        key = event_key(event.id)
        old[key] = _remembered(event, old.get(key), decide(event, policy, now).do)
    return tuple(old[key] for key in sorted(old))


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


def obstacle(hearing: Hearing, policy: Policy, instant: float, *, ready: bool, vm_name: str | None) -> str | None:
    """Return what stands in the way of giving the node back; None for nothing."""
    if vm_name is None:
        return "the VM's name is not known yet"
    if hearing.last_good is None or instant - hearing.last_good > policy.stale_after:
        return "IMDS has not said lately that no event is left"
    if not ready:
        return "the node is not Ready"
    return None


def overridden(mark: Mark) -> Mark:
    """Return the mark after somebody made the node schedulable on purpose: so it stays for these events."""
    events = tuple(replace(event, overridden=True) if event.cordons else event for event in mark.events)
    return Mark(events=events, before=mark.before)


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
) -> Plan:
    """Choose what should stand on the node.

    Args:
        mark: what stands there; None for nothing.
        ready: whether the kubelet says so.
        cordoned_before: whether the node is cordoned now without a mark, by somebody else.
        now: UTC, compared with `NotBefore` only.
        instant: monotonic seconds, compared with the hearing only.
    """
    events = marked(mark, own_events(hearing, vm_name), policy, now)
    if mark is None and not events:
        return Idle()
    before = mark.before if mark is not None and mark.cordons else cordoned_before
    left = tuple(event for event in events if not is_over(event, hearing, policy))
    lasting = mark is not None and mark.broken and not _broken_is_over(hearing, policy)
    if lasting or any(event.cordons for event in left):
        hidden = hearing.document is not None and hearing.document.hidden > 0
        waiting = "IMDS shows an event that cannot be read: it may be ours" if hidden else None
        return Cordon(mark=Mark(events=left, before=before, broken=lasting), waiting_for=waiting)
    if mark is not None and mark.cordons:
        if waiting_for := obstacle(hearing, policy, instant, ready=ready, vm_name=vm_name):
            return Cordon(mark=Mark(events=events, before=before, broken=mark.broken), waiting_for=waiting_for)
        return Release(mark=Mark(events=left) if left else None, cordoned=True)
    if left:
        return Notify(mark=Mark(events=left))
    return Release(mark=None, cordoned=False)
