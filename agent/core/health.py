"""Whether the agent is alive and whether it is of use: ages of attempts and answers, in; two verdicts, out.

Alive means that our own loops still finish attempts, good or bad, so that nobody else's outage makes the kubelet restart
every agent. Instants are monotonic seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

FIRST = 30.0  # seconds allowed for a loop's first attempt to begin


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """One loop's sign of life.

    Attributes:
        attempted: when its last attempt finished; None before the first.
        at_most: seconds between two finished attempts, the slowest time-out included.
    """

    attempted: float | None = None
    at_most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """All that health is judged by.

    Attributes:
        answers: when each partner last gave a good answer, by name; None for never.
        needed: the partners whose first answer makes the agent ready.
    """

    started: float
    pulses: Mapping[str, Pulse] = field(default_factory=dict)
    answers: Mapping[str, float | None] = field(default_factory=dict)
    needed: tuple[str, ...] = ("imds", "node")


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The two verdicts, each with its reasons; an empty tuple is good news."""

    stuck: tuple[str, ...]
    not_ready: tuple[str, ...]


def health(signs: Signs, now: float) -> Health:
    """Judge the loops by their attempts and readiness by first answers."""
    stuck = []
    for name, pulse in sorted(signs.pulses.items()):
        since = now - (signs.started if pulse.attempted is None else pulse.attempted)
        at_most = pulse.at_most + (FIRST if pulse.attempted is None else 0.0)
        if since > at_most:
            stuck.append(f"{name}: no attempt finished for {since:.0f} s, at most {at_most:.0f} s expected")
    waiting = tuple(f"{name}: no good answer yet" for name in signs.needed if signs.answers.get(name) is None)
    return Health(stuck=tuple(stuck), not_ready=waiting)
