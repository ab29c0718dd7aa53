"""Timed stories as data: what happens to a VM, at which second.

Notice, durations and times from start to removal follow Azure's documentation and its official mock's catalogue
(medians of July 2025); each can be told faster.
"""

from dataclasses import dataclass, replace
from typing import TypeAlias

from agent.emulator.events import Event
from agent.emulator.faults import Fault

QUIET = 5.0  # seconds before anything happens, so that a watcher sees the calm first


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedules:
    """An event is published.

    Args:
        notice: seconds until NotBefore; None means that it is Started at once.
    """

    at: float
    event: Event
    notice: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraws:
    """The story's events that have not started are cancelled."""

    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fails:
    """The service has this fault for some seconds."""

    at: float
    fault: Fault
    lasts: float


Step: TypeAlias = Schedules | Withdraws | Fails


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A story: one sentence and its steps, in order of time."""

    told: str
    steps: tuple[Step, ...]


def _event(event_type: str, description: str, duration: int, remove_after: float, source: str = "Platform") -> Event:
    return Event(
        event_id="",
        event_type=event_type,
        description=description,
        duration=duration,
        remove_after=remove_after,
        source=source,
    )


def _one(told: str, event: Event, notice: float | None) -> Scenario:
    return Scenario(told=told, steps=(Schedules(at=QUIET, event=event, notice=notice),))


_LIVE_MIGRATION = "Virtual machine is being paused because of a memory-preserving Live Migration operation."
_RESTART = "Virtual machine is going to be restarted as requested by authorized user."
_REPAIR = "Host server is undergoing an emergency repair."
_MAINTENANCE = "Host server is undergoing maintenance."
_FAILURE = "Virtual machine has encountered a failure."

SCENARIOS: dict[str, Scenario] = {
    "reboot": _one(
        "A user restarts the VM: 15 minutes of notice, started for 5, gone.",
        _event("Reboot", _RESTART, -1, 300, "User"),
        900,
    ),
    "live-migration": _one(
        "The platform moves the VM: a freeze of 5 seconds, 15 minutes of notice, started for 5.",
        _event("Freeze", _LIVE_MIGRATION, 5, 300),
        900,
    ),
    "preempt": _one("A spot VM is evicted: 30 seconds of notice.", _event("Preempt", "", -1, 60), 30),
    "redeploy": _one(
        "The platform moves the VM off a broken host: 10 minutes of notice, started for 10.",
        _event("Redeploy", _REPAIR, -1, 600),
        600,
    ),
    "terminate": _one("A scale set deletes the VM: 5 minutes of notice.", _event("Terminate", "", -1, 60, "User"), 300),
    "cancelled-maintenance": Scenario(
        told="Maintenance is announced 15 minutes ahead and called off after 8.",
        steps=(
            Schedules(at=QUIET, event=_event("Freeze", _MAINTENANCE, 9, 600), notice=900),
            Withdraws(at=QUIET + 480),
        ),
    ),
    "host-failure": _one(
        "The host fails without notice: the first that is seen is Started; gone after 10 minutes.",
        _event("Reboot", _FAILURE, -1, 600),
        None,
    ),
    "flapping-service": Scenario(
        told="For two minutes the service fails in one way after another, with good spells between.",
        steps=(
            Fails(at=5, lasts=10, fault=Fault(kind="status", status=503)),
            Fails(at=20, lasts=10, fault=Fault(kind="status", status=429)),
            Fails(at=35, lasts=10, fault=Fault(kind="reset")),
            Fails(at=50, lasts=10, fault=Fault(kind="partial")),
            Fails(at=65, lasts=10, fault=Fault(kind="html")),
            Fails(at=80, lasts=10, fault=Fault(kind="status", status=410)),
            Fails(at=95, lasts=10, fault=Fault(kind="truncate")),
            Fails(at=110, lasts=10, fault=Fault(kind="hang")),
        ),
    ),
}


def paced(scenario: Scenario, speed: float) -> Scenario:
    """Return the story told faster (above 1) or slower: all times divided by the speed; durations said stay."""
    return replace(scenario, steps=tuple(_paced_step(step, speed) for step in scenario.steps))


def _paced_step(step: Step, speed: float) -> Step:
    at = step.at / speed
    if isinstance(step, Schedules):
        remove_after = None if step.event.remove_after is None else step.event.remove_after / speed
        notice = None if step.notice is None else step.notice / speed
        return replace(step, at=at, notice=notice, event=replace(step.event, remove_after=remove_after))
    if isinstance(step, Fails):
        return replace(step, at=at, lasts=step.lasts / speed)
    return replace(step, at=at)
