"""Ports that are listened on: bounded in connections and in time, whoever reaches them."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
import time
from http.server import ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING

from agent.told import Told

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler


class AddressTaken(Told):
    """Somebody listens there already."""


class Server(ThreadingHTTPServer):
    """An HTTP server on one address: so many connections at once, each for so long; for one more the oldest is hung up on.

    Rather than the new one: who holds connections open would otherwise keep everybody else out, kubelet's probes among them.
    """

    AT_ONCE = 16  # connections, a thread each; a caller takes milliseconds
    AT_MOST = 10.0  # seconds for a connection from its first byte to its last, however slowly they come

    daemon_threads = True
    allow_reuse_address = True  # SO_REUSEADDR: a restarted agent must not wait for TIME_WAIT to pass

    def __init__(self, address: str, handler: type[BaseHTTPRequestHandler]) -> None:
        """Listen on HOST:PORT; an IPv6 address stands in brackets, no host is all of IPv4."""
        self._open: dict[socket.socket, float] = {}
        self._lock = threading.Lock()
        host, _, port = address.rpartition(":")
        if host.startswith("["):
            self.address_family = socket.AF_INET6
        super().__init__((host.strip("[]") or "0.0.0.0", int(port)), handler)

    def server_bind(self) -> None:
        """Bind without asking DNS for the host's full name, as HTTPServer would: nothing here needs it."""
        TCPServer.server_bind(self)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a caller that hung up."""

    def verify_request(self, request: object, client_address: object) -> bool:  # noqa: ARG002
        """Take a connection, and make room for it."""
        assert isinstance(request, socket.socket)  # noqa: S101 - for the type checker; no other kind is listened for
        with self._lock:
            if len(self._open) >= self.AT_ONCE:
                oldest = next(iter(self._open))
                del self._open[oldest]
                self._cut(oldest)
            self._open[request] = time.monotonic()
        return True

    def shutdown_request(self, request: object) -> None:
        """End a connection."""
        with self._lock:
            self._open.pop(request, None)  # type: ignore[call-overload]
        super().shutdown_request(request)  # type: ignore[arg-type]

    def service_actions(self) -> None:
        """End what has lasted too long; called twice a second."""
        now = time.monotonic()
        with self._lock:
            late = [request for request, since in self._open.items() if now - since > self.AT_MOST]
            for request in late:
                self._cut(request)

    @staticmethod
    def _cut(request: socket.socket) -> None:
        with contextlib.suppress(OSError):  # its caller was faster
            request.shutdown(socket.SHUT_RDWR)  # its thread meets the end, and closes it


class Listener:
    """A server at work in threads of its own."""

    def __init__(self, server: Server, name: str) -> None:
        """Begin to answer.

        Args:
            name: of the thread that takes connections.
        """
        self._server = server
        threading.Thread(target=server.serve_forever, name=name, daemon=True).start()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Give the port back."""
        self._server.shutdown()
        self._server.server_close()


def listen(address: str, handler: type[BaseHTTPRequestHandler]) -> Server:
    """Take a port.

    Args:
        address: HOST:PORT or [IPv6]:PORT; port 0 takes a free one.

    Raises:
        AddressTaken: another process has it, most likely a second agent; or it is no address of this host.
    """
    try:
        return Server(address, handler)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        advice = "does another agent run on this host?" if taken else "is it an address of this host?"
        raise AddressTaken(f"{address} cannot be listened on ({error.strerror}): {advice}") from error
