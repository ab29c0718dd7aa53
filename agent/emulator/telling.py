"""A scenario being told: which of its steps are due, and what they do to a VM and its events."""

from dataclasses import dataclass, replace

from agent.emulator import events
from agent.emulator.events import Schedule
from agent.emulator.faults import Faults
from agent.emulator.scenarios import Fails, Scenario, Schedules, Step, Withdraws


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """A scenario under way.

    Args:
        vm: whose story it is.
        begun: when it began, on the emulator's clock.
        told: how many of its steps are done.
        event_ids: one for each step, used by those that publish an event.
    """

    scenario: Scenario
    vm: str
    begun: float
    event_ids: tuple[str, ...]
    told: int = 0


def next_step(telling: Telling, now: float) -> tuple[Step, float] | None:
    """Return the next step and when it was due, if its time has come."""
    if telling.told >= len(telling.scenario.steps):
        return None
    step = telling.scenario.steps[telling.told]
    due = telling.begun + step.at
    return (step, due) if due <= now else None


def after(telling: Telling) -> Telling:
    """Return the telling with one more step done."""
    return replace(telling, told=telling.told + 1)


def scheduled_by(step: Step, telling: Telling, schedule: Schedule, own_name: str, due: float) -> Schedule:
    """Return the schedule as a step leaves it."""
    if isinstance(step, Schedules):
        not_before = None if step.notice is None else due + step.notice
        event_id = telling.event_ids[telling.told]
        event = replace(step.event, event_id=event_id, resources=(own_name,), not_before=not_before)
        return events.added(schedule, events.begun(event, due) if step.notice is None else event)
    if isinstance(step, Withdraws):
        for each in schedule.events:
            if each.event_id in telling.event_ids and each.status == "Scheduled":
                schedule = events.removed(schedule, each.event_id)
    return schedule


def failing_by(step: Step, faults: Faults, due: float) -> Faults:
    """Return the faults as a step leaves them."""
    if isinstance(step, Fails):
        return (*faults, replace(step.fault, until=due + step.lasts))
    return faults
