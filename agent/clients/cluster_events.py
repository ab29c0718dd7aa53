"""Kubernetes Events: create one, or count it once more where it is there already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from agent.clients.cluster import MERGE
from agent.clients.cluster_errors import ClusterConflict, ClusterRefused, ObjectMissing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.clients.cluster import Cluster

Told = Literal["created", "counted", "dropped", "refused"]


def announce(cluster: Cluster, body: Mapping[str, object]) -> tuple[Told, str]:
    """Tell something; returns what came of it, and the API server's words where it refused.

    Without a right to read events the count cannot be read: it grows by what a merge patch can say, a new time and message.

    Raises:
        ClusterUnavailable: no answer.
    """
    metadata = body["metadata"]
    if not isinstance(metadata, dict):
        raise TypeError(metadata)
    path = f"/api/v1/namespaces/{quote(metadata['namespace'], safe='')}/events"
    try:
        cluster.ask("POST", path, query={}, body=body, kind="application/json")
    except ClusterConflict:  # it was told before, perhaps by the process before this one
        return _counted(cluster, f"{path}/{quote(metadata['name'], safe='')}", body)
    except ObjectMissing:  # the pod's namespace is gone
        return "dropped", ""
    except ClusterRefused as refusal:
        return "refused", refusal.message
    return "created", ""


def _counted(cluster: Cluster, path: str, body: Mapping[str, object]) -> tuple[Told, str]:
    again = {"message": body["message"], "lastTimestamp": body["lastTimestamp"], "count": body["count"]}
    try:
        cluster.ask("PATCH", path, query={}, body=again, kind=MERGE)
    except (ClusterConflict, ObjectMissing):
        return "dropped", ""
    except ClusterRefused as refusal:
        return "refused", refusal.message
    return "counted", ""
