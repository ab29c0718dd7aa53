"""What may we do? Asked of the API server itself; every account may ask that about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.clients.cluster import Cluster

PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def allowed(
    cluster: Cluster, *, verb: str, group: str, resource: str, subresource: str = "", namespace: str | None = None
) -> bool:
    """Return whether these credentials may do something.

    Args:
        namespace: None is everywhere.

    Raises:
        ClusterError: it could not be asked.
    """
    attributes: dict[str, Any] = {"verb": verb, "group": group, "resource": resource}
    if subresource:
        attributes["subresource"] = subresource
    if namespace:
        attributes["namespace"] = namespace
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = cluster.ask("POST", PATH, query={}, body=review, kind="application/json")
    return bool(answer.get("status", {}).get("allowed"))
