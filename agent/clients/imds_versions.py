"""Which api-version to ask for: what we know, and what answers say about versions."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeAlias

from agent.clients.imds_errors import bad_body, no_version
from agent.core.document import DocumentError, Place, read_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent.clients.imds_http import Reply

Ask: TypeAlias = "Callable[[str, str], Reply]"  # endpoint and api-version in, the answer whatever its status out

# Newest first. 2017-03-01 is a preview whose fields nobody listed.
INSTANCE_VERSIONS = (
    "2025-04-07", "2024-07-17", "2024-03-15", "2023-11-15", "2023-07-01", "2021-12-13", "2021-11-15", "2021-11-01",
    "2021-10-01", "2021-08-01", "2021-05-01", "2021-03-01", "2021-02-01", "2021-01-01", "2020-12-01", "2020-10-01",
    "2020-09-01", "2020-07-15", "2020-06-01", "2019-11-01", "2019-08-15", "2019-08-01", "2019-06-04", "2019-06-01",
    "2019-04-30", "2019-03-11", "2019-02-01", "2018-10-01", "2018-04-02", "2018-02-01", "2017-12-01", "2017-10-01",
    "2017-08-01", "2017-04-02", "2017-03-01",
)  # fmt: skip
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
# Scheduled events have versions of their own (Azure's documentation); 2020-07-01 is still the newest.
EVENT_VERSIONS = ("2020-07-01", "2019-08-01", "2019-04-01", "2019-01-01", "2017-11-01", "2017-08-01", "2017-03-01")

# The first that has a signed document is 2018-10-01; the others are those that added a field to it (Azure's documentation).
ATTESTED_VERSIONS = ("2025-04-07", "2021-02-01", "2020-09-01", "2019-11-01", "2019-04-30", "2018-10-01")
LOAD_BALANCER_VERSIONS = ("2020-10-01",)  # what Kubernetes' cloud provider asks for
IDENTITY_VERSIONS = ("2018-02-01",)  # what all of Azure's own libraries ask for


def refuses_version(reply: Reply) -> bool:
    """Say whether an answer is about the version asked for.

    Services of 2017 to 2019 say "Not found. Invalid version requested" (recorded; with 400 or 404, unconfirmed), newer
    ones "api-version is invalid or was not specified".
    """
    return reply.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND) and "version" in _said(reply).lower()


def may_refuse_version(reply: Reply) -> bool:
    """Say the same for scheduled events, where a wrong version may be a bare "Bad request" (recorded)."""
    bare = reply.status == HTTPStatus.BAD_REQUEST and _said(reply).strip(" .").lower() == "bad request"
    return bare or refuses_version(reply)


def says_no_load_balancer(reply: Reply) -> bool:
    """Say whether a 404 is the good news that there is nothing to tell, and not "later" or a wrong path."""
    return reply.status == HTTPStatus.NOT_FOUND and "no load balancer metadata is found" in _said(reply).lower()


def negotiated(refusal: Reply, ask: Ask) -> tuple[Reply, str]:
    """Find the newest version that the service has of /metadata/instance, with the fewest questions.

    /metadata/versions says it all (2020-10-01 and later). Before that a 400 gives a hint, the oldest services only when
    asked without a version; it lags behind what there is (recorded). Without a hint, try from the newest down.

    Raises:
        ImdsUnavailable: a question was not answered.
        ImdsRefused: no known version is there.
    """
    offered = usable(_offered(ask))
    if offered:
        return first_good(refusal, "instance", offered, refuses_version, ask)
    hint = usable(_hint(refusal) or _hint(ask("instance", "")))
    if not hint:
        return first_good(refusal, "instance", INSTANCE_VERSIONS[1:], refuses_version, ask)
    good = first_good(refusal, "instance", hint, refuses_version, ask)
    for version in (each for each in reversed(INSTANCE_VERSIONS) if each > good[1]):
        reply = ask("instance", version)
        if reply.status != HTTPStatus.OK:
            break
        good = reply, version
    return good


def first_good(
    refusal: Reply, endpoint: str, versions: Iterable[str], refused: Callable[[Reply], bool], ask: Ask
) -> tuple[Reply, str]:
    """Return the first answer that is not about its version, and that version.

    Raises:
        ImdsRefused: all are refused.
    """
    for version in versions:
        reply = ask(endpoint, version)
        if not refused(reply):
            return reply, version
    raise no_version(refusal.url, refusal.status, refusal.body)


def read_versions(body: bytes) -> tuple[str, ...]:
    """Read an answer of /metadata/versions.

    Raises:
        DocumentError: not JSON, or no array `apiVersions`.
    """
    place = read_json(body).at("apiVersions")
    if place.is_empty:
        raise place.wrong("an array")
    return tuple(version for each in place.each() if (version := each.text()))


def usable(offered: Iterable[str]) -> tuple[str, ...]:
    """Return the versions to try of those offered: the known ones, newest first, else the first that came after them."""
    there = {version for version in offered if _VERSION.fullmatch(version)}
    known = tuple(version for version in INSTANCE_VERSIONS if version in there)
    return known or tuple(sorted(version for version in there if version > INSTANCE_VERSIONS[0]))[:1]


def _offered(ask: Ask) -> tuple[str, ...]:
    reply = ask("versions", "")
    if reply.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        return ()
    if reply.status != HTTPStatus.OK:
        raise reply.error()
    try:
        return read_versions(reply.body)
    except DocumentError as error:
        raise bad_body(reply.url, reply.body, error) from error


def _root(reply: Reply) -> Place:
    try:
        return read_json(reply.body)
    except DocumentError:
        return Place(path="$")


def _said(reply: Reply) -> str:
    try:
        return _root(reply).at("error").text() or ""
    except DocumentError:
        return ""


def _hint(reply: Reply) -> tuple[str, ...]:
    try:
        return tuple(text for each in _root(reply).at("newest-versions").each() if (text := each.text()))
    except DocumentError:
        return ()
