"""Policies of others that refuse what the agent writes, as AKS's webhook and safeguards do."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.controlplane.cluster import Cluster
from tests.promises.agents import wait_until

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
AGENT = "request.userInfo.username == 'system:serviceaccount:imds-agent:imds-agent'"
CHANGED = (  # the keys of one map that differ, in CEL
    "variables.new.filter(k, !(k in variables.old) || variables.old[k] != variables.new[k]) + "
    "variables.old.filter(k, !(k in variables.new))"
)


@contextmanager
def refusing_labels(plane: Cluster, allowed: str, said: str, probe: Callable[[], bool]) -> Iterator[None]:
    """Refuse label changes of the agent for which `allowed` is not true of each changed key `k`.

    Args:
        allowed: CEL, true for a key that may change.
        said: CEL, the text of the refusal; `variables.refused` are the keys.
        probe: whether the policy bites.
    """
    variables = [
        {"name": "old", "expression": "oldObject.metadata.?labels.orValue({})"},
        {"name": "new", "expression": "object.metadata.?labels.orValue({})"},
        {"name": "changed", "expression": CHANGED},
        {"name": "refused", "expression": f"variables.changed.filter(k, !({allowed}))"},
    ]
    rule = {"expression": "variables.refused.size() == 0", "messageExpression": said, "reason": "Forbidden"}
    with policy(plane, variables=variables, validations=[rule]):
        wait_until(probe, "the policy bites")
        yield
    wait_until(lambda: not probe(), "the policy is gone")  # some time after it was deleted


@contextmanager
def policy(plane: Cluster, **spec: Any) -> Iterator[None]:
    """Let a ValidatingAdmissionPolicy about the agent's own node updates stand for as long as the block lasts."""
    name = f"others-{uuid.uuid4().hex[:8]}"
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": name}}
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["nodes"]}]
    conditions = [{"name": "the-agent", "expression": AGENT}]
    body = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": rules},
        "matchConditions": conditions,
        **spec,
    }
    plane.admin.post(
        f"{ADMISSION}/validatingadmissionpolicies", {**kind, "kind": "ValidatingAdmissionPolicy", "spec": body}
    )
    binding = {"policyName": name, "validationActions": ["Deny"]}
    plane.admin.post(
        f"{ADMISSION}/validatingadmissionpolicybindings",
        {**kind, "kind": "ValidatingAdmissionPolicyBinding", "spec": binding},
    )
    try:
        yield
    finally:
        plane.admin.delete(f"{ADMISSION}/validatingadmissionpolicybindings/{name}")
        plane.admin.delete(f"{ADMISSION}/validatingadmissionpolicies/{name}")
