"""Where the time comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Monotonic seconds for intervals, UTC for deadlines; never mixed: a VM that was paused wakes with its UTC jumped."""

    monotonic: Callable[[], float]
    utc: Callable[[], datetime]
