"""A drain, one step at a time: pods + what was tried + now -> whom to ask to leave, who stays and why, when to look again.

A step has no memory but `tried`. Not taking the next one ends the drain; nothing has to be undone.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Literal, NamedTuple

from agent.core.pods import budgets_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from agent.core.pods import Budget, Pod

CRITICAL = 2_000_000_000  # system-cluster-critical and system-node-critical begin here (Kubernetes' scheduling API)
STUCK = (
    30.0  # seconds past its grace after which a pod is not waited for; kubelet itself allows 2 s more than the grace
)
UNSEEN = 30.0  # seconds after which a pod that let itself be evicted, and shows no sign of it, is asked again
SETTLE = 10.0  # seconds for kubelet to see that a pod should end, and for us to see that it did
REPLACED = 30.0  # seconds until a budget allows the next pod: another one was scheduled, started and became ready
LOOK = 5.0  # seconds between two looks, as with everything on a node with an event
LOOK_LATE, LATE = 1.0, 60.0  # the same, in the last minute: pods with a short grace make way for the critical ones
RETRY_DELETE = 1.0  # seconds; a deletion is tried in the last ten only


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainPolicy:
    """Whom a drain moves, and what becomes of the rest.

    Attributes:
        empty_dir: pods with a volume that is lost with them.
        unmanaged: pods without a controller, which nobody would start again elsewhere.
        on_deadline: leave what a disruption budget has kept to the event, or delete it, past all budgets.
        delete_before: seconds before the deadline at which the deletion begins.
    """

    empty_dir: Literal["evict", "leave"] = "evict"
    unmanaged: Literal["evict", "leave"] = "leave"
    on_deadline: Literal["leave", "delete"] = "leave"
    delete_before: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What came of asking a pod to leave the last time.

    Attributes:
        at: monotonic seconds.
        refused: who or what said no, in words; None: it was accepted, or the pod is gone.
        delete: it was to be deleted, not evicted.
    """

    at: float
    refused: str | None = None
    delete: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A pod to be asked now.

    Attributes:
        grace: whole seconds instead of its own, where the deadline comes sooner.
        delete: past all disruption budgets.
    """

    pod: Pod
    grace: int | None = None
    delete: bool = False


class Left(NamedTuple):
    """A pod with work in it that is not asked to leave now."""

    pod: Pod
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainStep:
    """What to do now.

    Attributes:
        asks: in this order.
        left: everything else that runs here and should not. What the policy leaves alone counts: it is work.
        out_of_time: the deadline has come first.
        pause: seconds until another look is worth it; 0 where more could be asked at once.
    """

    asks: tuple[Asking, ...] = ()
    left: tuple[Left, ...] = ()
    out_of_time: bool = False
    pause: float = LOOK

    @property
    def done(self) -> bool:
        """Whether nothing is left that runs here and should not."""
        return not self.asks and not self.left


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moment:
    """All about time that a step needs.

    Attributes:
        left: seconds to the deadline; None without one.
        deleting: what is asked now is deleted, past all budgets.
    """

    now: datetime
    instant: float
    left: float | None
    retry_after: float
    deleting: bool

    @property
    def over(self) -> bool:
        return self.left is not None and self.left <= 0


def _moment(
    now: datetime, instant: float, deadline: datetime | None, policy: DrainPolicy, retry_after: float
) -> _Moment:
    left = None if deadline is None else (deadline - now).total_seconds()
    deleting = left is not None and policy.on_deadline == "delete" and left <= policy.delete_before
    return _Moment(now=now, instant=instant, left=left, retry_after=retry_after, deleting=deleting)


def works(pod: Pod, own: tuple[str, str] | None = None) -> bool:
    """Return whether a pod counts for a drain.

    A DaemonSet starts its pod again on the same node, a mirror pod is not the static pod itself; finished pods, and those
    of which only the object is left since a finalizer holds it, run nothing.
    """
    if pod.daemon_set or pod.mirror or pod.finished or (pod.namespace, pod.name) == own:
        return False
    return pod.leaving_at is None or pod.running


def _stuck(pod: Pod, now: datetime) -> bool:
    return pod.leaving_at is not None and (now - pod.leaving_at).total_seconds() > STUCK


def _left_by_policy(pod: Pod, policy: DrainPolicy) -> str | None:
    if not pod.managed and policy.unmanaged == "leave":
        return "left by policy: no controller would start it again"
    if pod.empty_dir and policy.empty_dir == "leave":
        return "left by policy: its emptyDir would be lost"
    return None


def _stays(pod: Pod, policy: DrainPolicy, now: datetime) -> str | None:
    """Return why a pod is never asked, whatever the hour; None for one that may be.

    A second eviction of a pod that is ending is accepted, and can only shorten its grace (tried).
    """
    if pod.leaving_at is None:
        return _left_by_policy(pod, policy)
    until = f"{pod.leaving_at:%H:%M:%S}Z"
    if not _stuck(pod, now):
        return f"ending, until {until}"
    held = f", finalizers {', '.join(pod.finalizers)}" if pod.finalizers else ""
    return f"should have ended by {until} and still runs{held}"


def _tier_needs(pods: Sequence[Pod], budgets: Iterable[Budget]) -> float:
    """Return the seconds for pods that are asked together: the longest grace, or the rounds that a budget makes of it."""
    found = [max(pod.grace for pod in pods)]
    for budget in budgets:
        if covered := [pod.grace for pod in pods if budget.covers(pod)]:
            rounds = ceil(len(covered) / max(1, budget.allowed or 0))
            found.append(rounds * max(covered) + (rounds - 1) * REPLACED)
    return max(found) + SETTLE


def _needs(pods: Sequence[Pod], budgets: Sequence[Budget]) -> float:
    """Return the seconds for both tiers: the critical pods go when the others are gone."""
    tiers = [[pod for pod in pods if (pod.priority >= CRITICAL) is critical] for critical in (False, True)]
    return sum(_tier_needs(tier, budgets) for tier in tiers if tier)


def drain_needs(
    pods: Iterable[Pod], budgets: Sequence[Budget], policy: DrainPolicy, *, own: tuple[str, str] | None = None
) -> float:
    """Return the seconds that a drain of these pods takes if nothing holds it up; 0 where nothing has to go."""
    work = [pod for pod in pods if works(pod, own)]
    return _needs([pod for pod in work if pod.leaving_at or _left_by_policy(pod, policy) is None], budgets)


def _until_short(work: Iterable[Pod], budgets: Sequence[Budget], policy: DrainPolicy, moment: _Moment) -> float | None:
    """Return the seconds for which the critical pods wait: 0 or less for no longer, None for as long as others are there.

    Nobody waits for what the policy leaves alone, or for what is stuck.
    """
    coming = [pod for pod in work if not _stuck(pod, moment.now)]
    going = [pod for pod in coming if pod.leaving_at or _left_by_policy(pod, policy) is None]
    if all(pod.priority >= CRITICAL for pod in going):
        return 0.0
    return None if moment.left is None else moment.left - _needs(going, budgets)


def _wait(attempt: Attempt | None, moment: _Moment) -> float:
    """Return the seconds to leave a pod alone after the last attempt; 0 or less for none."""
    if attempt is None:
        return 0.0
    if attempt.refused is None:
        waits = UNSEEN
    elif not moment.deleting:
        waits = moment.retry_after
    else:
        waits = RETRY_DELETE if attempt.delete else 0.0  # a budget that refused has no say in a deletion
    return attempt.at + waits - moment.instant


def _must_wait(
    pod: Pod, attempt: Attempt | None, moment: _Moment, short: float | None
) -> tuple[str, float | None] | None:
    """Return why a pod is not asked now and the seconds for which this holds; None for one that is.

    Args:
        short: as `_until_short` has it.
    """
    again = _wait(attempt, moment)
    if moment.over or again > 0:
        if attempt is not None and attempt.refused is not None:
            return f"refused: {attempt.refused}", again
        return ("time is up" if moment.over else "was asked to leave"), again
    if pod.priority >= CRITICAL and (short is None or short > 0):
        return "waits until the less important pods are gone", short
    return None


def _asking(pod: Pod, moment: _Moment) -> Asking:
    soon = moment.left is not None and moment.left < pod.grace
    return Asking(pod=pod, grace=max(1, int(moment.left or 0)) if soon else None, delete=moment.deleting)


def _pause(moment: _Moment, policy: DrainPolicy, waits: Iterable[float]) -> float:
    """Return the seconds until time alone changes something, at most the usual pause between two looks."""
    found = [LOOK, *waits]
    if moment.left is not None:
        found += [moment.left] + ([LOOK_LATE] if 0 < moment.left <= LATE else [])
        found += [moment.left - policy.delete_before] if policy.on_deadline == "delete" else []
    return min(seconds for seconds in found if seconds > 0)


def drain_step(
    pods: Iterable[Pod],
    budgets: Sequence[Budget],
    tried: Mapping[str, Attempt],
    *,
    now: datetime,
    instant: float,
    deadline: datetime | None,
    policy: DrainPolicy,
    own: tuple[str, str] | None = None,
    retry_after: float = 5.0,
    at_most: int = 10,
) -> DrainStep:
    """Choose whom to ask to leave now: pods without a budget first, then the least important, critical ones last.

    Args:
        budgets: as far as they are known; they only say who comes first and how long it takes.
        tried: the last attempt by pod uid.
        now: UTC, by the clock in which the deadline is told.
        instant: monotonic seconds, as in `tried`.
        deadline: None for no deadline.
        own: namespace and name of the pod that we run in.
        retry_after: seconds to leave a pod alone after a refusal; kubectl waits 5.
        at_most: how many to ask in one step, so that news is looked at in between.
    """
    moment = _moment(now, instant, deadline, policy, retry_after)
    work = [pod for pod in pods if works(pod, own)]
    stay = [Left(pod, why) for pod in work if (why := _stays(pod, policy, now)) is not None]
    going = sorted(
        (pod for pod in work if _stays(pod, policy, now) is None),
        key=lambda pod: (pod.priority >= CRITICAL, bool(budgets_of(pod, budgets)), pod.priority),
    )
    short = _until_short(work, budgets, policy, moment)
    waiting = [(pod, _must_wait(pod, tried.get(pod.uid), moment, short)) for pod in going]
    free = [pod for pod, found in waiting if found is None]
    queue = [Left(pod, "waits its turn") for pod in free[at_most:]]
    left = (*queue, *(Left(pod, found[0]) for pod, found in waiting if found), *stay)
    return DrainStep(
        asks=tuple(_asking(pod, moment) for pod in free[:at_most]),
        left=left,
        out_of_time=moment.over and bool(left),
        pause=0.0 if queue else _pause(moment, policy, [found[1] or 0.0 for _, found in waiting if found]),
    )
