"""What can go wrong with IMDS: two classes, and texts that say where, what came, and what to do. Never a secret."""

from __future__ import annotations

import errno
import re
from http import HTTPStatus
from typing import TYPE_CHECKING

import requests

from agent.told import Told

if TYPE_CHECKING:
    from agent.core.document import DocumentError

_SHOWN = 256  # characters of a body: enough to recognise a proxy or IMDS's own words
_SECRET = re.compile(r"user_?data|custom_?data|public_?keys|key_?data|token|signature", re.IGNORECASE)
_PROXY = "Something between this agent and IMDS answers; IMDS must never be asked through a proxy"
_UNREACHED = (
    "Usual causes: the pod network is blocked (AKS IMDS restriction; use hostNetwork: true), the request does not "
    "leave by the primary NIC's primary address, or there is no route to 169.254.169.254/32"
)
_LATER = "It is worth asking again"
_FIRST = "The first request for scheduled events may take two minutes; otherwise it is worth asking again"


class ImdsError(Told):
    """IMDS gave no answer that counts.

    Attributes:
        url: what was asked.
        status: of the answer; None when there was none.
    """

    def __init__(self, url: str, came: str, advice: str, *, status: int | None = None) -> None:
        super().__init__(f"{url}: {came}. {advice}.")
        self.url = url
        self.status = status


class ImdsUnavailable(ImdsError):
    """Ask again: it may go away by itself."""


class ImdsRefused(ImdsError):
    """Do not ask again in the same way: somebody has to change something."""


def shown(body: bytes) -> str:
    """Return the beginning of a body in one line, or only its size where it may hold a secret."""
    text = " ".join(body.decode("utf-8", "replace").split())
    if not text:
        return "an empty body"
    if _SECRET.search(text):
        return f"a body of {len(body)} bytes, not shown because it may hold secrets"
    printable = "".join(char if char.isprintable() else "�" for char in text)
    return printable if len(printable) <= _SHOWN else printable[: _SHOWN - 1] + "…"


def is_html(body: bytes) -> bool:
    """Say whether a body is a page: IMDS sends JSON even with its errors, proxies send HTML."""
    return body.lstrip().startswith(b"<")


def unreached(url: str, error: Exception, connect: float, read: float) -> ImdsUnavailable:
    """Return the error for a request without an answer.

    Args:
        url: what was asked.
        error: what requests or urllib3 says.
        connect: seconds that a connection was given.
        read: seconds that an answer was given.
    """
    if isinstance(error, requests.ConnectTimeout):
        return ImdsUnavailable(url, f"no connection within {connect:g} s", _UNREACHED)
    if isinstance(error, requests.Timeout):
        advice = _FIRST if "/scheduledevents" in url else _LATER
        return ImdsUnavailable(url, f"connected, but no answer within {read:.3g} s", advice)
    causes = _causes(error)
    cause = next((each for each in causes if isinstance(each, OSError) and isinstance(each.errno, int)), None)
    if cause is None:
        return ImdsUnavailable(url, f"no answer: {type(causes[-1]).__name__}", _LATER)
    came = f"no answer: {cause.strerror or cause}"
    match cause.errno:
        case errno.ENETUNREACH | errno.EHOSTUNREACH:
            return ImdsUnavailable(url, came, _UNREACHED)
        case errno.ECONNREFUSED:
            advice = "Nothing listens there: this is no Azure VM, the address is wrong, or a local firewall refuses"
            return ImdsUnavailable(url, came, advice)
        case _:
            return ImdsUnavailable(url, came, _LATER)


def cut_off(url: str, why: str) -> ImdsUnavailable:
    """Return the error for an answer that did not come to its end."""
    return ImdsUnavailable(url, f"the answer broke off: {why}", _LATER, status=HTTPStatus.OK)


def too_long(url: str, limit: int) -> ImdsRefused:
    """Return the error for a body beyond the limit, in bytes."""
    return ImdsRefused(url, f"more than {limit} bytes", f"{_PROXY}: IMDS sends some kilobytes")


def bad_status(url: str, status: int, body: bytes, location: str | None) -> ImdsError:
    """Return the error for a status other than 200.

    410, 429 and 5xx pass by themselves (Azure's documentation), and so may 404, which is also sent while the endpoint
    is updated.
    """
    came = f"status {status}, {shown(body)}"
    if location is not None and HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        came = f"status {status}, a redirection to {shown(location.encode())}"
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return ImdsRefused(url, came, f"{_PROXY}, and IMDS never redirects", status=status)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        advice = "All processes of a VM share 5 requests a second; this agent slows down for a minute"
        return ImdsUnavailable(url, came, advice, status=status)
    again = status < HTTPStatus.MULTIPLE_CHOICES or status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
    if is_html(body):
        refused = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
        return (ImdsRefused if refused else ImdsUnavailable)(url, came, _PROXY, status=status)
    if again or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ImdsUnavailable(url, came, _LATER, status=status)
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return ImdsRefused(url, came, _PROXY, status=status)
    advice = "Asking again gives the same: see the answer, and whether a guest proxy agent guards IMDS"
    return ImdsRefused(url, came, advice, status=status)


def no_version(url: str, status: int, body: bytes) -> ImdsRefused:
    """Return the error for a service that refused every version known here; it shows the first refusal."""
    advice = "The service refused this and every other version that this agent knows"
    return ImdsRefused(url, f"status {status}, {shown(body)}", advice, status=status)


def bad_body(url: str, body: bytes, error: DocumentError) -> ImdsError:
    """Return the error for a 200 that is not what was asked for; of a document only what is wrong is told."""
    if is_html(body):
        return ImdsRefused(url, f"status 200, a page: {shown(body)}", _PROXY, status=HTTPStatus.OK)
    return ImdsUnavailable(url, f"status 200, but {error}", _LATER, status=HTTPStatus.OK)


def _causes(error: BaseException) -> list[BaseException]:
    """Return an error and all that the libraries packed into it, the innermost last."""
    seen: list[BaseException] = [error]
    for each in seen:
        reasons = (*each.args, getattr(each, "reason", None), each.__cause__, each.__context__)
        seen.extend(reason for reason in reasons if isinstance(reason, BaseException) and reason not in seen)
    return seen
