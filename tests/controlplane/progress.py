"""One line of progress: in place on a terminal, else a line now and then."""

import sys
import time
from typing import TextIO


class Progress:
    """Says on stderr what is going on, so that a build of minutes does not look like a hang."""

    def __init__(self, name: str, stream: TextIO | None = None) -> None:
        self.name = name
        self.stream = stream or sys.stderr
        self.terminal = self.stream.isatty()
        self.every = 5.0 if self.terminal else 20.0  # seconds between two heartbeats
        self.spoken = time.monotonic()
        self.open_line = False

    def line(self, text: str) -> None:
        """Print a line that stays."""
        self._print(("\r\033[K" if self.open_line else "") + f"{self.name}: {text}\n")
        self.open_line = False

    def beat(self, text: str) -> None:
        """Print a line that the next one may replace, if the last one is long enough ago."""
        if time.monotonic() - self.spoken < self.every:
            return
        if not self.terminal:
            self.line(text)
            return
        self._print(f"\r\033[K{self.name}: {text}")
        self.open_line = True

    def _print(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()
        self.spoken = time.monotonic()
