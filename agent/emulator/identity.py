"""Managed identities: who there is, whom a request means, and tokens that nobody can take for real ones."""

import base64
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.emulator.exchange import Response
from agent.emulator.reading import Document, InputError, list_of, object_of, text_of
from agent.emulator.shape import compact
from agent.emulator.versions import Service, instance_versions

SINCE = "2018-02-01"
RATE_LIMIT, AT_ONCE = (
    20,
    5,
)  # requests a second, and at one time, for the identity category alone (Azure's documentation)
LIFETIME = 86_400  # seconds
TENANT = "72f988bf-0000-4000-8000-000000000000"
SELECTORS = ("client_id", "object_id", "msi_res_id")
_RECORDED_NONE = "Identity not found"
_RECORDED_MANY = (
    "Multiple user assigned identities exist, "
    "please specify the clientId / resourceId of the identity in the token request"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One identity; `msi_res_id` is "" for the system-assigned one, of which a VM has at most one."""

    client_id: str
    object_id: str
    msi_res_id: str = ""


SYSTEM = Identity(client_id="11111111-1111-4111-8111-111111111111", object_id="22222222-2222-4222-8222-222222222222")


def identities_from(given: object) -> tuple[Identity, ...]:
    """Read a list of identities: [{"client_id": …, "object_id": …, "msi_res_id": …}].

    Raises:
        InputError: for an unknown key, a value that is no string, or two system-assigned ones.
    """
    found = []
    for index, each in enumerate(list_of(given, "$")):
        entry = object_of(each, f"$[{index}]", SELECTORS)
        named = {name: text_of(entry.get(name, ""), f"$[{index}].{name}") for name in SELECTORS}
        found.append(Identity(**named))
    if sum(not each.msi_res_id for each in found) > 1:
        raise InputError("$: expected one identity without msi_res_id, the system-assigned one, found several")
    return tuple(found)


def identity_versions(service: Service) -> tuple[str, ...]:
    """Return the versions of /metadata/identity, oldest first."""
    return tuple(version for version in instance_versions(service) if version >= SINCE)


def refused(error: str, description: str, status: int = 400) -> Response:
    """Return an error in the category's two-key form."""
    return Response(status=status, body=compact({"error": error, "error_description": description}))


def answered(
    steps: Sequence[str], query: Mapping[str, str], identities: Sequence[Identity], now: float
) -> Response | None:
    """Answer a request below /metadata/identity whose header, method and version are right; None for no such path."""
    if steps == ["info"]:
        return Response(body=compact({"tenantId": TENANT}))
    if steps != ["oauth2", "token"]:
        return None
    resource = query.get("resource", "")
    if not resource:
        return refused("invalid_request", "Required query variable 'resource' is missing")
    if "://" not in resource:
        text = f"AADSTS50001: The resource principal named {resource} was not found in the tenant"
        return refused("invalid_resource", text)
    named = {name: query[name] for name in SELECTORS if name in query}
    if len(named) > 1:
        return refused("invalid_request", "client_id, object_id and msi_res_id exclude each other")
    found = _meant(named, identities)
    return found if isinstance(found, Response) else Response(body=compact(_token(found, resource, named, now)))


def _meant(named: Mapping[str, str], identities: Sequence[Identity]) -> Identity | Response:
    for name, value in named.items():
        for each in identities:
            if value and str(getattr(each, name)).casefold() == value.casefold():  # "" is nobody's, not the system's
                return each
        return refused("invalid_request", _RECORDED_NONE)
    if not identities:
        return refused("invalid_request", _RECORDED_NONE)
    system = [each for each in identities if not each.msi_res_id]
    if system or len(identities) == 1:
        return (system or list(identities))[0]
    return refused("invalid_request", _RECORDED_MANY)


def _token(identity: Identity, resource: str, named: Mapping[str, str], now: float) -> Document:
    """Return the answer; the same token for an hour, as the service caches them.

    The token is a JWT without a signature: `alg` is `none`, so that nobody can be fooled by it.
    """
    begins = int(now // 3600) * 3600
    ends = begins + LIFETIME
    claims = {
        "aud": resource,
        "appid": identity.client_id,
        "exp": ends,
        "iss": f"https://sts.windows.net/{TENANT}/",
        "nbf": begins,
        "oid": identity.object_id,
        "tid": TENANT,
        "uti": uuid.uuid5(uuid.NAMESPACE_URL, f"{resource} {identity.client_id} {begins}").hex,
    }
    token = f"{_part({'alg': 'none', 'typ': 'JWT'})}.{_part(claims)}."
    said = {
        "access_token": token,
        "client_id": identity.client_id,
        "expires_in": str(ends - int(now)),
        "expires_on": str(ends),
        "ext_expires_in": "262800",
        "not_before": str(begins),
        "refresh_token": "",
        "resource": resource,
        "token_type": "Bearer",
    }
    return said | {name: value for name, value in named.items() if name != "client_id"}


def _part(document: Mapping[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document, separators=(",", ":")).encode()).rstrip(b"=").decode()
