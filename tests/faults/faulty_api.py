"""A proxy in front of the real API server that misbehaves as told; everything else it passes on as it came.

It speaks plain HTTP to the agent under test, and to the API server as the agent would, with the agent's own token.
"""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

SILENCE = 0.6  # seconds; longer than the read time-out of the client under test
PASSED_ON = ("authorization", "accept", "content-type", "user-agent")
Answer = tuple[int, dict[str, str], bytes]
Fault = Callable[[str, str], Answer | None]  # method and path; None passes the request on


def status(code: int, reason: str, message: str, **more: Any) -> bytes:
    return json.dumps(
        {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "code": code,
            "reason": reason,
            "message": message,
            **more,
        }
    ).encode()


class FaultyApi:
    """The proxy: `fault` is met by every request while it is set."""

    def __init__(self, url: str, ca_file: str) -> None:
        self.upstream = url
        self.http = requests.Session()
        self.http.trust_env, self.http.verify = False, ca_file
        self.fault: Fault | None = None
        self.closed = False
        self.recorded: dict[str, Answer] = {}  # the first answer to each GET, for a cache that stays behind
        self.met = 0
        self.lock = threading.Lock()
        self.server: ThreadingHTTPServer | None = None
        self.port = 0
        self.open()

    def open(self) -> None:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                found = proxy.answer(self.command, self.path, dict(self.headers), self.rfile.read(length))
                if found is None:
                    self.close_connection = True
                    return
                code, headers, body = found
                self.send_response(code)
                for name, value in {
                    "Content-Type": "application/json",
                    **headers,
                    "Content-Length": str(len(body)),
                }.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - the library calls them so

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.closed = False

    def refuse(self) -> None:
        """Close the port: connections are refused."""
        if self.server is not None and not self.closed:
            self.server.shutdown()
            self.server.server_close()
        self.closed = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer | None:
        if self.closed:  # a connection from before the port was closed
            return None
        if self.fault is not None:
            found = self.fault(method, path)
            if found is not None:
                self.met += 1
                if found[0] == 0:  # silence
                    time.sleep(SILENCE)
                    return None
                return found
        passed = {name: value for name, value in headers.items() if name.lower() in PASSED_ON}
        with self.lock:
            reply = self.http.request(method, self.upstream + path, headers=passed, data=body, timeout=20)
        kept = {name: value for name, value in reply.headers.items() if name == "Retry-After"}
        answer = (reply.status_code, kept, reply.content)
        if method == "GET":
            self.recorded.setdefault(path.partition("?")[0], answer)
        return answer

    def close(self) -> None:
        self.refuse()
        self.http.close()
