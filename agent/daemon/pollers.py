"""Two threads that look at IMDS and say what changed; they decide nothing.

A slow IMDS cannot stall what the loop does, and the first events call, which may take two minutes, cannot delay labels.
"""

from __future__ import annotations

import random
import threading
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from agent.clients.imds_errors import ImdsError, ImdsRefused
from agent.core.hearing import heard
from agent.core.sighting import Sighting, sighted
from agent.core.user_data import UserData, followed
from agent.log import say_fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.clients.imds import Imds
    from agent.core.instance import Instance
    from agent.daemon.board import Board

SKEW = 5.0  # seconds; below that the clocks agree
SAY_AGAIN = 300.0  # seconds between two warnings about the same trouble
EVENTS_BACKOFF = 2.0  # seconds at most between two polls of events: a Preempt gives thirty


class Trouble:
    """One partner's failures, said when they begin, now and then while they last, and when they end."""

    def __init__(self, log: Any, clock: Callable[[], float], what: str) -> None:
        """Begin well."""
        self._log = log
        self._clock = clock
        self._what = what
        self._since: float | None = None
        self._said = 0.0

    def failed(self, error: Exception) -> None:
        """Say it, unless it was said lately."""
        now = self._clock()
        if self._since is None:
            self._since = now
        elif now - self._said < SAY_AGAIN:
            return
        self._said = now
        if not isinstance(error, ImdsError):
            say_fault(self._log, self._what, error)
            return
        level = self._log.error if isinstance(error, ImdsRefused) else self._log.warning
        level("imds.failed", what=self._what, error=str(error), seconds=round(now - self._since))

    def ended(self) -> None:
        """Say that it is over, if there was any."""
        if self._since is not None:
            self._log.info("imds.recovered", what=self._what, seconds=round(self._clock() - self._since))
            self._since = None


def utc_now() -> datetime:
    """Return the node's own wall clock."""
    return datetime.now(timezone.utc)


def skew(seconds: float) -> float:
    """Return the skew that counts: `Date` has whole seconds and is a moment old, so a little is none."""
    return seconds if abs(seconds) > SKEW else 0.0


def instance_pause(sighting: Sighting | None, *, interval: float, confirm: float, chance: float) -> float:
    """Return the seconds until the next look at the instance, a fifth more or less so that a fleet does not march in step.

    Soon while nothing is settled: a change of the VM waits for its third agreeing answer.
    """
    return (interval if sighting is not None and sighting.settled else confirm) * (0.8 + 0.4 * chance)


def events_pause(interval: float, *, good: bool) -> float:
    """Return the seconds between the beginnings of two polls: twice the interval after a failure, within bounds."""
    return interval if good else min(max(interval, EVENTS_BACKOFF), 2 * interval)


class InstancePoller(threading.Thread):
    """Looks at the VM's metadata every few minutes."""

    def __init__(
        self,
        imds: Imds,
        board: Board,
        log: Any,
        *,
        interval: float,
        confirm: float,
        clock: Callable[[], float],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare to look; times are in seconds.

        Args:
            changed: told that userData changed, for counting.
        """
        super().__init__(name="instance", daemon=True)
        self._imds = imds
        self._board = board
        self._log = log
        self._interval, self._confirm = interval, confirm
        self._clock = clock
        self._trouble = Trouble(log, clock, "instance")
        self._changed = changed
        self._sighting: Sighting | None = None
        self._user_data: UserData | None = None

    def run(self) -> None:
        """Look until told to stop."""
        while not self._board.stopping.is_set():
            self.look()
            chance = random.random()  # noqa: S311
            self._board.stopping.wait(
                instance_pause(self._sighting, interval=self._interval, confirm=self._confirm, chance=chance)
            )

    def look(self) -> None:
        """Look once and tell the board."""
        try:
            answer = self._imds.instance()
        except Exception as error:  # noqa: BLE001 - a net: a thread that died would leave us blind
            self._trouble.failed(error)
        else:
            self._trouble.ended()
            before, self._sighting = self._sighting, sighted(self._sighting, answer.value)
            self._follow_user_data(answer.value)
            now = self._sighting.instance
            if before is None or replace(before.instance, user_data=now.user_data) != now:
                placed = answer.value.placement
                self._log.info(
                    "instance.changed" if before else "instance.seen",
                    name=answer.value.name,
                    zone=placed.zone,
                    fault_domain=placed.fault_domain,
                    update_domain=placed.update_domain,
                    tags_from=answer.value.tags_from,
                    complete=self._sighting.agreed > 0,
                )
            self._board.answered("imds", self._clock())
            self._board.put_sighting(self._sighting)
        self._board.attempted("instance", self._clock())

    def _follow_user_data(self, instance: Instance) -> None:
        """Say that userData changed; what became of it is told by `imds-agent custom-data`."""
        before, self._user_data = self._user_data, followed(self._user_data, instance)
        if before and self._user_data and before.changes != self._user_data.changes:
            self._log.info("userdata.changed", size=self._user_data.size, before=before.size)
            self._changed()


class EventsPoller(threading.Thread):
    """Looks at the scheduled events every second while anybody wants to know."""

    def __init__(
        self,
        imds: Imds,
        board: Board,
        log: Any,
        *,
        interval: float,
        clock: Callable[[], float],
        utc: Callable[[], datetime] = utc_now,
    ) -> None:
        """Prepare to look; times are in seconds."""
        super().__init__(name="events", daemon=True)
        self._utc = utc
        self._imds = imds
        self._board = board
        self._log = log
        self._interval = interval
        self._clock = clock
        self._trouble = Trouble(log, clock, "events")
        self._unreadable: tuple[str, ...] = ()

    def run(self) -> None:
        """Look until told to stop; polls begin `interval` apart, however long an answer takes."""
        while not self._board.stopping.is_set():
            begun = self._clock()
            good = self.look() if self._board.events_wanted.is_set() else self._rest()
            pause = events_pause(self._interval, good=good)
            self._board.stopping.wait(max(0.0, begun + pause - self._clock()))

    def _rest(self) -> bool:
        self._board.attempted("events", self._clock())
        return True

    def look(self) -> bool:
        """Look once and tell the board; returns whether the answer was good."""
        try:
            answer = self._imds.events()
        except Exception as error:  # noqa: BLE001 - a net: a thread that died would leave us blind
            self._trouble.failed(error)
            return False
        else:
            self._trouble.ended()
            now = self._clock()
            if answer.value.unreadable and answer.value.unreadable != self._unreadable:
                self._log.error("events.unreadable", error=list(answer.value.unreadable)[:5])
            self._unreadable = answer.value.unreadable
            # Where the service says no time, the node's own clock is as good as any.
            self._board.put_skew(skew((answer.date - self._utc()).total_seconds()) if answer.date else 0.0)
            self._board.answered("events", now)
            self._board.put_hearing(heard(self._board.facts().hearing, answer.value, now))
            return True
        finally:
            self._board.attempted("events", self._clock())
