"""An admission policy of somebody else's that refuses our writes where a node's annotation says so, as AKS's can."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.controlplane.cluster import Cluster as Plane
from tests.controlplane.session import ApiError

NAME = "story-refuses"
KIND = "/apis/admissionregistration.k8s.io/v1"


def policy(annotation: str) -> dict[str, object]:
    told = f"oldObject.metadata.?annotations['{annotation}'].orValue('')"
    unchanged = "oldObject.metadata.?labels.orValue({}) == object.metadata.?labels.orValue({})"
    return {
        "metadata": {"name": NAME},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [
                    {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["nodes"]}
                ]
            },
            "matchConditions": [
                {
                    "name": "agents",
                    "expression": "request.userInfo.username.startsWith('system:serviceaccount:imds-agent:')",
                }
            ],
            "validations": [
                {"expression": f"{told} != 'all'", "message": "everything is refused", "reason": "Forbidden"},
                {
                    "expression": f"{told} != 'labels' || {unchanged}",
                    "message": "labels are refused",
                    "reason": "Forbidden",
                },
            ],
        },
    }


@contextmanager
def refuse_where_told(plane: Plane, annotation: str) -> Iterator[None]:
    """Install the policy and wait until it holds."""
    binding = {"metadata": {"name": NAME}, "spec": {"policyName": NAME, "validationActions": ["Deny"]}}
    plane.admin.post(f"{KIND}/validatingadmissionpolicies", policy(annotation))
    plane.admin.post(f"{KIND}/validatingadmissionpolicybindings", binding)
    try:
        wait_until_it_holds(plane, annotation)
        yield
    finally:
        plane.admin.delete(f"{KIND}/validatingadmissionpolicybindings/{NAME}")
        plane.admin.delete(f"{KIND}/validatingadmissionpolicies/{NAME}")


def wait_until_it_holds(plane: Plane, annotation: str) -> None:
    node = plane.register_node("story-probe")
    token = plane.agent_token("story-probe")
    patch = "application/merge-patch+json"
    plane.admin.patch("/api/v1/nodes/story-probe", {"metadata": {"annotations": {annotation: "all"}}}, patch)
    try:
        with plane.new_session(token=token) as agent:
            for _ in range(1200):
                body = {"metadata": {"annotations": {"imds-agent.github.io/probe": str(time.monotonic())}}}
                try:
                    agent.patch("/api/v1/nodes/story-probe", body, patch)
                except ApiError as error:
                    if "everything is refused" in error.body:
                        return
                time.sleep(0.05)
        raise AssertionError("the refusing policy does not hold after a minute")
    finally:
        node.close()
        node.delete()
