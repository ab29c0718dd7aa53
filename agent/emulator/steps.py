"""What a story is made of: steps, whom they concern, and how they are told faster."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from agent.emulator.events import Event
from agent.emulator.faults import Fault
from agent.emulator.fleet import Vm

# own: the VM that the story is told to. group: one event for its whole placement group. each: an event for each VM of
# the group. update-domain: an event for each update domain of each group of the fleet.
Whom: TypeAlias = Literal["own", "group", "each", "update-domain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedules:
    """An event is published, or several where it is for more than one VM or domain.

    Args:
        notice: seconds until NotBefore; None means that it is Started at once.
        apart: seconds between two of several events.
        vms: whom one event is for, by the emulator's names; () before a story begins.
    """

    at: float
    event: Event
    notice: float | None
    whom: Whom = "own"
    apart: float = 0.0
    vms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraws:
    """The story's events that have not started are cancelled."""

    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """The story's events that have not started get another NotBefore, so many seconds from then."""

    at: float
    notice: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Approves:
    """Somebody approves the story's events."""

    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarts:
    """The service forgets how often it counted: DocumentIncarnation is 1 again, the events stay."""

    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fails:
    """The service has this fault for some seconds."""

    at: float
    fault: Fault
    lasts: float


Step: TypeAlias = Schedules | Withdraws | Moves | Approves | Restarts | Fails


def paced(steps: Sequence[Step], speed: float) -> tuple[Step, ...]:
    """Return steps told faster (above 1) or slower: all times divided by the speed; durations said stay."""
    return tuple(_paced(step, speed) for step in steps)


def spread(steps: Sequence[Step], vm: Vm, fleet: Sequence[Vm]) -> tuple[Step, ...]:
    """Return steps in order of time in which each event has its VMs, as the fleet stands now.

    Args:
        vm: whom the story is told to.
    """
    found = [each for step in steps for each in (_spread(step, vm, fleet) if isinstance(step, Schedules) else [step])]
    return tuple(sorted(found, key=lambda step: step.at))


def _paced(step: Step, speed: float) -> Step:
    at = step.at / speed
    if isinstance(step, Schedules):
        remove_after = None if step.event.remove_after is None else step.event.remove_after / speed
        notice = None if step.notice is None else step.notice / speed
        event = replace(step.event, remove_after=remove_after)
        return replace(step, at=at, notice=notice, event=event, apart=step.apart / speed)
    if isinstance(step, Moves):
        return replace(step, at=at, notice=step.notice / speed)
    if isinstance(step, Fails):
        return replace(step, at=at, lasts=step.lasts / speed)
    return replace(step, at=at)


def _spread(step: Schedules, vm: Vm, fleet: Sequence[Vm]) -> list[Step]:
    group = [each.name for each in fleet if each.group == vm.group]
    match step.whom:
        case "own":
            return [replace(step, vms=(vm.name,))]
        case "group":
            return [replace(step, vms=tuple(group))]
        case "each":
            return [replace(step, at=step.at + turn * step.apart, vms=(name,)) for turn, name in enumerate(group)]
        case "update-domain":
            return _domain_by_domain(step, fleet)


def _domain_by_domain(step: Schedules, fleet: Sequence[Vm]) -> list[Step]:
    """Return an event for each group's part of each domain; the parts of one domain come together."""
    parts: dict[str, dict[str, list[str]]] = {}
    for vm in fleet:
        parts.setdefault(vm.update_domain, {}).setdefault(vm.group, []).append(vm.name)
    return [
        replace(step, at=step.at + turn * step.apart, vms=tuple(names))
        for turn, domain in enumerate(sorted(parts, key=lambda name: (len(name), name)))
        for names in parts[domain].values()
    ]
