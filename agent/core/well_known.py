"""`topology.kubernetes.io/zone` and `/region`: never ours, given only where nobody else does and only if asked for.

Cloud-node-manager and the disk CSI driver own them; a wrong value there stops Azure disks from attaching
(kubernetes nodeinfomanager, "detected topology value collision").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from agent.core.node import FACTS, NodeView

if TYPE_CHECKING:
    from agent.core.instance import Instance

WellKnown = Literal["never", "if-absent"]

ZONE = "topology.kubernetes.io/zone"
REGION = "topology.kubernetes.io/region"
WELL_KNOWN = frozenset({ZONE, REGION})
UNINITIALIZED = "node.cloudprovider.kubernetes.io/uninitialized"  # a cloud provider is about to write them


def well_known_labels(instance: Instance, view: NodeView, mode: WellKnown, *, settled: bool) -> dict[str, str]:
    """Return the two labels for a truly zonal VM on whose node nobody else has written, or will write, them.

    A node with a providerID has a cloud provider; a fault domain is never passed off as a zone. What we wrote stays while
    nobody changes it and no settled fact speaks against it; a view of metadata alone adds nothing.
    """
    if mode == "never":
        return {}
    ours = view.owner(FACTS)
    owned = {key: view.labels[key] for key in (ZONE, REGION) if ours and key in ours.labels and key in view.labels}
    wanted: dict[str, str] = {}
    if instance.zone and instance.location:
        wanted = {ZONE: f"{instance.location}-{instance.zone}", REGION: instance.location}
    standing = {key: value for key, value in owned.items() if not settled or wanted.get(key) == value}
    if not view.full or view.provider_id or any(taint.key == UNINITIALIZED for taint in view.taints or ()):
        return standing
    free = {key: value for key, value in wanted.items() if key not in view.labels or (settled and key in owned)}
    return standing | free
