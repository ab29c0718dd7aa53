"""HTTP: sockets and threads that carry requests in and answers out, and decide nothing."""

import contextlib
import selectors
import socket
import socketserver
import struct
import sys
import threading
import time
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

from agent.emulator.exchange import Delivery, Request, Response, target_of

Respond: TypeAlias = Callable[[Request], Delivery]

BODY_LIMIT = 1 << 20  # bytes of a request's body; a fleet's document is far smaller
_NO_BODY = (204, 304)
_DIGITS = 16  # of a Content-Length; int() refuses thousands of them
_LOOK = 0.2  # seconds between looks whether a client that is kept waiting is still there


def head(response: Response, *, length: int, date: float | None, closing: bool) -> bytes:
    """Return status line and headers; no Server version, since nobody should come to rely on the real one's.

    Args:
        date: for the Date header, in seconds since 1970; None sends none.
    """
    status = response.status
    phrase = HTTPStatus(status).phrase if status in list(HTTPStatus) else ""
    lines = [f"HTTP/1.1 {status} {phrase}", "Server: imds-agent-emulator"]
    if date is not None:
        lines.append(f"Date: {formatdate(date, usegmt=True)}")
    if status not in _NO_BODY:
        lines += [f"Content-Type: {response.content_type}", f"Content-Length: {length}"]
    lines += [f"{name}: {value}" for name, value in response.headers]
    if closing:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _is_gone(connection: socket.socket) -> bool:
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


class Conversation(BaseHTTPRequestHandler):
    """One kept-alive connection; every method is let through to whoever answers."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "Listener"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._converse
        raise AttributeError(name)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the admin side has the log of requests."""

    def _converse(self) -> None:
        body = self._body()
        if body is None:
            return
        path, query = target_of(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(method=self.command, path=path, query=query, headers=headers, body=body)
        self._carry(self.server.respond(request))

    def _body(self) -> bytes | None:
        length = self.headers.get("Content-Length", "0")
        is_number = length.isascii() and length.isdigit() and len(length) < _DIGITS
        if "Transfer-Encoding" in self.headers or not is_number or int(length) > BODY_LIMIT:
            self.close_connection = True
            self.send_error(HTTPStatus.BAD_REQUEST, "A body needs a Content-Length of at most 1 MiB")
            return None
        return self.rfile.read(int(length))

    def _carry(self, delivery: Delivery) -> None:
        if delivery.manner == "reset":
            self._reset()
            return
        is_over = delivery.seconds != 0 and self._waits_in_vain(delivery.seconds)
        if is_over or delivery.manner == "hang":
            self.close_connection = True
        else:
            self._write(delivery)

    def _waits_in_vain(self, seconds: float | None) -> bool:
        """Wait; tell whether the client or the emulator went away meanwhile. None waits for just that."""
        end = None if seconds is None else time.monotonic() + seconds
        while end is None or time.monotonic() < end:
            pause = _LOOK if end is None else min(_LOOK, max(end - time.monotonic(), 0))
            if self.server.ending.wait(pause) or _is_gone(self.connection):
                return True
        return False

    def _write(self, delivery: Delivery) -> None:
        response = delivery.response
        cut = delivery.manner == "truncated"
        # Half of what is announced; an empty body is announced as one byte that never comes.
        length = max(len(response.body), 1) if cut else len(response.body)
        body = response.body[: length // 2] if cut else response.body
        self.close_connection = self.close_connection or cut
        date = None if delivery.date is None else self.server.now() + delivery.date
        start = head(response, length=length, date=date, closing=self.close_connection and not cut)
        bodyless = self.command == "HEAD" or response.status in _NO_BODY
        self.wfile.write(start if bodyless else start + body)

    def _reset(self) -> None:
        """Close without a FIN: with no time to linger the kernel sends RST."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()


class Listener(ThreadingHTTPServer):
    """One address; remembers its open connections, so that closing it ends them all."""

    request_queue_size = 128
    timeout = 0  # handle_request never waits: the doors' selector has seen a client

    def __init__(self, address: tuple[str, int], respond: Respond, now: Callable[[], float]) -> None:
        self.respond = respond
        self.now = now
        self.ending = threading.Event()
        self._open: dict[threading.Thread, socket.socket] = {}
        self._open_lock = threading.Lock()
        super().__init__(address, Conversation)
        self.socket.settimeout(0)

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}"

    def server_bind(self) -> None:
        """Bind without asking DNS for the host's name, as http.server would."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Talk to a client in a thread of its own."""
        thread = threading.Thread(target=self._talk, args=(request, client_address), daemon=True)
        with self._open_lock:
            self._open[thread] = request
        thread.start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over clients that went away; all else is a defect and is shown."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)

    def server_close(self) -> None:
        """Close the address and every connection, and wait for their threads."""
        super().server_close()
        self.ending.set()
        with self._open_lock:
            conversations = dict(self._open)
        for connection in conversations.values():
            with contextlib.suppress(OSError):  # it may have ended by itself
                connection.shutdown(socket.SHUT_RDWR)
        for thread in conversations:
            thread.join()

    def _talk(self, request: Any, client_address: Any) -> None:
        try:
            self.process_request_thread(request, client_address)
        finally:
            with self._open_lock:
                self._open.pop(threading.current_thread(), None)


class Doors:
    """All listeners and the one thread that lets clients in."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._selector = selectors.DefaultSelector()
        self._waking, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._let_in, name="imds-emulator", daemon=True)

    def add(self, address: tuple[str, int], respond: Respond, now: Callable[[], float]) -> Listener:
        """Listen on one more address.

        Raises:
            OSError: where it cannot be bound.
        """
        listener = Listener(address, respond, now)
        self._listeners.append(listener)
        self._selector.register(listener, selectors.EVENT_READ)
        return listener

    def drop_all(self) -> None:
        """Close every address and its conversations."""
        while self._listeners:
            listener = self._listeners.pop()
            self._selector.unregister(listener)
            listener.server_close()

    def open(self) -> None:
        """Begin to let clients in."""
        self._thread.start()

    def close(self) -> None:
        """Let nobody in any more, and end every conversation, hanging ones included."""
        if self._thread.is_alive():
            self._waking.send(b".")
            self._thread.join()
        self.drop_all()
        self._selector.close()
        self._waking.close()
        self._woken.close()

    def _let_in(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if isinstance(key.fileobj, Listener):
                    key.fileobj.handle_request()
                else:
                    return
