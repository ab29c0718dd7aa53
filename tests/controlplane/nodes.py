"""An actor that is a node's kubelet to the API server: it registers, reports, renews, reboots."""

import logging
import threading
import uuid
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from tests.controlplane.session import MERGE, STRATEGIC, ApiError, ApiSession

if TYPE_CHECKING:
    from tests.controlplane.cluster import Cluster

Taint = dict[str, str]
BEAT = 5.0  # seconds between two heartbeats; kubelet renews its Lease every 10
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
LEASE_SECONDS = 40  # as kubelet
NOT_READY = "node.kubernetes.io/not-ready"
NOT_FOUND, CONFLICT = 404, 409
CAPACITY = {"cpu": "4", "memory": "16Gi", "pods": "110", "ephemeral-storage": "100Gi"}
PROVIDER_ID = (
    "azure:///subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/test/providers/"
    "Microsoft.Compute/virtualMachines/{}"
)
log = logging.getLogger(__name__)


class NodeActor:
    """One node, under its kubelet's own identity (`system:node:NAME`), so that NodeRestriction holds here too.

    Where no controller manager runs, the actor also plays the one part of it that every node meets: the not-ready
    taint, which admission sets on each new node, goes when the node is Ready and comes when it is not.
    """

    def __init__(
        self,
        cluster: "Cluster",
        name: str,
        *,
        provider_id: str | None,
        labels: dict[str, str],
        taints: list[Taint],
        address: str,
    ) -> None:
        self.cluster = cluster
        self.name = name
        self.path = f"/api/v1/nodes/{name}"
        self.provider_id = PROVIDER_ID.format(name) if provider_id is None else provider_id
        self.labels = {
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
        } | labels
        self.taints = taints
        self.address = address
        self.boot_id = str(uuid.uuid4())
        self.ready = True
        self.uid = ""
        self.identity = cluster.identity(f"system:node:{name}", "system:nodes")
        self.kubelet = cluster.session(self.identity, agent="kubelet/v1.34.4")
        self.stopping = threading.Event()
        self.reporting = threading.Lock()  # a status from before a change must not arrive after the one with it
        self.heart: threading.Thread | None = None

    @property
    def kubeconfig(self) -> Path:
        """The kubelet's own kubeconfig."""
        return self.cluster.kubeconfig(f"kubelet-{self.name}", self.identity)

    def register(self) -> None:
        """Create the node, report its status, and begin to renew both where a controller manager watches."""
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name, "labels": self.labels},
            "spec": ({"providerID": self.provider_id} if self.provider_id else {})
            | ({"taints": self.taints} if self.taints else {}),
        }
        self.uid = self.kubelet.post("/api/v1/nodes", node)["metadata"]["uid"]
        self.report()
        if self.cluster.controller_manager:
            self.start_heart()

    def get(self) -> dict[str, Any]:
        """Return the node as it stands in etcd."""
        return self.cluster.admin.get(self.path)

    def set_ready(self, ready: bool) -> None:
        """Report the node as ready or not."""
        self.ready = ready
        self.report()

    def reboot(self) -> None:
        """Report a new boot, as after a restart of the VM."""
        self.boot_id = str(uuid.uuid4())
        self.report()

    def recreate(self) -> None:
        """Delete the node and register it again: same name, new uid, nothing of what others wrote."""
        self.stop_heart()
        self.delete()
        self.register()

    def delete(self) -> None:
        """Delete the node as an admin, if it is there."""
        response = self.cluster.admin.raw("DELETE", self.path)
        if response.status_code != NOT_FOUND and not response.ok:
            raise ApiError(response)

    def report(self) -> None:
        """Patch the status as kubelet does."""
        self._patch_status(self.kubelet)
        if not self.cluster.controller_manager:
            self._set_not_ready_taint(not self.ready)

    def start_heart(self) -> None:
        """Renew Lease and status in a thread of its own until `stop_heart`."""
        self.stopping.clear()
        self.heart = threading.Thread(target=self._beat, name=f"kubelet {self.name}", daemon=True)
        self.heart.start()

    def stop_heart(self) -> None:
        """Fall silent, as a node that lost its network."""
        self.stopping.set()
        if self.heart:
            self.heart.join()
            self.heart = None

    def close(self) -> None:
        self.stop_heart()

    def _beat(self) -> None:
        with self.cluster.new_session(self.identity, agent="kubelet/v1.34.4") as kubelet:
            while not self.stopping.is_set():
                self._renew(kubelet)
                self.stopping.wait(BEAT)

    def _renew(self, kubelet: ApiSession) -> None:
        try:
            kubelet.apply(f"{LEASES}/{self.name}", self._lease(), manager="kubelet")
            self._patch_status(kubelet)
        except (requests.RequestException, ApiError) as error:  # an outage in a test: kubelet goes on, too
            log.info("node %s: heartbeat failed: %s", self.name, error)

    def _patch_status(self, kubelet: ApiSession) -> None:
        with self.reporting:
            kubelet.patch(f"{self.path}/status", {"status": self._status()}, STRATEGIC)

    def _lease(self) -> dict[str, Any]:
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.name},
            "spec": {
                "holderIdentity": self.name,
                "leaseDurationSeconds": LEASE_SECONDS,
                "renewTime": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            },
        }

    def _status(self) -> dict[str, Any]:
        return {
            "capacity": CAPACITY,
            "allocatable": CAPACITY,
            "addresses": [{"type": "InternalIP", "address": self.address}, {"type": "Hostname", "address": self.name}],
            "conditions": conditions(self.ready, datetime.now(timezone.utc)),
            "nodeInfo": {
                "bootID": self.boot_id,
                "machineID": uuid.uuid5(uuid.NAMESPACE_DNS, self.name).hex,
                "systemUUID": str(uuid.uuid5(uuid.NAMESPACE_DNS, self.name)),
                "kernelVersion": "6.1.0",
                "osImage": "test",
                "containerRuntimeVersion": "containerd://2.1.0",
                "kubeletVersion": "v1.34.4",
                "kubeProxyVersion": "",
                "operatingSystem": "linux",
                "architecture": "amd64",
            },
        }

    def _set_not_ready_taint(self, wanted: bool) -> None:
        """Play the node lifecycle controller; taints are one list, so with the resourceVersion that was read."""
        while True:
            node = self.get()
            taints = node["spec"].get("taints", [])
            if wanted == any(taint["key"] == NOT_READY for taint in taints):
                return
            others = [taint for taint in taints if taint["key"] != NOT_READY]
            added = [{"key": NOT_READY, "effect": "NoSchedule"}] if wanted else []
            body = {
                "metadata": {"resourceVersion": node["metadata"]["resourceVersion"]},
                "spec": {"taints": others + added or None},
            }
            response = self.cluster.admin.raw(
                "PATCH",
                self.path,
                body,
                content_type=MERGE,
                fieldManager="kube-controller-manager",
            )
            if response.status_code != CONFLICT and not response.ok:
                raise ApiError(response)


def conditions(ready: bool, now: datetime) -> list[dict[str, str]]:
    """Return the conditions that kubelet reports; only Ready ever changes here."""
    stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    good = {"MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False", "Ready": str(ready)}
    return [
        {
            "type": kind,
            "status": status,
            "reason": "KubeletReady" if status == "True" else f"KubeletReported{kind}",
            "message": "reported by a test",
            "lastHeartbeatTime": stamp,
            "lastTransitionTime": stamp,
        }
        for kind, status in good.items()
    ]
