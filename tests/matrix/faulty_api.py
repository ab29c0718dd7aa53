"""A TLS proxy in front of the real API server that misbehaves as told; everything else it passes on, with the caller's own token."""

import http.client
import json
import re
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.controlplane.certs import KeyPair
from tests.controlplane.plane import reserved_port

PASSED_ON = ("authorization", "accept", "content-type", "user-agent")
SILENCE = 60.0  # seconds at most; the one who asks gives up first, or the fault ends
UPSTREAM = 30.0  # seconds that the real API server is given
EVICTION = re.compile(r"/pods/([^/]+)/eviction$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request as it came."""

    method: str
    path: str  # with its query
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def at_least(self) -> str | None:
        """The resourceVersion that the answer may come from a cache with; None for a quorum read."""
        return parse_qs(urlsplit(self.path).query).get("resourceVersion", [None])[0]

    @property
    def what(self) -> tuple[str, str]:
        """What is asked for, however fresh it has to be."""
        return re.sub(r"resourceVersion=\d+", "", self.path), self.headers.get("accept", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the caller gets."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


Fault = Callable[
    [Call, Callable[[], Answer]], "Answer | None"
]  # the second passes the call on; None says nothing, ever


class FaultyApi:
    """The proxy: every request meets `fault` while one is set. It counts what the real API server was asked and did."""

    def __init__(self, url: str, ca_file: str, serving: KeyPair) -> None:
        self.upstream = urlsplit(url).netloc
        self.trust = ssl.create_default_context(cafile=ca_file)
        self.fault: Fault | None = None
        self.fault_over = threading.Event()
        self.recorded: dict[tuple[str, str], Answer] = {}  # the last answer to each GET
        self.met = 0  # requests that met a fault
        self.writes = 0  # requests that would have changed something, whatever became of them
        self.evicted: Counter[str] = Counter()  # by pod: how often its eviction was accepted
        self.serving = server_context(serving)
        self.connections: set[socket.socket] = set()
        self.server: ThreadingHTTPServer | None = None
        self.place = reserved_port()  # kept from others while the server is away, too
        self.port: int = self.place.getsockname()[1]
        self.open()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def open(self) -> None:
        """Listen, again on the same port."""
        self.server = Listener(("127.0.0.1", self.port), self)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), name="faulty api", daemon=True).start()

    def refuse(self) -> None:
        """Close the port: connections break, and new ones are refused."""
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None
        self.cut()

    def cut(self) -> None:
        """Break all connections."""
        for one in list(self.connections):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def serve_as(self, serving: KeyPair) -> None:
        """Go on with another certificate, as after a restart."""
        self.serving = server_context(serving)
        self.cut()

    def misbehave(self, fault: Fault) -> None:
        self.fault_over.clear()
        self.fault = fault

    def behave(self) -> None:
        """Have no fault any more; who waits in silence is cut off."""
        self.fault = None
        self.fault_over.set()
        if self.server is None:
            self.open()

    def close(self) -> None:
        self.fault_over.set()
        self.refuse()
        self.place.close()

    def answer(self, call: Call, upstream: http.client.HTTPSConnection) -> Answer | None:
        self.writes += call.method != "GET"
        fault = self.fault
        if fault is None:
            return self.pass_on(call, upstream)
        passed = False

        def pass_on() -> Answer:
            nonlocal passed
            passed = True
            return self.pass_on(call, upstream)

        found = fault(call, pass_on)
        self.met += not passed or found is None
        if found is None:
            self.fault_over.wait(SILENCE)
        return found

    def pass_on(self, call: Call, upstream: http.client.HTTPSConnection) -> Answer:
        headers = {name: value for name, value in call.headers.items() if name in PASSED_ON}
        upstream.request(call.method, call.path, body=call.body or None, headers=headers)
        reply = upstream.getresponse()
        kept = {name: value for name, value in reply.getheaders() if name in ("Retry-After", "Content-Type")}
        answer = Answer(status=reply.status, body=reply.read(), headers=kept)
        if call.method == "GET" and reply.status == 200:
            self.recorded[call.what] = answer
        pod = EVICTION.search(urlsplit(call.path).path)
        if pod and reply.status == 201:
            self.evicted[pod[1]] += 1
        return answer


class Listener(ThreadingHTTPServer):
    """Accepts connections; the handshake is each connection's own affair."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], proxy: FaultyApi) -> None:
        self.proxy = proxy
        super().__init__(address, Handler)

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.proxy.serving.wrap_socket(request, server_side=True) as secured:
            self.proxy.connections.add(secured)
            try:
                Handler(secured, client_address, self)
            finally:
                self.proxy.connections.discard(secured)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is what this is for."""


class Handler(BaseHTTPRequestHandler):
    """One connection of a caller, with one of its own to the API server."""

    protocol_version = "HTTP/1.1"
    server: Listener

    def setup(self) -> None:
        super().setup()
        proxy = self.server.proxy
        self.upstream = http.client.HTTPSConnection(proxy.upstream, context=proxy.trust, timeout=UPSTREAM)

    def finish(self) -> None:
        self.upstream.close()
        with suppress(OSError):
            super().finish()

    def respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        call = Call(method=self.command, path=self.path, headers=headers, body=body)
        found = self.server.proxy.answer(call, self.upstream)
        if found is None:
            self.close_connection = True
            return
        self.send_response(found.status)
        length = {"Content-Length": str(len(found.body))}
        for name, value in {"Content-Type": "application/json", **found.headers, **length}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(found.body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = respond  # noqa: N815 - the library calls them so

    def log_message(self, *_: object) -> None:
        pass


def server_context(serving: KeyPair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(serving.certificate, serving.key)
    return context


def refusal(code: int, reason: str, message: str, *, retry_after: int | None = None, **more: Any) -> Answer:
    """Return a Status as the API server makes it."""
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Answer(
        status=code, body=json.dumps({**body, "reason": reason, **more, "code": code}).encode(), headers=headers
    )
