"""What the daemon's tests share: a log that is read as JSON, a clock that is set, and waiting for what comes."""

import io
import json
import time
from collections.abc import Callable
from typing import Any

from agent.log import set_up

PATIENCE = 30.0  # seconds; nothing here takes a tenth of it


class Log:
    """The daemon's own logger writing JSON into memory."""

    def __init__(self, level: str = "debug", form: str = "json") -> None:
        self.stream = io.StringIO()
        self.logger = set_up(level=level, form=form, stream=self.stream)

    @property
    def said(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def names(self) -> list[str]:
        return [entry["event"] for entry in self.said]

    def forget(self) -> None:
        self.stream.truncate(0)
        self.stream.seek(0)


class Hand:
    """A clock that stands until it is set."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def until(found: Callable[[], Any], what: str) -> Any:
    """Poll until there is something true, and return it."""
    last = time.monotonic() + PATIENCE
    while not (value := found()):
        assert time.monotonic() < last, f"did not come: {what}"
        time.sleep(0.01)
    return value
