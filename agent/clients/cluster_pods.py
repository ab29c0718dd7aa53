"""Pods of a node through the API server: list them, ask one to leave, delete one; and what a drain normally meets, as values.

Every fact here was tried against kube-apiserver 1.34.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from agent.clients.cluster_errors import (
    SHOWN,
    ClusterConflict,
    ClusterError,
    ClusterRefused,
    ClusterUnavailable,
    ObjectMissing,
)
from agent.core.pods import Budget, Pod, read_budgets, read_pods

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agent.clients.cluster import Cluster, Node

JSON = "application/json"
PAGE = 500  # as kubectl
SEVERAL = "more than one disruption budget is about it: the API server evicts no such pod"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of asking one pod to leave.

    Attributes:
        kind: accepted: it is ending. gone: it is not there any more, or another one bears its name. refused: something said
            no to this pod. busy: no answer, or none about this pod; the next pod would hardly fare better.
        why: the reason in words, for a log or `Attempt.refused`; empty where nothing is the matter.
        budget: the disruption budget that refused, if it was one.
        retry_after: seconds the server asked to wait; None if it did not.
    """

    kind: Literal["accepted", "gone", "refused", "busy"]
    why: str = ""
    budget: str | None = None
    retry_after: float | None = None

    @property
    def refused(self) -> str | None:
        """What `core.drain.Attempt` wants to know: who said no, None for nobody."""
        return self.why or None


def _pages(cluster: Cluster, path: str, query: Mapping[str, str], *, quorum: bool, page: int) -> Iterator[Node]:
    """Yield a list, page by page; from the cache it comes in one piece whatever is asked."""
    query = {**query, "limit": str(page)} if quorum else {**query, "resourceVersion": "0"}
    found = cluster.ask("GET", path, query=query)
    yield found
    while following := found["metadata"].get("continue"):
        found = cluster.ask("GET", path, query={**query, "continue": str(following)})
        yield found


def pods_on(cluster: Cluster, node: str, *, quorum: bool = False, page: int = PAGE) -> tuple[Pod, ...]:
    """List the pods bound to a node.

    Args:
        quorum: read from etcd itself. The API server's cache, a fraction of the cost, may be a moment behind.
        page: pods in one answer of a quorum read.
    """
    query = {"fieldSelector": f"spec.nodeName={node}"}
    pages = _pages(cluster, "/api/v1/pods", query, quorum=quorum, page=page)
    return tuple(pod for found in pages for pod in read_pods(found))


def budgets_in(cluster: Cluster, *, quorum: bool = False, page: int = PAGE) -> tuple[Budget, ...]:
    """List the disruption budgets of all namespaces.

    Raises:
        ClusterRefused: we may not. A drain needs no budget: the API server asks them anyhow.
    """
    pages = _pages(cluster, "/apis/policy/v1/poddisruptionbudgets", {}, quorum=quorum, page=page)
    return tuple(budget for found in pages for budget in read_budgets(found))


def _path(pod: Pod) -> str:
    return f"/api/v1/namespaces/{quote(pod.namespace, safe='')}/pods/{quote(pod.name, safe='')}"


def _options(pod: Pod, grace: int | None) -> dict[str, object]:
    """Return DeleteOptions for this pod and none that took its name since; without a grace it keeps its own."""
    options: dict[str, object] = {"preconditions": {"uid": pod.uid}}
    return options if grace is None else {**options, "gracePeriodSeconds": grace}


def evict(cluster: Cluster, pod: Pod, grace: int | None = None) -> Outcome:
    """Ask a pod to leave, if its disruption budget lets it.

    Args:
        grace: whole seconds, instead of the pod's own.

    Raises:
        ClusterRefused: our credentials do not do, or we lack the right: no pod can be evicted.
    """
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"namespace": pod.namespace, "name": pod.name},
        "deleteOptions": _options(pod, grace),
    }
    return _asked(cluster, "POST", f"{_path(pod)}/eviction", body)


def delete(cluster: Cluster, pod: Pod, grace: int | None = None) -> Outcome:
    """Delete a pod, past all disruption budgets; else as `evict`."""
    body = {"apiVersion": "v1", "kind": "DeleteOptions", **_options(pod, grace)}
    return _asked(cluster, "DELETE", _path(pod), body)


def _asked(cluster: Cluster, verb: str, path: str, body: Mapping[str, object]) -> Outcome:
    try:
        cluster.ask(verb, path, query={}, body=body, kind=JSON)
    except ClusterError as error:
        return outcome_of(error)
    return Outcome(kind="accepted")


def outcome_of(error: ClusterError) -> Outcome:
    """Return what an answer of 400 or more, or none, says about one pod.

    Raises:
        ClusterRefused: it says something about us.
    """
    match error:
        case ObjectMissing():
            return Outcome(kind="gone")
        case ClusterConflict() if "UID in" in str(error):  # `the UID in the precondition (…) does not match`
            return Outcome(kind="gone")
        case ClusterRefused() if error.status == 401 or error.lacks_right:
            raise error
        case ClusterRefused():  # an admission policy or webhook, or a namespace that is being deleted
            return Outcome(kind="refused", why=error.message[:SHOWN])
        case ClusterUnavailable():
            return _of_unavailable(error)
        case _:  # a conflict: several drains at one budget; the API server has tried again some times already
            return Outcome(kind="refused", why=str(error))


def _of_unavailable(error: ClusterUnavailable) -> Outcome:
    said = [message for reason, message in error.causes if reason == "DisruptionBudget"]
    if said:
        # `The disruption budget NAME needs 2 healthy pods and has 2 currently`, or `… is still being processed by the server.`
        named = re.search(r"disruption budget (\S+) (?:needs|is) ", said[0])
        name = named[1] if named else None
        why = f"disruption budget {name}" if name else said[0][:SHOWN] or "a disruption budget"
        return Outcome(kind="refused", why=why, budget=name, retry_after=error.retry_after)
    if error.status == 500 and "more than one PodDisruptionBudget" in str(error):
        return Outcome(kind="refused", why=SEVERAL)
    of_this_pod = any(
        words in str(error) for words in ("failed calling webhook", "couldn't update PodDisruptionBudget")
    )
    return Outcome(kind="refused" if of_this_pod else "busy", why=str(error), retry_after=error.retry_after)
