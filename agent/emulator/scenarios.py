"""Timed stories as data: what happens to a VM, at which second.

Notice, durations and times from start to removal follow Azure's documentation and its official mock's catalogue
(medians of July 2025); each can be told faster.
"""

from dataclasses import dataclass

from agent.emulator.events import Event
from agent.emulator.faults import Fault
from agent.emulator.steps import Approves, Fails, Moves, Restarts, Schedules, Step, Whom, Withdraws

QUIET = 5.0  # seconds before anything happens, so that a watcher sees the calm first
DAY = 86_400.0


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


def _one(
    told: str, event: Event, notice: float | None, *more: Step, whom: Whom = "own", apart: float = 0.0
) -> Scenario:
    """Return a story of one event, or of several of its kind, and what else happens."""
    first = Schedules(at=QUIET, event=event, notice=notice, whom=whom, apart=apart)
    return Scenario(told=told, steps=(first, *more))


_LIVE_MIGRATION = "Virtual machine is being paused because of a memory-preserving Live Migration operation."
_RESTART = "Virtual machine is going to be restarted as requested by authorized user."
_REPAIR = "Host server is undergoing an emergency repair."
_MAINTENANCE = "Host server is undergoing maintenance."
_FAILURE = "Virtual machine has encountered a failure."
_REDEPLOYMENT = "Virtual machine is going to be redeployed as requested by authorized user."

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
    # What a fleet, a drain and an approval meet.
    "user-reboot": _one(
        "A user restarts the VM: nothing happens before somebody approves, or for 15 minutes; started for 5.",
        _event("Reboot", _RESTART, -1, 300, "User"),
        900,
    ),
    "user-redeploy": _one(
        "A user moves the VM to another host: nothing happens before somebody approves, or for 10 minutes; started for 10.",
        _event("Redeploy", _REDEPLOYMENT, -1, 600, "User"),
        600,
    ),
    "hardware-prediction": _one(
        "The host is going to fail: the VM will be moved in 7 days, or as soon as somebody approves.",
        _event("Redeploy", "", -1, 600),
        7 * DAY,
    ),
    "multi-vm": _one(
        "Maintenance restarts the whole placement group in one event; a VM alone shares it with one that is not here.",
        _event("Reboot", _MAINTENANCE, -1, 300),
        900,
        whom="group",
    ),
    "preempt-burst": _one(
        "All VMs of a placement group of spot VMs are evicted, one a second, with 30 seconds of notice each.",
        _event("Preempt", "", -1, 60),
        30,
        whom="each",
        apart=1,
    ),
    "maintenance-wave": _one(
        "Maintenance restarts the fleet, one update domain after the other: 15 minutes of notice, started for 10.",
        _event("Reboot", _MAINTENANCE, -1, 600),
        900,
        whom="update-domain",
        apart=1560,
    ),
    "freeze-wave": _one(
        "Maintenance freezes the fleet for 9 seconds, one update domain after the other: 15 minutes of notice, started for 10.",
        _event("Freeze", _MAINTENANCE, 9, 600),
        900,
        whom="update-domain",
        apart=1560,
    ),
    "approved-by-others": _one(
        "Maintenance is announced 15 minutes ahead, and after one minute somebody else approves it.",
        _event("Reboot", _MAINTENANCE, -1, 300),
        900,
        Approves(at=QUIET + 60),
    ),
    "reschedules": _one(
        "Maintenance 15 minutes ahead is put off to 30 minutes after 5, and brought forward to 2 minutes after 10 more.",
        _event("Reboot", _MAINTENANCE, -1, 300),
        900,
        Moves(at=QUIET + 300, notice=1800),
        Moves(at=QUIET + 900, notice=120),
    ),
    "overlapping": Scenario(
        told="A freeze and a restart overlap: the first is over while the second has only begun.",
        steps=(
            Schedules(at=QUIET, event=_event("Freeze", _LIVE_MIGRATION, 5, 300), notice=900),
            Schedules(at=QUIET + 240, event=_event("Reboot", _RESTART, -1, 300, "User"), notice=900),
        ),
    ),
    "incarnation-restarts": _one(
        "The service restarts and counts from 1 again, once before the announced restart begins and once after.",
        _event("Reboot", _MAINTENANCE, -1, 300),
        900,
        Restarts(at=QUIET + 300),
        Restarts(at=QUIET + 1000),
    ),
}
