"""A scenario being told: which of its steps are due, and what they do to a VM and its events."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.emulator import events
from agent.emulator.events import Event, Schedule
from agent.emulator.faults import Faults
from agent.emulator.steps import Approves, Fails, Moves, Restarts, Schedules, Step, Withdraws


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """A scenario under way.

    Args:
        steps: each event with its VMs.
        vm: whose story it is.
        begun: when it began, on the emulator's clock.
        told: how many of its steps are done.
        event_ids: one for each step, used by those that publish an event.
    """

    steps: tuple[Step, ...]
    vm: str
    begun: float
    event_ids: tuple[str, ...]
    told: int = 0


def next_step(telling: Telling, now: float) -> tuple[Step, float] | None:
    """Return the next step and when it was due, if its time has come."""
    if telling.told >= len(telling.steps):
        return None
    step = telling.steps[telling.told]
    due = telling.begun + step.at
    return (step, due) if due <= now else None


def after(telling: Telling) -> Telling:
    """Return the telling with one more step done."""
    return replace(telling, told=telling.told + 1)


def published_by(step: Schedules, telling: Telling, names: Sequence[str], due: float) -> Event:
    """Return the event of a step for the VMs of these names.

    One for a whole group concerns more than one VM even where the group has no other: then one that is not here.
    """
    resources = tuple(names) if len(names) > 1 or step.whom != "group" else (*names, f"{names[0]}-neighbour")
    not_before = None if step.notice is None else due + step.notice
    event = replace(step.event, event_id=telling.event_ids[telling.told], resources=resources, not_before=not_before)
    return events.begun(event, due) if step.notice is None else event


def changed_by(step: Step, telling: Telling, schedule: Schedule, due: float) -> Schedule:
    """Return the schedule as a step leaves it that publishes nothing."""
    waiting = [each for each in schedule.events if each.event_id in telling.event_ids and each.status == "Scheduled"]
    match step:
        case Withdraws():
            for each in waiting:
                schedule = events.removed(schedule, each.event_id)
        case Moves():
            for each in waiting:
                schedule = events.replaced(schedule, replace(each, not_before=due + step.notice))
        case Approves():
            return events.approved(schedule, [each.event_id for each in waiting], due)
        case Restarts() if any(each.event_id in telling.event_ids for each in schedule.events):
            return replace(schedule, incarnation=1)
        case _:
            pass
    return schedule


def failing_by(step: Step, faults: Faults, due: float) -> Faults:
    """Return the faults as a step leaves them."""
    if isinstance(step, Fails):
        return (*faults, replace(step.fault, until=due + step.lasts))
    return faults
