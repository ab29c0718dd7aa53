"""`/healthz`, `/readyz` and `/metrics`; the port is also the lock that keeps a second agent off the host."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from agent.daemon.listening import Listener, listen

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.core.health import Health


class Probes(Listener):
    """An HTTP server for probes, in threads of its own."""

    def __init__(self, address: str, *, verdict: Callable[[], Health], registry: CollectorRegistry) -> None:
        """Take the port.

        Args:
            address: HOST:PORT or [IPv6]:PORT; port 0 takes a free one.
            verdict: asked at each probe.

        Raises:
            AddressTaken: another process has it, most likely a second agent; or it is no address of this host.
        """
        super().__init__(listen(address, _handler(verdict, registry)), "probes")


def _handler(verdict: Callable[[], Health], registry: CollectorRegistry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10.0  # seconds an idle prober may keep a thread

        def do_GET(self) -> None:
            """Answer one of the three paths."""
            path = self.path.partition("?")[0]
            if path == "/healthz":
                self._verdict(verdict().stuck)
            elif path == "/readyz":
                found = verdict()
                self._verdict(found.stuck + found.not_ready)
            elif path == "/metrics":
                self._answer(200, generate_latest(registry), CONTENT_TYPE_LATEST)
            else:
                self._answer(404, b"/healthz /readyz /metrics\n", "text/plain")

        def _verdict(self, reasons: tuple[str, ...]) -> None:
            body = "\n".join(reasons or ("ok",)) + "\n"
            self._answer(503 if reasons else 200, body.encode(), "text/plain; charset=utf-8")

        def _answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Log no probe."""

    return Handler
