"""The places of a budget as Leases in the agent's own namespace, and how many nodes there are.

Each write says which object at which version it is for, so a place that somebody else took, freed or renewed
meanwhile is left as it is, and the caller is told that it was too late. Times are written for people; nobody reads them.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from agent.clients.cluster import METADATA_LIST
from agent.clients.cluster_errors import ClusterConflict, ClusterRefused, ObjectMissing
from agent.core.budget import Place

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from agent.clients.cluster import Cluster
    from agent.core.budget import Purpose, Take

PURPOSE = "imds-agent.github.io/budget"  # label: what the place is for
GROUP = "imds-agent.github.io/group"  # label: the group's hash; annotation: the group in words
MANAGER = "imds-agent-budget"


def group_hash(group: str) -> str:
    """Return what stands for a group's words in names and labels; forty bits, for some thousand groups at the most."""
    return sha256(group.encode()).hexdigest()[:10]


class Leases:
    """The places of one budget: of one purpose, in one group of nodes."""

    def __init__(self, cluster: Cluster, *, namespace: str, purpose: Purpose, group: str) -> None:
        """Make no request.

        Args:
            group: in words.
        """
        self._cluster = cluster
        self._namespace = namespace
        self._path = _path(namespace)
        self._labels = {PURPOSE: purpose, GROUP: group_hash(group)}
        self._annotations = {GROUP: group}
        self._prefix = f"imds-agent-{purpose}-{group_hash(group)}-"

    def places(self) -> tuple[Place, ...]:
        """List the places that were ever taken, by index; a quorum read, since it decides."""
        selector = ",".join(f"{key}={value}" for key, value in self._labels.items())
        found = (_place(lease) for lease in _listed(self._cluster, self._namespace, selector))
        mine = [place for place in found if place is not None and place.name == f"{self._prefix}{place.index}"]
        return tuple(sorted(mine, key=lambda place: place.index))

    def take(self, take: Take, *, node: str, now: datetime, expiry: float) -> bool:
        """Write the node's name into a place; False if somebody else was faster.

        Args:
            expiry: seconds, for people to read; each agent goes by its own setting.
        """
        spec = {
            "holderIdentity": node,
            "acquireTime": micro_time(now),
            "leaseDurationSeconds": max(1, round(expiry)),
        }
        if take.place is not None:
            return self._changed(take.place, spec, now=now, taken=True)
        name = f"{self._prefix}{take.index}"
        said = {"name": name, "namespace": self._namespace, "labels": self._labels, "annotations": self._annotations}
        spec |= {"renewTime": micro_time(now), "leaseTransitions": 0}
        try:
            self._send("POST", self._path, {"metadata": said, "spec": spec})
        except ClusterConflict:
            self._show(name, now)
            return False
        return True

    def renew(self, place: Place, *, now: datetime) -> bool:
        """Show that the holder is alive; False if the place has changed since it was read."""
        return self._changed(place, {}, now=now)

    def free(self, place: Place, *, now: datetime) -> bool:
        """Empty a place; False if it has changed since it was read."""
        return self._changed(place, {"holderIdentity": ""}, now=now)

    def _changed(self, place: Place, spec: Mapping[str, Any], *, now: datetime, taken: bool = False) -> bool:
        """Read the Lease, so that all that others wrote into it stays, and write it if it is still as it was seen."""
        path = f"{self._path}/{quote(place.name, safe='')}"
        try:
            lease = self._cluster.ask("GET", path, query={})
            if lease["metadata"].get("resourceVersion") != place.resource_version:
                return False
            before = lease.get("spec") or {}
            if before.get("renewTime") == micro_time(now):  # a write of what stands there is no sign of life (tried)
                now += timedelta.resolution
            transitions = int(before.get("leaseTransitions") or 0) + taken
            after = {**before, **spec, "renewTime": micro_time(now), "leaseTransitions": transitions}
            self._send("PUT", path, {**lease, "spec": after})
        except (ClusterConflict, ObjectMissing):  # with its uid in the body a missing Lease is not created (tried)
            return False
        return True

    def _show(self, name: str, now: datetime) -> None:
        """Give a Lease back the labels by which it is found: without them its place would be lost to everybody.

        The admission policy lets nobody touch another node's place while that shows signs of life; this one cannot.
        """
        path = f"{self._path}/{name}"
        with suppress(ClusterConflict, ClusterRefused, ObjectMissing):
            lease = self._cluster.ask("GET", path, query={})
            labels = lease["metadata"].get("labels") or {}
            if self._labels.items() - labels.items():
                metadata = {**lease["metadata"], "labels": {**labels, **self._labels}}
                spec = {**(lease.get("spec") or {}), "renewTime": micro_time(now)}
                self._send("PUT", path, {**lease, "metadata": metadata, "spec": spec})

    def _send(self, verb: str, path: str, lease: Mapping[str, Any]) -> None:
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", **lease}
        self._cluster.ask(verb, path, query={"fieldManager": MANAGER}, body=body, kind="application/json")


def places_of(cluster: Cluster, *, namespace: str, node: str) -> tuple[tuple[Leases, Place], ...]:
    """List all places that a node holds, of whatever purpose and group, each with the budget that it belongs to.

    A node's group changes when its labels do, and its purpose with its events: this finds what would be left behind.
    """
    found = []
    for lease in _listed(cluster, namespace, PURPOSE):
        place, metadata = _place(lease), lease["metadata"]
        if place is not None and place.holder == node:
            purpose, group = metadata["labels"][PURPOSE], metadata.get("annotations", {}).get(GROUP, "")
            found.append((Leases(cluster, namespace=namespace, purpose=purpose, group=group), place))
    return tuple(found)


def count_nodes(cluster: Cluster, selector: str, *, page: int = 500) -> int:
    """Count the nodes with these labels; "" counts all, with one small request however many there are.

    Args:
        page: nodes a request, where they must be listed: with a selector the API server does not say how many remain.
    """
    path, query = "/api/v1/nodes", {"limit": "1"}
    if selector:
        query = {"limit": str(page), "labelSelector": selector}
    counted = 0
    while True:
        found = cluster.ask("GET", path, query=query, accept=METADATA_LIST)
        counted += len(found.get("items") or ())
        if not selector:
            return counted + int(found["metadata"].get("remainingItemCount") or 0)
        if not (following := found["metadata"].get("continue")):
            return counted
        query = {**query, "continue": following}


def micro_time(instant: datetime) -> str:
    """Write a time as the API server takes it in a Lease: with microseconds, also where they are none."""
    return instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _path(namespace: str) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{quote(namespace, safe='')}/leases"


def _listed(cluster: Cluster, namespace: str, selector: str) -> list[dict[str, Any]]:
    found = cluster.ask("GET", _path(namespace), query={"labelSelector": selector})
    return list(found.get("items") or ())


def _place(lease: Mapping[str, Any]) -> Place | None:
    """Read one Lease; None where its name says no index. Without a spec, or with an empty holder, it is free."""
    metadata, spec = lease["metadata"], lease.get("spec") or {}
    name, version, holder = str(metadata["name"]), str(metadata["resourceVersion"]), spec.get("holderIdentity")
    index = name.rpartition("-")[2]
    if not index.isdecimal():
        return None
    seen = (holder, spec.get("renewTime"), spec.get("leaseTransitions"), version)
    fingerprint = "|".join("" if part is None else str(part) for part in seen)
    return Place(name=name, index=int(index), holder=holder or None, fingerprint=fingerprint, resource_version=version)
