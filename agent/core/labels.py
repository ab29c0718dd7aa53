"""Instance in, labels and annotation of the facts out; every key can be explained."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal, NamedTuple

from agent.core.document import DocumentError, read_json
from agent.core.instance import is_complete, missing
from agent.core.rack import rack, update_group, zone
from agent.core.tags import DOMAIN, TagPolicy, label_value

if TYPE_CHECKING:
    from agent.core.instance import Instance

__all__ = [
    "DOMAIN",
    "Identity",
    "LabelPolicy",
    "LabelReason",
    "Written",
    "explain_labels",
    "fact_labels",
    "own_key",
    "read_identity",
]

_PREFIX = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_FOREIGN = ("kubernetes.io", "k8s.io", "azure.com")  # theirs; below some of them a wrong label breaks disks
_LONGEST_DOMAIN = 253 - len("topology.")  # a label's prefix is at most 253 characters


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelPolicy:
    """Which facts become labels, under which domain.

    Attributes:
        include: globs over whole keys; they add what is off by default, as in `vm.*/resource-group`.
        exclude: globs over whole keys; exclude wins.

    Raises:
        ValueError: the domain is no DNS name in lower case, too long, or Kubernetes' or Azure's own.
    """

    domain: str = DOMAIN
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    tags: TagPolicy = field(default_factory=TagPolicy)

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.domain) or len(self.domain) > _LONGEST_DOMAIN:
            expected = f"a DNS name in lower case of at most {_LONGEST_DOMAIN} characters"
            raise ValueError(f"label domain: expected {expected}, found {self.domain!r}")
        if any(self.domain == theirs or self.domain.endswith(f".{theirs}") for theirs in _FOREIGN):
            raise ValueError(f"label domain: expected one of your own, found {self.domain!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What one field manager says about the node."""

    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelReason:
    """Why a label is there, or not.

    Attributes:
        value: None when there is no label.
    """

    key: str
    value: str | None
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Which VM a node's instance annotation is about; None is "it does not say".

    Attributes:
        vm_id: lower case.
    """

    vm_id: str | None = None
    name: str | None = None
    resource_id: str | None = None


class _Fact(NamedTuple):
    """A label that might be.

    Attributes:
        name: the key, with a place for the domain.
        source: the field of the document, for the explanation.
        composite: withheld while the document is not complete: a half-made value would move pods about, and of a priority
            "" means `regular` in a whole answer only.
        on: whether it is there without being included.
    """

    name: str
    value: str | int | None
    source: str
    composite: bool = False
    on: bool = True


def fact_labels(instance: Instance, policy: LabelPolicy) -> Written:
    """Return topology and VM labels and the instance annotation; an empty fact has no label."""
    said = _annotation(instance)
    return Written(
        labels={why.key: why.value for why in explain_labels(instance, policy) if why.value is not None},
        annotations={f"{policy.domain}/instance": said} if said else {},
    )


def explain_labels(instance: Instance, policy: LabelPolicy) -> tuple[LabelReason, ...]:
    """Say of each label that facts can have why it is there or not, by key."""
    reasons = (_reason(fact, instance, policy) for fact in _facts(instance))
    return tuple(sorted(reasons, key=lambda reason: reason.key))


def read_identity(annotation: str) -> Identity | None:
    """Read what a node's instance annotation says about its VM; None when it cannot be read."""
    try:
        root = read_json(annotation)
        vm_id = root.at("vmId").text()
        return Identity(
            vm_id=vm_id and vm_id.lower(), name=root.at("name").text(), resource_id=root.at("resourceId").text()
        )
    except DocumentError:
        return None


def own_key(key: str, domain: str) -> Literal["facts", "tags", "other"] | None:
    """Say which group of ours a label's or annotation's key belongs to; None for a foreign key."""
    prefix, slash, _ = key.partition("/")
    if not slash:
        return None
    if prefix in (f"topology.{domain}", f"vm.{domain}"):
        return "facts"
    if prefix == f"tag.{domain}":
        return "tags"
    return "other" if prefix == domain or prefix.endswith(f".{domain}") else None


def _facts(instance: Instance) -> tuple[_Fact, ...]:
    placed = instance.placement
    host = placed.host and placed.host.rstrip("/").rpartition("/")[2]
    return (
        _Fact("topology.{}/region", placed.location, "location"),
        _Fact("topology.{}/zone", zone(placed), "location and zone"),
        _Fact("topology.{}/fault-domain", placed.fault_domain, "platformFaultDomain"),
        _Fact("topology.{}/update-domain", placed.update_domain, "platformUpdateDomain"),
        _Fact("topology.{}/rack", rack(placed), "location, zone and platformFaultDomain", composite=True),
        _Fact("topology.{}/update-group", update_group(placed), "zone and platformUpdateDomain", composite=True),
        _Fact("topology.{}/placement-group", placed.placement_group, "placementGroupId"),
        _Fact("topology.{}/sub-fault-domain", placed.sub_fault_domain, "platformSubFaultDomain"),
        _Fact("topology.{}/host", host, "host.id"),
        _Fact("topology.{}/physical-zone", placed.physical_zone, "physicalZone"),
        _Fact("vm.{}/size", instance.vm_size, "vmSize"),
        _Fact("vm.{}/priority", instance.priority, "priority", composite=True),
        _Fact("vm.{}/scale-set", instance.vm_scale_set_name, "vmScaleSetName"),
        _Fact("vm.{}/resource-group", instance.resource_group_name, "resourceGroupName", on=False),
        _Fact("vm.{}/subscription", instance.subscription_id, "subscriptionId", on=False),
        _Fact("vm.{}/cloud", instance.cloud, "azEnvironment", on=False),
    )


def _reason(fact: _Fact, instance: Instance, policy: LabelPolicy) -> LabelReason:
    key = fact.name.format(policy.domain)
    said = "" if fact.value is None else str(fact.value)
    value = label_value(said)
    excluded = _matching(key, policy.exclude)
    included = _matching(key, policy.include)
    if excluded is not None:
        return LabelReason(key=key, value=None, because=f"excluded by {excluded!r}")
    if not fact.on and included is None:
        return LabelReason(key=key, value=None, because="off by default; include it to have it")
    if fact.composite and not is_complete(instance):
        because = f"waits for {', '.join(missing(instance))}: IMDS answered in part"
        return LabelReason(key=key, value=None, because=because)
    if not value:
        return LabelReason(key=key, value=None, because=f"IMDS says nothing in {fact.source}")
    changed = "" if value == said else f", made valid from {said!r}"
    return LabelReason(key=key, value=value, because=f"from {fact.source}{changed}")


def _matching(key: str, globs: tuple[str, ...]) -> str | None:
    return next((glob for glob in globs if fnmatchcase(key, glob)), None)


def _annotation(instance: Instance) -> str:
    """Return canonical JSON of what is one VM's own, "" when nothing is known; no secrets, no times."""
    image = {
        "publisher": instance.image.publisher,
        "offer": instance.image.offer,
        "sku": instance.image.sku,
        "version": instance.image.version,
    }
    said = {
        "vmId": instance.vm_id,
        "resourceId": instance.resource_id,
        "name": instance.name,
        "scaleSet": instance.vm_scale_set_name,
        "resourceGroup": instance.resource_group_name,
        "subscription": instance.subscription_id,
        "environment": instance.cloud,
        "image": {part: value for part, value in image.items() if value is not None} or None,
        "host": instance.placement.host,
    }
    known = {name: value for name, value in said.items() if value is not None}
    return json.dumps(known, sort_keys=True, separators=(",", ":"), ensure_ascii=False) if known else ""
