"""A watch on one node: when each state of it was first seen from outside."""

import json
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

import requests
import urllib3

from tests.bench.bed import PATIENCE, Agent
from tests.bench.runtime import Unmeasurable
from tests.controlplane.cluster import Cluster

if TYPE_CHECKING:
    from typing_extensions import Self

SLICE = 1.0  # seconds between two looks at whether the agent still lives


class NodeWatch:
    """Follows a node in a thread, as `kubectl get --watch` does, and notes the instant of each change."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._session = cluster.new_session(cluster.identity("admin", "system:masters"), agent="bench")
        self._name = name
        self._news = threading.Condition()
        self._seen: list[tuple[float, dict[str, Any]]] = []
        self._answer = self._open()
        self._thread = threading.Thread(target=self._follow, name=f"watch {name}", daemon=True)

    def _open(self) -> requests.Response:
        node = self._session.get(f"/api/v1/nodes/{self._name}")
        self._seen.append((time.monotonic(), node))
        query = {
            "watch": "1",
            "fieldSelector": f"metadata.name={self._name}",
            "resourceVersion": node["metadata"]["resourceVersion"],
        }
        url = f"{self._session.url}/api/v1/nodes"
        answer = self._session.http.get(url, params=query, stream=True, timeout=(5, None))
        answer.raise_for_status()
        return answer

    def __enter__(self) -> "Self":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._answer.raw.shutdown()  # wakes the thread, which reads for ever
        self._thread.join()
        self._answer.close()
        self._session.close()

    def _follow(self) -> None:
        try:
            for line in self._answer.iter_lines(chunk_size=None):
                instant = time.monotonic()
                with self._news:
                    self._seen.append((instant, json.loads(line)["object"]))
                    self._news.notify_all()
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, AttributeError):
            pass  # closed

    def first(self, what: str, good: Callable[[dict[str, Any]], bool], *, since: float, agent: Agent) -> float:
        """Return the instant at which the node was first seen so, at or after `since`.

        Raises:
            Unmeasurable: it was not seen so.
        """
        last = time.monotonic() + PATIENCE
        place = 0
        while True:
            with self._news:
                if place >= len(self._seen):
                    self._news.wait(SLICE)
                fresh, place = self._seen[place:], len(self._seen)
            for instant, node in fresh:
                if instant >= since and good(node):
                    return instant
            agent.check()
            if time.monotonic() > last:
                raise Unmeasurable(f"{what}: not within {PATIENCE:g} s")


def unschedulable(node: dict[str, Any]) -> bool:
    """Whether the node is cordoned."""
    return bool(node["spec"].get("unschedulable"))


def schedulable(node: dict[str, Any]) -> bool:
    """Whether it is not."""
    return not unschedulable(node)


def labelled(node: dict[str, Any]) -> bool:
    """Whether both groups of labels stand: those of the VM and those of its tags."""
    labels = node["metadata"].get("labels", {})
    return any("topology.imds-agent" in key for key in labels) and any("tag.imds-agent" in key for key in labels)
