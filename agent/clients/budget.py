"""How many requests may go to IMDS: the limit is 5 a second for a whole VM, and others on it ask, too."""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_WINDOW = 1.0  # seconds
_CAUTIOUS = 60.0  # seconds of half the rate after a 429


class Budget:
    """At most so many requests in any second, whoever asks; shared by threads.

    Args:
        per_second: the first so many go at once.
        clock: monotonic seconds.
        sleep: waits for seconds.
    """

    def __init__(self, per_second: int, *, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        if per_second < 1:
            raise ValueError(f"requests per second: expected at least 1, found {per_second}")
        self._gone: deque[float] = deque(maxlen=per_second)
        self._cautious_until = float("-inf")
        self._lock = Lock()
        self._clock = clock
        self._sleep = sleep

    def take(self) -> None:
        """Return when one more request may go."""
        while (wait := self._reserved()) > 0:
            self._sleep(wait)

    def halve(self) -> None:
        """Go at half the rate for a minute: others use this VM's share, too."""
        with self._lock:
            self._cautious_until = self._clock() + _CAUTIOUS

    def _reserved(self) -> float:
        """Count a request that may go now; else return the seconds until one may."""
        with self._lock:
            now = self._clock()
            window = 2 * _WINDOW if now < self._cautious_until else _WINDOW
            full = len(self._gone) == self._gone.maxlen
            wait = self._gone[0] + window - now if full else 0.0
            if wait <= 0:
                self._gone.append(now)
            return wait
