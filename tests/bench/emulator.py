"""The emulator: how long a request takes on a kept-alive connection, and how long it takes to answer the first one."""

import socket
import subprocess
import sys
import threading
import time
from http.server import ThreadingHTTPServer

from agent.emulator import Emulator
from tests.bench.measure import Budget, Measurement
from tests.cli.running import ROOT
from tests.emulator.bench import ROUNDS, Bare, a_second

TARGETS = {
    "instance": "/metadata/instance?api-version=2025-04-07",
    "events": "/metadata/scheduledevents?api-version=2020-07-01",
    "signed document": "/metadata/attested/document?api-version=2021-02-01&nonce=1234567890",
}
PLAIN = Budget(limits={"median": 1.0})  # ms: 1,000 requests a second on one connection
SIGNED = Budget(limits={"median": 5.0})  # ms; an RSA signature is most of it
STARTS = 10
FLOOR = "import http.server, json, argparse, uuid, copy, email.utils"  # what it cannot do without


def requests_of(seconds: float) -> list[Measurement]:
    """Measure milliseconds a request, beside a bare http.server that says the same bytes."""
    found = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Bare) as floor, Emulator(rate_limit=None) as emulator:
        threading.Thread(target=floor.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        emulator.add_event(EventType="Reboot")
        emulator.certificate()
        for name, target in TARGETS.items():
            mine, bare = [], []
            for _ in range(ROUNDS):
                rate, Bare.body = a_second(emulator.url, target, seconds)
                mine.append(1000 / rate)
                bare.append(1000 / a_second(f"http://127.0.0.1:{floor.server_port}", target, seconds)[0])
            found.append(
                Measurement(
                    name=f"emulator: a request for {name}", unit="ms", samples=mine, floor=bare,
                    floor_is="a bare http.server with the same bytes", budget=SIGNED if name == "signed document" else PLAIN,
                )
            )  # fmt: skip
        floor.shutdown()
    return found


def first_answer() -> Measurement:
    """Measure from the start of the process to its first answer, beside an interpreter that imports what it must."""
    mine, bare = [], []
    for _ in range(STARTS):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        begun = time.monotonic()
        command = [sys.executable, "-m", "agent.emulator", f"--listen=127.0.0.1:{port}", "--admin=127.0.0.1:0"]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            mine.append(_answered(port) - begun)
        finally:
            process.terminate()
            process.wait()
        begun = time.monotonic()
        subprocess.run([sys.executable, "-c", FLOOR], cwd=ROOT, check=True)
        bare.append(time.monotonic() - begun)
    floor_is = "interpreter and the standard library's part of it"
    return Measurement(
        name="emulator: process start -> first answer", unit="s", samples=mine, floor=bare, floor_is=floor_is,
        budget=Budget(limits={"ratio": 3.0}),
    )  # fmt: skip


def _answered(port: int) -> float:
    """Return when it answered."""
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.sendall(b"GET /metadata/versions HTTP/1.1\r\nHost: x\r\nMetadata: true\r\n\r\n")
                connection.recv(1)
                return time.monotonic()
        except ConnectionRefusedError:
            time.sleep(0.002)


def emulator(seconds: float) -> list[Measurement]:
    """Measure both."""
    return [*requests_of(seconds), first_answer()]
