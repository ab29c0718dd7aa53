"""One HTTP request to IMDS: no proxy, no redirect, bounded in time and size, within the budget."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

import requests
from urllib3.exceptions import HTTPError, NewConnectionError

from agent.clients.imds_errors import ImdsError, bad_status, cut_off, too_long, unreached
from agent.core.dates import read_date

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from agent.clients.budget import Budget

BODY_LIMIT = 1024 * 1024  # bytes; IMDS's longest answers are some hundred kilobytes with 64 KiB of user data
_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer of any status, whole.

    Attributes:
        date: the service's clock; None when it does not say.
        location: where a redirection points.
    """

    url: str
    status: int
    body: bytes
    date: datetime | None = None
    location: str | None = None

    def error(self) -> ImdsError:
        """Return what this answer means when it is not 200."""
        return bad_status(self.url, self.status, self.body, self.location)


def unsent(error: ImdsError) -> bool:
    """Say whether a request surely did nothing, so that the same one may be sent again; False where nobody can tell.

    No connection, or an answer that says no (4xx): nothing was done. Anything else may have been received all the same: a
    time-out, a reset, a 5xx, a page in place of an answer.
    """
    if error.status is not None:
        return HTTPStatus.BAD_REQUEST <= error.status < HTTPStatus.INTERNAL_SERVER_ERROR
    cause = error.__cause__
    if isinstance(cause, requests.ConnectTimeout):
        return True
    return any(isinstance(getattr(each, "reason", None), NewConnectionError) for each in cause.args) if cause else False


class _Direct(requests.Session):
    """A session that never looks where a redirection points: requests decodes that even when it does not follow."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002
        """Return no target."""
        return None


class ImdsHttp:
    """Requests to one address, from several threads, each with its own connection.

    Args:
        connect_timeout: seconds.
        seen: told each endpoint and what came of a request: a status, `unreached` or `broken`; from any thread.
    """

    def __init__(
        self,
        url: str,
        *,
        connect_timeout: float,
        user_agent: str,
        budget: Budget,
        clock: Callable[[], float],
        seen: Callable[[str, str], None],
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"IMDS address: expected something like http://169.254.169.254, found {url!r}")
        self._url = url.rstrip("/")
        self._connect_timeout = connect_timeout
        self._headers = {
            "Metadata": "true",
            "User-Agent": user_agent,
            "Accept": "application/json",
            "Accept-Encoding": "identity",  # a compressed body could be larger than it looks
        }
        self._budget = budget
        self._clock = clock
        self._seen = seen
        self._local = threading.local()
        self._sessions: list[requests.Session] = []
        self._lock = threading.Lock()

    def get(
        self,
        endpoint: str,
        version: str,
        read_timeout: float,
        query: Mapping[str, str] | None = None,
        *,
        header: bool = True,
    ) -> Reply:
        """Ask once, when the budget allows it, and return the answer whatever its status.

        Args:
            endpoint: below `/metadata/`.
            version: the api-version; "" for an endpoint that has none.
            read_timeout: seconds to wait for the answer, and again for its body to be whole; connecting takes no more.
            query: what goes along besides the version.
            header: send `Metadata: true`; without it IMDS refuses, which is how to tell it from others.

        Raises:
            ImdsUnavailable: no answer, or not to its end.
            ImdsRefused: a body that cannot be IMDS's.
        """
        return self._once("GET", endpoint, version, read_timeout, session=self._session(), query=query, header=header)

    def post(self, endpoint: str, version: str, document: Mapping[str, object], read_timeout: float) -> Reply:
        """Send a document once, when the budget allows it, and return the answer whatever its status.

        It goes over a connection of its own: one that was kept open may be closed by the service just then, and nobody
        could say whether the document had been read.

        Args:
            endpoint, version, read_timeout: as for `get`.

        Raises:
            ImdsUnavailable: no answer, or not to its end.
            ImdsRefused: a body that cannot be IMDS's.
        """
        with self._direct() as session:
            return self._once("POST", endpoint, version, read_timeout, session=session, document=document)

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            for session in self._sessions:
                session.close()
            self._sessions.clear()
        self._local = threading.local()

    def _session(self) -> requests.Session:
        session = getattr(self._local, "session", None)
        if isinstance(session, requests.Session):
            return session
        session = self._local.session = self._direct()
        with self._lock:
            self._sessions.append(session)
        return session

    def _direct(self) -> _Direct:
        session = _Direct()
        session.trust_env = False  # link-local: never through a proxy, and no CA bundle or netrc of the environment
        session.headers = requests.structures.CaseInsensitiveDict(self._headers)
        return session

    def _once(
        self,
        method: str,
        endpoint: str,
        version: str,
        read_timeout: float,
        *,
        session: requests.Session,
        document: Mapping[str, object] | None = None,
        query: Mapping[str, str] | None = None,
        header: bool = True,
    ) -> Reply:
        headers = None if header else {"Metadata": None}  # None takes the session's own away
        asked = urlencode({**({"api-version": version} if version else {}), **(query or {})})
        url = f"{self._url}/metadata/{endpoint}" + (f"?{asked}" if asked else "")
        timeouts = (min(self._connect_timeout, read_timeout), read_timeout)
        self._budget.take()
        try:
            response = session.request(
                method, url, json=document, headers=headers, timeout=timeouts, allow_redirects=False, stream=True
            )
        except (requests.RequestException, HTTPError) as error:  # requests lets some of urllib3's through
            self._seen(endpoint, "unreached")
            raise unreached(url, error, *timeouts) from error
        with response:
            reply = self._reply(endpoint, url, response, read_timeout)
        self._seen(endpoint, str(reply.status))
        if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
            self._budget.halve()
        return reply

    def _reply(self, endpoint: str, url: str, response: requests.Response, read_timeout: float) -> Reply:
        try:
            body = self._body(url, response, read_timeout)
        except HTTPError as error:
            self._seen(endpoint, "broken")
            raise cut_off(url, type(error).__name__) from error
        except ImdsError:
            self._seen(endpoint, "broken")
            raise
        return Reply(
            url=url,
            status=response.status_code,
            body=body,
            date=read_date(response.headers.get("Date", "")),
            location=response.headers.get("Location"),
        )

    def _body(self, url: str, response: requests.Response, read_timeout: float) -> bytes:
        """Read piece by piece as it comes: a trickle meets the end of its time, a flood the limit."""
        end = self._clock() + read_timeout
        body = bytearray()
        while piece := response.raw.read1(_PIECE, decode_content=False):
            body += piece
            if len(body) > BODY_LIMIT:
                raise too_long(url, BODY_LIMIT)
            if self._clock() > end:
                raise cut_off(url, f"not whole after {read_timeout:g} s")
        return bytes(body)
