"""Fetches the certificate of an issuer from where another certificate says: a place that nobody has vouched for yet.

So only from known hosts, from public addresses, in bounded time and size. Unlike IMDS itself it is on the internet: a proxy of
the environment is used.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from agent import __version__
from agent.told import Told

if TYPE_CHECKING:
    from collections.abc import Iterable

# Where the issuers of real documents are (seen there), and where the root above them publishes its own.
HOSTS = ("www.microsoft.com", "cacerts.digicert.com")
AT_MOST = 1024 * 1024  # bytes; a certificate has two thousand
LONG = 5.0  # seconds for connecting, and for the body
_PIECE = 64 * 1024
_PORTS = {"http": 80, "https": 443}


class IssuerRefused(Told):
    """It is not asked for there at all."""


class IssuerUnavailable(Told):
    """It was not to be had now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A host of which a person has said that certificates may be fetched there, whatever its address.

    Attributes:
        port: None for those of http and https.
    """

    host: str
    port: int | None = None


class Issuers:
    """Fetches certificates; each URL once.

    Args:
        places: hosts besides the known ones.
    """

    def __init__(self, places: Iterable[Place] = ()) -> None:
        self._places = frozenset(places)
        self._found: dict[str, bytes] = {}

    def fetch(self, url: str) -> bytes:
        """Return what is at a URL.

        Raises:
            IssuerRefused: another host, port or scheme than those that are allowed, or not a public address.
            IssuerUnavailable: no answer, or one that is no file of a certificate's size.
        """
        if url not in self._found:
            self._allow(url)
            self._found[url] = self._get(url)
        return self._found[url]

    def _allow(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").casefold(), parts.port
        except ValueError:
            raise IssuerRefused(f"the issuer's certificate: {url[:100]!r} is no URL") from None
        usual = _PORTS.get(parts.scheme)
        if usual is None or parts.username is not None:
            raise IssuerRefused(f"the issuer's certificate: expected http:// or https://, found {url[:100]!r}")
        if Place(host=host, port=None if port in (None, usual) else port) in self._places:
            return
        if host not in HOSTS or port not in (None, usual):
            known = f"expected one of {', '.join(HOSTS)} (more with --issuer-host)"
            raise IssuerRefused(f"the issuer's certificate is at {parts.netloc[:100]!r}: {known}")
        if requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url)) is None:
            _public(host, usual)

    def _get(self, url: str) -> bytes:
        try:
            with requests.Session() as session:
                session.headers.update({"User-Agent": f"imds-agent/{__version__}", "Accept-Encoding": "identity"})
                with session.get(url, timeout=LONG, allow_redirects=False, stream=True) as response:
                    if response.status_code != requests.codes.ok:
                        raise IssuerUnavailable(f"the issuer's certificate: {url}: status {response.status_code}")
                    return _body(url, response)
        except (requests.RequestException, HTTPError, OSError) as error:
            raise IssuerUnavailable(f"the issuer's certificate: {url}: no answer: {type(error).__name__}") from error


def _body(url: str, response: requests.Response) -> bytes:
    """Read piece by piece: a trickle meets the end of its time, a flood the limit."""
    end, body = time.monotonic() + LONG, bytearray()
    while piece := response.raw.read1(_PIECE, decode_content=False):
        body += piece
        if len(body) > AT_MOST or time.monotonic() > end:
            raise IssuerUnavailable(f"the issuer's certificate: {url}: not whole within {LONG:g} s and {AT_MOST} bytes")
    return bytes(body)


def _public(host: str, port: int) -> None:
    """Refuse a known name that leads to this host or its network: somebody answers DNS in its place.

    The name is looked up again for the request; who can change the answer in between can as well answer the request.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise IssuerUnavailable(f"the issuer's certificate: no address of {host}: {error}") from error
    for *_, address in found:
        if not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_global:
            raise IssuerRefused(f"the issuer's certificate: {host} leads to {address[0]}, which is not public")
