"""Our taints on the real list: read, changed and written back at the version that was read.

A merge patch of the whole list with `resourceVersion`, rather than a JSON patch with a test: a list that changed in between
is 409 like every other conflict, where a failed test is 422, as if our request were wrong (tried).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.core.taints import desired_taints

if TYPE_CHECKING:
    from agent.clients.cluster import Cluster, Node
    from agent.core.taints import TaintRules

MANAGER = "imds-agent-taints"  # merge patches; never used for apply


def write_taints(
    cluster: Cluster,
    name: str,
    uid: str,
    *,
    event_type: str | None,
    lift_startup: bool,
    rules: TaintRules,
    domain: str,
) -> Node:
    """Bring our taints to what they should be and return the node after it; without a write where they are so.

    Args:
        uid: of the node object that the decision was about.
        event_type, lift_startup: as for `desired_taints`.

    Raises:
        ClusterConflict: somebody else wrote the node in between, or the name belongs to another node object now; nothing
            was changed.
    """
    found = cluster.node(name)
    taints = found["spec"].get("taints") or []
    wanted = desired_taints(taints, event_type=event_type, lift_startup=lift_startup, rules=rules, domain=domain)
    if wanted is None:
        return found
    version = found["metadata"]["resourceVersion"]
    body = {"metadata": {"uid": uid, "resourceVersion": version}, "spec": {"taints": wanted or None}}
    return cluster.merge(name, body, manager=MANAGER)
