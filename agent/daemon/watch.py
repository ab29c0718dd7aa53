"""What every daemon has, with a node or without: pollers, a board, probes, facts for others, and an end by a signal."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from agent.clients.imds import DEADLINE
from agent.core.health import Health, health
from agent.daemon.board import Board
from agent.daemon.clock import Clock
from agent.daemon.metrics import Ages, Metrics
from agent.daemon.partners import imds_client
from agent.daemon.pollers import EventsPoller, InstancePoller
from agent.daemon.probes import Probes
from agent.settings import unknown_variables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from agent.daemon.facts_server import FactsServer
    from agent.settings import Settings


class Stopped(BaseException):
    """A signal asked us to leave; not an Exception, so that nothing on the way catches it."""


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise Stopped


def heed_signals() -> None:
    """Raise Stopped in the main thread from now on when a signal asks us to leave."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)


def new_board(settings: Settings, now: float, *, loop_at_most: float, needed: tuple[str, ...]) -> Board:
    """Return an empty board with the longest silence that each loop may keep.

    Args:
        loop_at_most: seconds between two turns of the main thread.
        needed: the partners whose first answer makes the agent ready.
    """
    at_most = {
        "instance": max(settings.instance_interval, settings.confirm_interval) * 1.2 + DEADLINE + 30.0,
        "events": settings.first_events_timeout + settings.imds_connect_timeout + 2 * settings.events_interval + 10.0,
        "loop": loop_at_most,
    }
    return Board(started=now, at_most=at_most, needed=needed, events_on=settings.events)


def give_back_memory() -> None:
    """Return to the system what start-up no longer needs: 0.4 MiB, and 3 MiB where bytecode had to be compiled."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; musl has none
    if trim is not None:
        trim(0)


class Watch:
    """One process's threads, ports and connection to IMDS."""

    def __init__(self, settings: Settings, log: Any, *, loop_at_most: float, needed: tuple[str, ...]) -> None:
        """Take the ports; nothing is asked yet.

        Raises:
            AddressTaken: the probe port is taken, since another agent runs, or the one of facts.
        """
        self._settings, self._log = settings, log
        self.metrics = Metrics()
        self.board = new_board(settings, time.monotonic(), loop_at_most=loop_at_most, needed=needed)
        self.metrics.registry.register(Ages(self._ages))
        self.clock = Clock(monotonic=time.monotonic, utc=lambda: datetime.now(timezone.utc))
        self._probes = self._listen()
        self._facts = self._tell_facts()
        self.imds = imds_client(settings, self.metrics)

    def _listen(self) -> Probes | None:
        if self._settings.probe_address == "off":
            return None
        return Probes(self._settings.probe_address, verdict=self._verdict, registry=self.metrics.registry)

    def _tell_facts(self) -> FactsServer | None:
        if self._settings.facts_listen == "off":
            return None
        from agent.daemon.facts_server import FactsServer  # noqa: PLC0415 - most agents are never asked

        return FactsServer.of(self._settings.facts_listen, self.board, self._settings.rules().events, self.clock)

    def _verdict(self) -> Health:
        return health(self.board.signs(), time.monotonic())

    def _ages(self) -> dict[str, float | None]:
        now = time.monotonic()
        answers = dict(self.board.signs().answers)
        if not self.board.events_wanted.is_set():  # nobody asks, so it would grow for ever
            answers.pop("events", None)
        return {partner: None if instant is None else now - instant for partner, instant in answers.items()}

    def start(self) -> None:
        """Let both pollers look, after a word on what nobody understood of the environment."""
        if unknown := unknown_variables(os.environ):
            self._log.warning("settings.passed_over", variables=unknown)
        InstancePoller(
            self.imds,
            self.board,
            self._log,
            interval=self._settings.instance_interval,
            confirm=self._settings.confirm_interval,
            clock=time.monotonic,
            changed=self.metrics.user_data_changes.inc,
        ).start()
        EventsPoller(
            self.imds, self.board, self._log, interval=self._settings.events_interval, clock=time.monotonic
        ).start()

    @contextmanager
    def until_stopped(self, **said: Any) -> Iterator[None]:
        """Let a signal end the block, and say so; then give back the ports."""
        heed_signals()
        try:
            yield
        except Stopped:
            self._log.info("agent.stopped", **said)
        finally:
            self.board.stopping.set()
            for server in (self._probes, self._facts):
                if server:
                    server.close()
