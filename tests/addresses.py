"""Addresses for programs that must be told where to listen."""

import random
import socket
from contextlib import suppress

PORTS = range(20_000, 32_768)  # below those that Linux gives to connections and to whoever asks for any


def free_address() -> str:
    """Return HOST:PORT of this machine, as `free_port` has it."""
    return f"127.0.0.1:{free_port()}"


def free_port() -> int:
    """Return a loopback port on which nobody listens, nor will by chance before it is used."""
    while True:
        port = random.choice(PORTS)
        with socket.socket() as one, suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port
