"""Tells others what happens, as Kubernetes Events: after the deed, never in its way, and each thing once."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from agent.clients.cluster_errors import ClusterError
from agent.clients.cluster_events import announce
from agent.core.announcement import AGAIN, About, Announcement, about_node, about_pod, event_body, event_name

if TYPE_CHECKING:
    from agent.clients.cluster import Cluster
    from agent.core.actions import Approve
    from agent.core.node import NodeView
    from agent.core.pods import Pod
    from agent.daemon.clock import Clock
    from agent.daemon.metrics import Metrics

AT_MOST = 20  # announcements after one turn: a node with hundreds of pods must not keep its loop from looking
KEPT = 200  # that wait at most; what an outage of the API server lets pile up beyond is not worth telling late
REST = 1800.0  # seconds for which nothing is told after the API server said that we may not
REMEMBERED = 1000  # announcements whose last time is kept


class Herald:
    """A short queue in front of the API server; what cannot be told is dropped, what happened has happened."""

    def __init__(self, cluster: Cluster | None, metrics: Metrics, log: Any, clock: Clock) -> None:
        """Tell nobody where there is no cluster."""
        self._cluster = cluster
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self._waiting: deque[tuple[About | None, str, str, str, bool]] = deque(maxlen=KEPT)
        self._told: dict[str, tuple[float, int]] = {}  # by name: when it was last told, and how often
        self._rests_until = float("-inf")

    def node(self, reason: str, message: str, key: str, *, warning: bool = False) -> None:
        """Tell something about the node.

        Args:
            key: what it belongs to, such as an event's id.
        """
        self._put(None, reason, message, key, warning=warning)

    def pod_asked(self, pod: Pod, *, deleted: bool) -> None:
        """Tell that a pod was evicted or deleted."""
        how = "Deleted, past its disruption budget" if deleted else "Evicted"
        self._put(
            about_pod(pod),
            "PodDeleted" if deleted else "PodEvicted",
            f"{how}: Azure has scheduled an event for this node's VM",
        )

    def pod_refused(self, pod: Pod, why: str) -> None:
        """Tell that a pod will not go."""
        text = f"Not evicted before an event of this node's VM: {why}"
        self._put(about_pod(pod), "PodNotEvicted", text, why, warning=True)

    def approved(self, approve: Approve) -> None:
        """Tell that an event may begin."""
        who = ", ".join(approve.resources)
        self.node(
            "EventApproved",
            f"Told Azure that {approve.event_type} {approve.event_id} may begin, for {who}",
            approve.event_id,
        )

    def _put(self, about: About | None, reason: str, message: str, key: str = "", *, warning: bool = False) -> None:
        if self._cluster is not None:
            self._waiting.append((about, reason, message, key, warning))

    def flush(self, view: NodeView) -> None:
        """Tell what waits, as far as the API server takes it now; what fails is not tried again."""
        if self._cluster is None or self._clock.monotonic() < self._rests_until:
            self._waiting.clear()
            return
        for _ in range(min(AT_MOST, len(self._waiting))):
            about, reason, message, key, warning = self._waiting.popleft()
            told = Announcement(
                about=about or about_node(view), reason=reason, message=message, key=key, warning=warning
            )
            if not self._tell(self._cluster, told, view.name):
                return

    def _tell(self, cluster: Cluster, told: Announcement, node: str) -> bool:
        """Tell one thing; returns whether it is worth going on."""
        name, now = event_name(told), self._clock.monotonic()
        at, times = self._told.get(name, (float("-inf"), 0))
        if now - at < AGAIN:
            return True
        body = event_body(told, node=node, now=self._clock.utc()) | {"count": times + 1}
        try:
            outcome, words = announce(cluster, body)
        except ClusterError:
            self._metrics.told.labels("failed").inc()
            self._waiting.clear()
            return False
        self._metrics.told.labels(outcome).inc()
        if outcome == "refused":
            self._rests_until = now + REST
            self._log.warning("kubernetes_events.refused", error=words[:256])
            return False
        if len(self._told) >= REMEMBERED:
            self._told.pop(next(iter(self._told)))
        self._told[name] = (now, times + 1)
        return True
