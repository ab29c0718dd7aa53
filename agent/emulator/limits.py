"""The rate limit: so many requests in any second, for each VM as a whole."""

from typing import TypeAlias

SECOND = 1.0

# When each request of the last second was let through, oldest first.
Window: TypeAlias = tuple[float, ...]


def admitted(window: Window, now: float, limit: int | None) -> tuple[Window, bool]:
    """Tell whether one more request may pass, and return the window with it; a refused one does not count.

    The limit is requests in any one second, 5 in Azure's documentation; None means no limit.
    """
    if limit is None:
        return (), True
    recent = tuple(at for at in window if at > now - SECOND)
    if len(recent) >= limit:
        return recent, False
    return (*recent, now), True
