"""`/metadata/identity`: a token for one of the VM's managed identities, and the tenant. A token never shows in text or repr."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from agent.core.document import read_json

if TYPE_CHECKING:
    from agent.core.document import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token.

    Attributes:
        access_token: the secret itself.
        expires_on: UTC; the service sends Unix seconds as text, and caches tokens until shortly before.
        client_id: of the identity, where the service says it.
    """

    access_token: str = field(repr=False)
    token_type: str
    resource: str | None
    expires_on: datetime | None
    client_id: str | None = None


def read_token(body: bytes) -> Token:
    """Read an answer of `/metadata/identity/oauth2/token`.

    Raises:
        DocumentError: no token in it; it never shows one.
    """
    root = read_json(body)
    place = root.at("access_token", secret=True)
    secret = place.text()
    if secret is None:
        raise place.wrong("a token")
    return Token(
        access_token=secret,
        token_type=root.at("token_type").text() or "Bearer",
        resource=root.at("resource").text(),
        expires_on=_time(root.at("expires_on")),
        client_id=root.at("client_id").text(),
    )


def _time(place: Place) -> datetime | None:
    seconds = place.number()
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)
    except (ValueError, OverflowError, OSError):
        raise place.wrong("seconds since 1970") from None


def read_tenant(body: bytes) -> str:
    """Read the tenant's id from an answer of `/metadata/identity/info`.

    Raises:
        DocumentError: there is none.
    """
    place = read_json(body).at("tenantId")
    tenant = place.text()
    if tenant is None:
        raise place.wrong("an id")
    return tenant
