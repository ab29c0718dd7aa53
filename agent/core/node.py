"""The Kubernetes node as this agent needs it, and who else holds it.

A view comes from a full Node or from its metadata alone (PartialObjectMetadata, a fifth of the bytes), which shows labels,
annotations and owners but neither cordon nor Ready: those fields are None then, which is not the same as False.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

# Field managers. One opinion each, so that one fault costs one group only.
FACTS = "imds-agent-facts"
TAGS = "imds-agent-tags"
EVENTS = "imds-agent-events"
HANDOVER = "imds-agent-handover"  # keeps a cordon that others asked for while ours stood
SWEEP = "imds-agent-sweep"  # merge patches that remove leftovers; never used for apply
RELEASE = "imds-agent-release"  # merge patch that clears a cordon whose ownership was lost; never used for apply

ORPHANED = "before-first-apply"  # what the API server names the owner of fields whose owner was wiped

# What says that another agent is taking this node down. Each source is that project's own documentation or code.
DRAINER_TAINTS = {
    "remediator.kubernetes.azure.com/unschedulable": "AKS node auto-drain",
    "ToBeDeletedByClusterAutoscaler": "cluster-autoscaler",
    "karpenter.sh/disrupted": "Karpenter",
}
DRAINER_ANNOTATIONS = {
    "weave.works/kured-reboot-in-progress": "kured",
    "kured.dev/kured-reboot-in-progress": "kured",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Taint:
    """One taint of a node."""

    key: str
    value: str = ""
    effect: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """What one field manager owns of the node, as far as it concerns us.

    Attributes:
        applied: True for a server-side applier; False for one that used any other verb.
        unschedulable: whether it owns `spec.unschedulable`.
        others: names of other fields that it owns, which our appliers never write.
    """

    manager: str
    applied: bool
    labels: frozenset[str] = frozenset()
    annotations: frozenset[str] = frozenset()
    unschedulable: bool = False
    others: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """A node, read at one moment.

    Attributes:
        quorum: read from etcd itself, not from the API server's cache, which may be behind.
        unschedulable: None in a view of metadata alone, as are `ready`, `taints` and `provider_id`.
    """

    name: str
    uid: str
    resource_version: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    owners: tuple[Owner, ...] = ()
    quorum: bool = False
    unschedulable: bool | None = None
    ready: bool | None = None
    taints: tuple[Taint, ...] | None = None
    provider_id: str | None = None

    @property
    def full(self) -> bool:
        """Whether cordon and Ready are known."""
        return self.unschedulable is not None

    def owner(self, manager: str) -> Owner | None:
        """Return what one applier owns; None if nothing."""
        return next((owner for owner in self.owners if owner.manager == manager and owner.applied), None)

    def cordon_is_applied_by_us(self) -> bool:
        """Return whether our events manager owns the cordon field."""
        ours = self.owner(EVENTS)
        return ours is not None and ours.unschedulable


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A reason that is not ours to keep the node cordoned after our event.

    Attributes:
        who: the manager, agent or annotation that asks for it.
        passing: a mark that its agent takes away by itself, when it is done or has thought better of it. Then the node is
            given back, so nothing is handed over: kured and Karpenter never undo a cordon that they found (their code).
    """

    who: str
    passing: bool = False


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _texts(value: object) -> dict[str, str]:
    return {str(key): text for key, text in _mapping(value).items() if isinstance(text, str)}


def _objects(value: object) -> Iterator[Mapping[str, object]]:
    for item in value if isinstance(value, list) else ():
        yield _mapping(item)


def _field_names(fields: object) -> frozenset[str]:
    """Return the names in one level of FieldsV1: `f:NAME` is a field of that name (Kubernetes API reference)."""
    return frozenset(key[2:] for key in _mapping(fields) if key.startswith("f:"))


def _owner(entry: Mapping[str, object]) -> Owner:
    fields = _mapping(entry.get("fieldsV1"))
    metadata, spec = _mapping(fields.get("f:metadata")), _mapping(fields.get("f:spec"))
    others = (_field_names(metadata) - {"labels", "annotations"}) | (_field_names(spec) - {"unschedulable"})
    return Owner(
        manager=str(entry.get("manager", "")),
        applied=entry.get("operation") == "Apply",
        labels=_field_names(metadata.get("f:labels")),
        annotations=_field_names(metadata.get("f:annotations")),
        unschedulable="f:unschedulable" in spec,
        others=others | (_field_names(fields) - {"metadata", "spec"}),
    )


def _taint(entry: Mapping[str, object]) -> Taint:
    return Taint(**{key: str(entry.get(key, "")) for key in ("key", "value", "effect")})


def read_node(document: Mapping[str, object], *, quorum: bool = False) -> NodeView:
    """Read a Node, or its PartialObjectMetadata, as the API server sent it."""
    metadata = _mapping(document.get("metadata"))
    common = NodeView(
        name=str(metadata.get("name", "")),
        uid=str(metadata.get("uid", "")),
        resource_version=str(metadata.get("resourceVersion", "")),
        labels=_texts(metadata.get("labels")),
        annotations=_texts(metadata.get("annotations")),
        owners=tuple(_owner(entry) for entry in _objects(metadata.get("managedFields"))),
        quorum=quorum,
    )
    if document.get("kind") == "PartialObjectMetadata":
        return common
    spec, status = _mapping(document.get("spec")), _mapping(document.get("status"))
    return NodeView(
        name=common.name,
        uid=common.uid,
        resource_version=common.resource_version,
        labels=common.labels,
        annotations=common.annotations,
        owners=common.owners,
        quorum=quorum,
        unschedulable=spec.get("unschedulable") is True,
        ready=any(c.get("type") == "Ready" and c.get("status") == "True" for c in _objects(status.get("conditions"))),
        taints=tuple(_taint(entry) for entry in _objects(spec.get("taints"))),
        provider_id=str(spec.get("providerID") or "") or None,
    )


def holds(view: NodeView, domain: str) -> tuple[Hold, ...]:
    """Return who wants this node to stay cordoned whatever becomes of our events.

    `kubectl cordon` on a node that is cordoned already sends nothing (tried), so it cannot be seen: the annotation
    `P/hold` says it instead.
    """
    lasting = [f"annotation {domain}/hold"] if f"{domain}/hold" in view.annotations else []
    lasting += [
        f"field manager {owner.manager}"
        for owner in view.owners
        if owner.applied and owner.unschedulable and owner.manager != EVENTS
    ]
    passing = [f"{who} (taint {t.key})" for t in view.taints or () if (who := DRAINER_TAINTS.get(t.key))]
    passing += [f"{who} (annotation {key})" for key, who in DRAINER_ANNOTATIONS.items() if key in view.annotations]
    return tuple([Hold(who=who) for who in lasting] + [Hold(who=who, passing=True) for who in passing])


def cordoned_by_others(view: NodeView, domain: str) -> bool:
    """Return whether a cordon would stay if we withdrew ours, because somebody else set the field.

    Two owners are nobody's opinion: the orphaned fields of a node whose `managedFields` were wiped, and a writer who put
    back an old copy of the node with our mark in it.
    """
    return any(
        owner.unschedulable
        and not (owner.applied and owner.manager == EVENTS)
        and owner.manager not in (ORPHANED, RELEASE)
        and f"{domain}/events" not in owner.annotations
        for owner in view.owners
    )
