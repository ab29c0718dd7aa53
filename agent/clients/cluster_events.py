"""Kubernetes Events through the API server: made once, then counted up; with two verbs, `create` and `patch`.

There is no `get`: an empty patch writes nothing and answers with the object as it stands (tried against kube-apiserver 1.34).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from agent.clients.cluster import MERGE
from agent.clients.cluster_errors import SHOWN, ClusterConflict, ClusterRefused, ObjectMissing
from agent.core.announcement import repetition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.clients.cluster import Cluster

MANAGER = "imds-agent-announcements"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What came of telling something.

    Attributes:
        kind: created: it is told for the first time. counted: it was there and was counted up. known: it was there, told lately.
            refused: this one cannot be told (its namespace is going, a policy says no). forbidden: we lack the right, or our
            credentials do not do: nothing can be told.
        why: the server's words where it said no; else empty.
    """

    kind: Literal["created", "counted", "known", "refused", "forbidden"]
    why: str = ""


def announce(cluster: Cluster, body: Mapping[str, Any]) -> Told:
    """Tell something that `core.announcement.event_body` made; what stands there already is counted up instead.

    Raises:
        ClusterUnavailable: no answer; it may have been told, and can be told again.
    """
    path = f"/api/v1/namespaces/{quote(str(body['metadata']['namespace']), safe='')}/events"
    try:
        return _told(cluster, path, body)
    except ClusterRefused as refusal:
        ours = refusal.status == 401 or refusal.lacks_right
        return Told(kind="forbidden" if ours else "refused", why=refusal.message[:SHOWN])
    except (ObjectMissing, ClusterConflict) as error:  # no such namespace; an Event that ended between two requests
        return Told(kind="refused", why=str(error))


def _told(cluster: Cluster, path: str, body: Mapping[str, Any]) -> Told:
    query = {"fieldManager": MANAGER}
    try:
        cluster.ask("POST", path, query=query, body=body, kind="application/json")
    except ClusterConflict:
        own = f"{path}/{quote(str(body['metadata']['name']), safe='')}"
        found = cluster.ask("PATCH", own, query=query, body={}, kind=MERGE)
        patch = repetition(found, body)
        if patch is None:
            return Told(kind="known")
        cluster.ask("PATCH", own, query=query, body=patch, kind=MERGE)
        return Told(kind="counted")
    return Told(kind="created")
