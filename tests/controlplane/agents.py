"""Pods of an agent and their tokens, as the DaemonSet controller and kubelet would make them."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tests.controlplane.kubeconfig import write_kubeconfig, write_private

if TYPE_CHECKING:
    from tests.controlplane.cluster import Cluster

LIFETIME = 24 * 3600  # seconds
CONFLICT = 409


class Agents:
    """Makes one pod for each node, namespace and service account, and tokens that are bound to it."""

    def __init__(self, cluster: "Cluster") -> None:
        self.cluster = cluster

    def token(self, node_name: str, namespace: str, service_account: str) -> str:
        """Return a fresh token bound to the pod; it carries the node's name, and dies with the pod."""
        uid = self._pod_uid(node_name, namespace, service_account)
        bound = {"apiVersion": "v1", "kind": "Pod", "name": pod_name(node_name, service_account), "uid": uid}
        return self._request(namespace, service_account, {"boundObjectRef": bound})

    def unbound_token(self, namespace: str, service_account: str) -> str:
        """Return a token that is bound to nothing: it says nothing of a node."""
        self._make_account(namespace, service_account)
        return self._request(namespace, service_account, {})

    def kubeconfig(self, node_name: str, namespace: str, service_account: str) -> Path:
        """Write token and kubeconfig; the token stands in a file of its own, so that a rotated one is read."""
        stem = f"{namespace}-{pod_name(node_name, service_account)}"
        token_file = self.cluster.workdir / f"{stem}.token"
        write_private(token_file, self.token(node_name, namespace, service_account))
        path = self.cluster.workdir / f"{stem}.kubeconfig"
        user = {"tokenFile": str(token_file)}
        return write_kubeconfig(path, self.cluster.url, self.cluster.ca_file, user, namespace=namespace)

    def end_pod(self, node_name: str, namespace: str = "imds-agent", service_account: str = "imds-agent") -> None:
        """Delete the agent's pod: its tokens are refused within seconds."""
        path = f"/api/v1/namespaces/{namespace}/pods/{pod_name(node_name, service_account)}"
        self.cluster.admin.delete(path, gracePeriodSeconds=0)

    def _request(self, namespace: str, service_account: str, extra: Mapping[str, object]) -> str:
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": LIFETIME, **extra},
        }
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token"
        token: str = self.cluster.admin.post(path, body)["status"]["token"]
        return token

    def _pod_uid(self, node_name: str, namespace: str, service_account: str) -> str:
        self._make_account(namespace, service_account)
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": pod_name(node_name, service_account)},
            "spec": {
                "nodeName": node_name,
                "serviceAccountName": service_account,
                "tolerations": [{"operator": "Exists"}],
                "containers": [{"name": "agent", "image": "imds-agent"}],
            },
        }
        self._make(f"/api/v1/namespaces/{namespace}/pods", pod)
        path = f"/api/v1/namespaces/{namespace}/pods/{pod_name(node_name, service_account)}"
        uid: str = self.cluster.admin.get(path)["metadata"]["uid"]
        return uid

    def _make_account(self, namespace: str, service_account: str) -> None:
        self._make("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": service_account}}
        self._make(f"/api/v1/namespaces/{namespace}/serviceaccounts", account)

    def _make(self, path: str, body: Mapping[str, object]) -> None:
        """Create the object if nobody has yet."""
        response = self.cluster.admin.raw("POST", path, body)
        if response.status_code != CONFLICT and not response.ok:
            raise RuntimeError(f"POST {path}: {response.status_code} {response.text}")


def pod_name(node_name: str, service_account: str) -> str:
    return f"{service_account}-{node_name}"
