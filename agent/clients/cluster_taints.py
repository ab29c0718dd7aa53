"""Our taints on the real list: read, changed and written back at the version that was read, everybody else's part as it was.

A merge patch of the whole list with `resourceVersion`, rather than a JSON patch with a test: a list that changed in between
is 409 like every other conflict, where a failed test is 422, as if our request were wrong (tried). The entries go back as they
came: `timeAdded` of other agents' NoExecute taints, and whatever a later Kubernetes adds to a taint, is not ours to lose.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from agent.core.node import read_node
from agent.core.taints import desired_taints

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.clients.cluster import Cluster, Node
    from agent.core.node import Taint
    from agent.core.taints import TaintRules

MANAGER = "imds-agent-taints"  # a merge patch; never used for apply


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
        ClusterConflict: somebody else wrote the node in between; nothing was changed.
        NodeReplaced: the name belongs to another node object now.
    """
    found = cluster.node(name)
    taints = read_node(found).taints or ()
    wanted = desired_taints(taints, event_type=event_type, lift_startup=lift_startup, rules=rules, domain=domain)
    if wanted is None:
        return found
    entries = _entries(wanted, taints, found["spec"].get("taints") or [])
    version = found["metadata"]["resourceVersion"]
    body = {"metadata": {"uid": uid, "resourceVersion": version}, "spec": {"taints": entries or None}}
    return cluster.merge(name, body, manager=MANAGER)


def _entries(wanted: Sequence[Taint], taints: Sequence[Taint], raw: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the list to write: what stays exactly as it came, and ours."""
    came = dict(zip(taints, raw, strict=True))
    return [came.get(taint) or {name: text for name, text in asdict(taint).items() if text} for taint in wanted]
