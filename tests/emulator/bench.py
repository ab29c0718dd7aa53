"""Requests a second on one kept-alive connection, beside a bare http.server handler in the same run.

    python -m tests.emulator.bench [seconds]

Client and server share a process (and its interpreter lock), so both numbers are lower than a remote client would see.
"""

import socket
import statistics
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from agent.emulator import Emulator

ROUNDS = 5


class Bare(BaseHTTPRequestHandler):
    """The floor: says the same bytes whatever it is asked."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    body = b""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *arguments):
        pass


def a_second(url, target, seconds):
    """Ask as fast as answers come; return requests a second and the last body."""
    parts = urlsplit(url)
    request = f"GET {target} HTTP/1.1\r\nHost: x\r\nMetadata: true\r\nAccept: */*\r\n\r\n".encode()
    count, begun = 0, time.perf_counter()
    with socket.create_connection((parts.hostname, parts.port)) as connection, connection.makefile("rb") as answers:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while (passed := time.perf_counter() - begun) < seconds:
            connection.sendall(request)
            length = 0
            while (line := answers.readline()) not in (b"\r\n", b""):
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            body = answers.read(length)
            count += 1
    return count / passed, body


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    targets = {
        "instance, whole": "/metadata/instance?api-version=2025-04-07",
        "instance, a leaf": "/metadata/instance/compute/name?api-version=2025-04-07&format=text",
        "scheduled events, one": "/metadata/scheduledevents?api-version=2020-07-01",
    }
    with ThreadingHTTPServer(("127.0.0.1", 0), Bare) as floor, Emulator(rate_limit=None) as emulator:
        threading.Thread(target=floor.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        emulator.add_event(EventType="Reboot")
        floor_url = f"http://127.0.0.1:{floor.server_port}"
        for name, target in targets.items():
            mine, bare = [], []
            for _ in range(ROUNDS):
                rate, Bare.body = a_second(emulator.url, target, seconds)
                mine.append(rate)
                bare.append(a_second(floor_url, target, seconds)[0])
            median, ground = statistics.median(mine), statistics.median(bare)
            spread = f"{min(mine):.0f}..{max(mine):.0f}"
            print(
                f"{name:24} {median:6.0f} requests/s ({spread}); bare http.server {ground:6.0f}; {ground / median:.2f} x its time"
            )
        floor.shutdown()


if __name__ == "__main__":
    main()
