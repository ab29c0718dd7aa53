"""Other VMs' agents, `GET /facts`: many asked at once, and what is wrong with one costs no other."""

from __future__ import annotations

import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException, HTTPResponse
from io import BytesIO
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agent import __version__
from agent.core.document import DocumentError, read_json
from agent.core.facts_document import HostFacts, read_facts
from agent.told import Told

if TYPE_CHECKING:
    from collections.abc import Iterable

LIMIT = 1024 * 1024  # bytes of an answer; facts have some hundred
PORT = 80  # where a URL names none
SHOWN = 256  # characters of a foreign message that we repeat
_PIECE = 64 * 1024
_PATH = re.compile("/[!-~]*")


class AgentError(Told):
    """One agent gave no facts: no answer, no document, or IMDS has yet to answer it."""


def ask_agents(urls: Iterable[str], *, timeout: float = 5.0, at_once: int = 16) -> dict[str, HostFacts | AgentError]:
    """Ask agents for their facts; returns for each URL what it told, or why it told nothing. Raises nothing for one of them.

    Args:
        urls: such as `http://10.224.0.4:23170`; without a path, /facts is asked for. Each is asked once.
        timeout: seconds for each of them, all in all; looking up a name is not among them.
        at_once: how many are asked at the same time.
    """
    once = list(dict.fromkeys(urls))
    if not once:
        return {}
    with ThreadPoolExecutor(min(at_once, len(once))) as workers:
        return dict(zip(once, workers.map(lambda url: _asked(url, timeout), once), strict=True))


def _asked(url: str, timeout: float) -> HostFacts | AgentError:
    try:
        status, body = _get(url, timeout)
        if status != 200:
            return AgentError(f"{url}: {status}: {_reason(body)}")
        return read_facts(body)
    except AgentError as error:
        return error
    except DocumentError as error:
        return AgentError(f"{url}: {error}")
    except (OSError, HTTPException, ValueError) as error:  # ValueError: a URL that is none
        return AgentError(f"{url}: no answer: {type(error).__name__}: {str(error)[:SHOWN]}")


def _get(url: str, timeout: float) -> tuple[int, bytes]:
    """Send one request: straight to the host whatever the environment says of proxies, and nowhere else after that."""
    parts = urlsplit(url)
    path = parts.path or "/facts"
    if parts.scheme != "http" or not parts.hostname or parts.username is not None or not _PATH.fullmatch(path):
        raise AgentError(f"{url[:SHOWN]}: expected http://HOST:PORT")
    end = time.monotonic() + timeout
    lines = (f"GET {path} HTTP/1.0", f"Host: {parts.netloc}", f"User-Agent: imds-agent/{__version__}", "", "")
    with socket.create_connection((parts.hostname, parts.port or PORT), timeout) as connected:
        connected.sendall("\r\n".join(lines).encode("ascii"))
        answer = HTTPResponse(_Received(_all(url, connected, end)))  # type: ignore[arg-type]
    answer.begin()
    return answer.status, answer.read()


class _Received:
    """Bytes that have arrived, for a parser that would read them from a socket, with no end to its patience."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def makefile(self, *_: object) -> BytesIO:
        """Return them as a file."""
        return BytesIO(self._content)


def _all(url: str, connected: socket.socket, end: float) -> bytes:
    """Read until the other side closes: a trickle meets the end of its time, a flood the limit."""
    found = bytearray()
    while True:
        left = end - time.monotonic()
        if left <= 0 or len(found) > LIMIT:
            raise AgentError(f"{url}: no whole answer within its time and {LIMIT} bytes")
        connected.settimeout(left)
        if not (piece := connected.recv(_PIECE)):
            return bytes(found)
        found += piece


def _reason(body: bytes) -> str:
    try:
        return (read_json(body).at("error").text() or "")[:SHOWN]
    except DocumentError:
        return "no facts"
