"""What the threads tell each other: immutable values, replaced whole, and one bell for the loop."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.core.health import Pulse, Signs
from agent.core.hearing import Hearing

if TYPE_CHECKING:
    from agent.core.mark import Mark
    from agent.core.sighting import Sighting


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the pollers know at one moment.

    Attributes:
        skew: seconds by which the service's clock was ahead of ours when it last said so.
        mark: what the loop says of the VM's events, an empty one for nothing; None until it has looked.
    """

    sighting: Sighting | None
    hearing: Hearing
    skew: float = 0.0
    mark: Mark | None = None


class Board:
    """The one place that all threads share."""

    def __init__(
        self, *, started: float, at_most: dict[str, float], needed: tuple[str, ...], events_on: bool = True
    ) -> None:
        """Begin with nothing known.

        Args:
            events_on: whether events are asked for even without a mark on the node.
            started: monotonic seconds.
            at_most: seconds between two finished attempts of each loop, its slowest time-out included.
            needed: the partners whose first answer makes the agent ready.
        """
        self._lock = threading.Lock()
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._sighting: Sighting | None = None
        self._hearing = Hearing()
        self._skew = 0.0
        self._mark: Mark | None = None
        self.started = started
        self._at_most = at_most
        self._needed = needed
        self._attempts: dict[str, float] = {}
        self._answers: dict[str, float | None] = dict.fromkeys(needed)
        self._events_on = events_on
        self.events_wanted = threading.Event()
        self.events_wanted_by_mark(marked=False)
        self.stopping = threading.Event()

    def events_wanted_by_mark(self, *, marked: bool) -> None:
        """Ask for events while they are switched on, and as long as a mark on the node must be tended."""
        if self._events_on or marked:
            self.events_wanted.set()
        else:
            self.events_wanted.clear()

    def facts(self) -> Facts:
        """Return what is known now."""
        with self._lock:
            return Facts(sighting=self._sighting, hearing=self._hearing, skew=self._skew, mark=self._mark)

    def put_skew(self, seconds: float) -> None:
        """Note by how much the service's clock is ahead of ours."""
        with self._lock:
            self._skew = seconds

    def put_mark(self, mark: Mark) -> None:
        """Note what stands about the VM's events, for those who ask this agent; it rings no bell."""
        with self._lock:
            self._mark = mark

    def put_sighting(self, sighting: Sighting) -> None:
        """Replace what is known of the VM; rings if it is new."""
        with self._lock:
            changed = sighting != self._sighting
            self._sighting = sighting
        if changed:
            self._bell.put(None)

    def put_hearing(self, hearing: Hearing) -> None:
        """Replace what is known of events; rings if their document changed."""
        with self._lock:
            changed = hearing.document != self._hearing.document
            self._hearing = hearing
        if changed:
            self._bell.put(None)

    def ring(self) -> None:
        """Wake the loop: something that it waits for has come."""
        self._bell.put(None)

    def wait(self, seconds: float) -> None:
        """Wait for a ring, at most so long; rings that came together count once."""
        try:
            self._bell.get(timeout=max(0.0, seconds))
            while True:
                self._bell.get_nowait()
        except queue.Empty:
            pass

    def attempted(self, loop: str, now: float) -> None:
        """Note that a loop finished an attempt, good or bad."""
        with self._lock:
            self._attempts[loop] = now

    def answered(self, partner: str, now: float) -> None:
        """Note that a partner gave a good answer."""
        with self._lock:
            self._answers[partner] = now

    def signs(self) -> Signs:
        """Return all that health is judged by."""
        with self._lock:
            pulses = {name: Pulse(attempted=self._attempts.get(name), at_most=m) for name, m in self._at_most.items()}
            return Signs(started=self.started, pulses=pulses, answers=dict(self._answers), needed=self._needed)
