"""Tells others what happens, as Kubernetes Events: after the deed, never in its way, and each thing once."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.clients.cluster_errors import ClusterError
from agent.clients.cluster_events import announce
from agent.core.announcement import About, Announcement, due, event_body, remembered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.clients.cluster import Cluster
    from agent.core.actions import Approve
    from agent.core.announcement import Reason
    from agent.core.node import NodeView
    from agent.core.pods import Pod
    from agent.daemon.clock import Clock
    from agent.daemon.metrics import Metrics

AT_MOST = 20  # announcements after one turn: a node with hundreds of pods must not keep its loop from looking
LONG = 2.0  # seconds that telling may keep a turn; a busy API server lets Events wait, and a cordon must not wait behind them
KEPT = 200  # that wait at most; what an outage of the API server lets pile up beyond is not worth telling late
# In ten minutes: a drain of 250 pods tells two things of each. Who plays IMDS to us could otherwise fill etcd with Events.
LATELY = 500
REST = 1800.0  # seconds for which nothing is told after the API server said that we may not


@dataclass(frozen=True, slots=True, kw_only=True)
class _News:
    """One thing to tell; about the node where no pod is named."""

    reason: Reason
    message: str
    key: str
    pod: Pod | None = None
    warning: bool = False


class Herald:
    """A short queue in front of the API server; what cannot be told is dropped, what happened has happened."""

    def __init__(self, cluster: Cluster | None, metrics: Metrics, log: Any, clock: Clock) -> None:
        """Tell nobody where there is no cluster."""
        self._cluster = cluster
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self._waiting: deque[_News] = deque(maxlen=KEPT)
        self._told: Mapping[str, float] = {}
        self._rests_until = float("-inf")

    def node(self, reason: Reason, message: str, key: str, *, warning: bool = False) -> None:
        """Tell something about the node.

        Args:
            key: what it belongs to, such as an event's id.
        """
        self._put(_News(reason=reason, message=message, key=key, warning=warning))

    def pod_asked(self, pod: Pod, *, deleted: bool) -> None:
        """Tell that a pod was evicted or deleted."""
        before = "before an event that Azure has scheduled for this node's VM"
        if deleted:
            self._put(_News(reason="PodDeleted", message=f"Deleted past its budget, {before}", key="", pod=pod))
        else:
            self._put(_News(reason="PodEvicted", message=f"Evicted {before}", key="", pod=pod))

    def pod_refused(self, pod: Pod, why: str) -> None:
        """Tell that a pod will not go."""
        text = f"Not evicted before an event of this node's VM: {why}"
        self._put(_News(reason="PodNotEvicted", message=text, key=why, pod=pod, warning=True))

    def approved(self, approve: Approve) -> None:
        """Tell that an event may begin."""
        text = f"{approve.event_type} {approve.event_id} may begin now, for {', '.join(approve.resources)}"
        self.node("EventApproved", text, approve.event_id)

    def _put(self, news: _News) -> None:
        if self._cluster is not None:
            self._waiting.append(news)

    def flush(self, view: NodeView) -> None:
        """Tell what waits, as far as the API server takes it now; what fails is not tried again."""
        started = self._clock.monotonic()
        if self._cluster is None or started < self._rests_until:
            self._waiting.clear()
            return
        for _ in range(min(AT_MOST, len(self._waiting))):
            if self._clock.monotonic() - started >= LONG:
                return
            if not self._tell(self._cluster, _announcement(self._waiting.popleft(), view), view.name):
                self._waiting.clear()
                return

    def _tell(self, cluster: Cluster, told: Announcement, node: str) -> bool:
        """Tell one thing; returns whether it is worth going on."""
        now = self._clock.monotonic()
        if not due(self._told, told, now):
            return True
        lately = remembered(self._told, told, now)
        if len(lately) > LATELY:
            self._metrics.told.labels("too many").inc()
            return True
        self._told = lately
        try:
            outcome = announce(cluster, event_body(told, node=node, now=self._clock.utc()))
        except ClusterError:
            self._metrics.told.labels("failed").inc()
            return False
        self._metrics.told.labels(outcome.kind).inc()
        if outcome.kind == "forbidden":
            self._rests_until = now + REST
            self._log.warning("kubernetes_events.refused", node=node, error=outcome.why)
            return False
        return True


def _announcement(news: _News, view: NodeView) -> Announcement:
    about = About(kind="Node", name=view.name, uid=view.uid)
    if news.pod is not None:
        about = About(kind="Pod", name=news.pod.name, uid=news.pod.uid, namespace=news.pod.namespace)
    return Announcement(
        reason=news.reason,
        message=news.message,
        about=about,
        key=news.key,
        type="Warning" if news.warning else "Normal",
    )
