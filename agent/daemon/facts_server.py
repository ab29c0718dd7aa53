"""`GET /facts`: what this VM is and which events it has, for `hdfs-sync` elsewhere. Off by default; it can only be read."""

from __future__ import annotations

import json
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

from agent.core.facts_document import facts_text, host_facts, told_events
from agent.daemon.listening import Listener, listen

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from agent.core.policy import Policy
    from agent.daemon.board import Board
    from agent.daemon.clock import Clock

Answer = tuple[int, str]  # status and JSON


def facts_answer(board: Board, policy: Policy, *, now: datetime, instant: float) -> Answer:
    """Return what is told now: the facts, or 503 and why not while IMDS has yet to answer.

    Args:
        now: UTC by our own clock.
        instant: monotonic seconds.
    """
    facts, answers = board.facts(), board.signs().answers
    if facts.sighting is None:
        return 503, json.dumps({"error": "IMDS has not answered yet"})
    instance = facts.sighting.instance
    asked = [answers.get(name) for name in (("events", "imds") if board.events_wanted.is_set() else ("imds",))]
    answered = next(at for at in asked if at is not None)
    told = host_facts(
        instance,
        complete=facts.sighting.settled,
        events=told_events(facts.mark, facts.hearing, instance.name, policy, now + timedelta(seconds=facts.skew)),
        age=max(0.0, instant - answered),
    )
    return 200, facts_text(told)


class FactsServer(Listener):
    """Answers one path, in threads of its own."""

    def __init__(self, address: str, answer: Callable[[], Answer]) -> None:
        """Take the port.

        Args:
            address: HOST:PORT or [IPv6]:PORT; port 0 takes a free one.
            answer: asked at each request.

        Raises:
            AddressTaken: another process has it, or it is no address of this host.
        """
        super().__init__(listen(address, _handler(answer)), "facts")

    @classmethod
    def of(cls, address: str, board: Board, policy: Policy, clock: Clock) -> FactsServer:
        """Take the port and tell what stands on the board."""
        return cls(address, lambda: facts_answer(board, policy, now=clock.utc(), instant=clock.monotonic()))


def _handler(answer: Callable[[], Answer]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 5.0  # seconds for each part of a request

        def do_GET(self) -> None:
            """Answer the one path there is."""
            if self.path.partition("?")[0] == "/facts":
                self._answer(*answer())
            else:
                self._answer(404, json.dumps({"error": "no such path; there is /facts"}))

        do_HEAD = do_GET  # noqa: N815 - http.server's own names, as below

        def do_POST(self) -> None:
            """Refuse: this is for reading only."""
            self._answer(405, json.dumps({"error": "GET and HEAD only"}))

        do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_POST  # noqa: N815

        def _answer(self, status: int, text: str) -> None:
            body = f"{text}\n".encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            if status == 405:
                self.send_header("Allow", "GET, HEAD")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def version_string(self) -> str:
            """Name no version of anything."""
            return "imds-agent"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Log no request."""

    return Handler
