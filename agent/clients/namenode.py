"""What a NameNode says of itself: its JMX beans over HTTP. Nothing here changes anything."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from agent.core.datanodes import read_datanodes
from agent.core.document import DocumentError, read_json

if TYPE_CHECKING:
    from agent.core.datanodes import DataNode
    from agent.core.document import Place

WHOLE = 60.0  # seconds for one answer from its first byte to its last
_PIECE = 64 * 1024
LARGEST = 64 * 1024 * 1024  # bytes: a live DataNode is half a kilobyte, and 5,000 of them a few megabytes
INFO = "Hadoop:service=NameNode,name=NameNodeInfo"
STATUS = "Hadoop:service=NameNode,name=NameNodeStatus"
_REFUSED = (401, 403)


class NameNodeError(Exception):
    """The NameNode did not say what it was asked: where, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NameNodeView:
    """What a NameNode knows now.

    Attributes:
        active: it is the one that clients write to; a standby hears of DataNodes as well, and decides nothing.
        started: when its process began, in seconds since 1970.
        safe_mode: it still waits for its DataNodes, or a person told it to change nothing.
        datanodes: live and dead.
    """

    active: bool
    started: float
    safe_mode: bool
    datanodes: tuple[DataNode, ...]


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows nobody: a NameNode that sends us elsewhere wants a password, or is none."""

    def redirect_request(self, *_: object) -> None:
        return None


class NameNode:
    """The web server of one NameNode."""

    def __init__(self, url: str, *, timeout: float = 10.0) -> None:
        """Ask nothing yet.

        Args:
            url: as in `dfs.namenode.http-address`, such as `http://127.0.0.1:9870`.
            timeout: seconds for each step of an answer.
        """
        self.url, self._timeout = url.rstrip("/"), timeout
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay())

    def view(self) -> NameNodeView:
        """Return what it knows.

        Raises:
            NameNodeError: it does not answer, or with something else.
        """
        try:
            active = self._bean(STATUS).at("State").text() == "active"
            info = self._bean(INFO)
            return NameNodeView(
                active=active,
                started=(info.at("NNStartedTimeInMillis").number() or 0) / 1000,
                safe_mode=info.at("Safemode").text() is not None,
                datanodes=read_datanodes(info),
            )
        except DocumentError as error:
            raise NameNodeError(f"{self.url}/jmx: {error}") from error

    def _bean(self, name: str) -> Place:
        beans = read_json(self._get(f"/jmx?qry={quote(name, safe=':=,')}")).at("beans").each()
        if not beans:
            raise NameNodeError(f"{self.url}/jmx: expected the bean {name}, found none: is it a NameNode?")
        return beans[0]

    def _get(self, path: str) -> bytes:
        try:
            with self._opener.open(f"{self.url}{path}", timeout=self._timeout) as answer:
                body = _all(answer, time.monotonic() + WHOLE)
        except urllib.error.HTTPError as error:
            error.close()
            why = " (it asks who we are: Kerberos for its pages is not supported)" if error.code in _REFUSED else ""
            raise NameNodeError(f"{self.url}/jmx: answered {error.code}{why}") from error
        except (OSError, http.client.HTTPException) as error:
            raise NameNodeError(f"{self.url}/jmx: no answer: {getattr(error, 'reason', None) or error}") from error
        if len(body) > LARGEST:
            raise NameNodeError(f"{self.url}/jmx: expected at most {LARGEST} bytes")
        return body


def _all(answer: http.client.HTTPResponse, end: float) -> bytes:
    """Read to the end or one piece past the limit; a trickle meets the end of its time, in monotonic seconds."""
    body = bytearray()
    while len(body) <= LARGEST and (piece := answer.read1(_PIECE)):
        body += piece
        if time.monotonic() > end:
            raise TimeoutError(f"not whole after {WHOLE:g} s")
    return bytes(body)
