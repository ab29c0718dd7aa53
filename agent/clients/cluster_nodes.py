"""All nodes of a cluster: one list, then a watch that tells each change; 5,000 nodes cost one stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from agent.clients.cluster_errors import ClusterUnavailable, error_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.clients.cluster import Cluster

PATH = "/api/v1/nodes"
PAGE = "500"
LASTS = 290  # seconds; the API server ends a watch by itself after five to ten minutes
SILENT = 60.0  # seconds without a word, not even a bookmark, after which a stream is given up: bookmarks come each minute or so
GONE = 410
MANAGER = "imds-agent-hdfs"


class Listed(NamedTuple):
    """All nodes, and the version that a watch goes on from."""

    nodes: list[dict[str, Any]]
    resource_version: str


class Change(NamedTuple):
    """One change: ADDED, MODIFIED, DELETED, or BOOKMARK, which has only a version."""

    kind: str
    node: dict[str, Any]
    resource_version: str


def list_nodes(cluster: Cluster, *, selector: str | None = None) -> Listed:
    """List all nodes, page by page.

    Args:
        selector: of labels, as `kubectl --selector` takes it.

    Raises:
        ClusterError: they cannot be listed.
    """
    found: list[dict[str, Any]] = []
    chosen = {"labelSelector": selector} if selector else {}
    query = {"limit": PAGE, **chosen}
    while True:
        page = cluster.ask("GET", PATH, query=query)
        found += page.get("items") or []
        if not (following := page["metadata"].get("continue")):
            return Listed(found, str(page["metadata"]["resourceVersion"]))
        query = {"limit": PAGE, "continue": following, **chosen}


def watch_nodes(cluster: Cluster, resource_version: str, *, selector: str | None = None) -> Iterator[Change]:
    """Tell each change from a version on, until the API server ends the stream; a node that the selector loses is DELETED.

    Raises:
        ClusterError: the stream broke, or the version is too old: list again.
    """
    query = {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": resource_version,
        "timeoutSeconds": str(LASTS),
    } | ({"labelSelector": selector} if selector else {})
    for event in cluster.stream(PATH, query=query, silent=LASTS + SILENT):
        kind, node = str(event.get("type")), event.get("object")
        if not isinstance(node, dict):
            raise ClusterUnavailable(f"WATCH {PATH}: an event without an object")
        if kind == "ERROR":
            raise error_of(f"WATCH {PATH}", int(node.get("code") or GONE), str(node.get("message", "")).encode())
        yield Change(kind, node, str(node.get("metadata", {}).get("resourceVersion", "")))


def say_hdfs(cluster: Cluster, name: str, uid: str, key: str, text: str | None) -> None:
    """Say something in one annotation of a node, or take it back.

    Args:
        uid: of the node: another one of the same name is left alone.
        text: None takes it back.

    Raises:
        ClusterError: it stands as before.
    """
    annotations = {} if text is None else {"annotations": {key: text}}
    body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "uid": uid, **annotations}}
    cluster.apply(name, body, manager=MANAGER, force=True)
