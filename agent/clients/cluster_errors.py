"""What can go wrong between us and the API server: one class for each thing that a caller does differently."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from agent.told import Told

SHOWN = 256  # characters of a foreign message that we repeat


class ClusterError(Told):
    """Root of all that this client raises."""


class ClusterUnavailable(ClusterError):
    """No answer, or one that says "later": ask again.

    Attributes:
        retry_after: seconds the server asked for; None if it did not.
        status: HTTP status; None where there was no answer.
        causes: pairs of reason and message: a refused eviction names its disruption budget there.
    """

    def __init__(
        self,
        message: str,
        retry_after: float | None = None,
        *,
        status: int | None = None,
        causes: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.status = status
        self.causes = causes


class ClusterRefused(ClusterError):
    """The API server understood and said no (400, 401, 403, 422): the same request again is pointless.

    Attributes:
        status: HTTP status.
        message: the server's own words, in full.
        lacks_right: RBAC said no, not an admission policy: whatever we ask for is refused until the right is there.
    """

    def __init__(self, what: str, status: int, message: str) -> None:
        super().__init__(f"{what}: {status}: {message[:SHOWN]}")
        self.status = status
        self.message = message
        self.lacks_right = status == 403 and re.search(r'User "[^"]*" cannot \S+ resource', message) is not None


class ClusterConflict(ClusterError):
    """409: somebody else owns a field, or the object changed since it was read.

    Attributes:
        managers: field path -> manager that owns it; empty where it was not about ownership.
    """

    def __init__(self, what: str, message: str, managers: Mapping[str, str]) -> None:
        super().__init__(f"{what}: 409: {message[:SHOWN]}")
        self.managers = managers


class ObjectMissing(ClusterError):
    """There is no such object (any more)."""


class NodeMissing(ObjectMissing):
    """There is no such node."""


class NodeReplaced(ClusterError):
    """The name belongs to another node object now."""


def _causes(status: Mapping[str, object]) -> list[Mapping[str, object]]:
    details = status.get("details")
    causes = details.get("causes") if isinstance(details, Mapping) else None
    return [cause for cause in causes if isinstance(cause, Mapping)] if isinstance(causes, list) else []


def _managers(causes: list[Mapping[str, object]]) -> dict[str, str]:
    """Return field -> manager from the causes of an apply conflict: `conflict with "kubectl" using v1`."""
    found = {}
    for cause in causes:
        named = re.search(r'conflict with "([^"]*)"', str(cause.get("message", "")))
        if cause.get("reason") == "FieldManagerConflict" and named:
            found[str(cause.get("field", ""))] = named.group(1)
    return found


def _status(body: bytes) -> Mapping[str, object]:
    try:
        document = json.loads(body)
    except ValueError:
        return {"message": body[:SHOWN].decode("utf-8", "replace")}
    return document if isinstance(document, dict) else {}


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isdecimal() else None


def error_of(what: str, code: int, body: bytes, retry_after: str | None = None) -> ClusterError:
    """Classify an answer of 400 or more.

    A patch whose `metadata.uid` does not fit gets 422 where the name belongs to another object, and 409 where the node is
    missing, since an apply would create it (both tried).
    """
    status = _status(body)
    message, causes = str(status.get("message", "")), _causes(status)
    if code == 404:
        missing = NodeMissing if "/api/v1/nodes/" in what else ObjectMissing
        return missing(f"{what}: 404: {message[:SHOWN]}")
    if code == 409 and "uid mismatch" in message:
        return NodeMissing(f"{what}: 409: {message[:SHOWN]}")
    if code == 422 and any(cause.get("field") == "metadata.uid" for cause in causes):
        return NodeReplaced(f"{what}: 422: {message[:SHOWN]}")
    if code == 409:
        return ClusterConflict(what, message, _managers(causes))
    if code == 429 or code >= 500:
        told = tuple((str(cause.get("reason", "")), str(cause.get("message", ""))) for cause in causes)
        text = f"{what}: {code}: {message[:SHOWN]}"
        return ClusterUnavailable(text, _seconds(retry_after), status=code, causes=told)
    return ClusterRefused(what, code, message)
