"""Values that the deciding core takes, with defaults, so that each test shows only what it is about."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from agent.core.events import EventDocument, ScheduledEvent
from agent.core.hearing import Hearing, heard
from agent.core.instance import Instance, Tag
from agent.core.known import Known, Rules, Turn
from agent.core.labelling import written
from agent.core.labels import DOMAIN, LabelPolicy
from agent.core.mark import Mark, MarkedEvent, mark_text
from agent.core.node import EVENTS, FACTS, TAGS, NodeView, read_node
from agent.core.placement import Placement
from agent.core.reconcile import reconcile
from agent.core.sighting import ENOUGH, Sighting

P = DOMAIN
NOW = datetime(2026, 4, 11, 12, 0, tzinfo=timezone.utc)
NAME, VM_ID, UID, VERSION = "web_0", "02aab8a4", "uid-1", "700"
RACK, ZONE, SIZE, ENV = f"topology.{P}/rack", f"topology.{P}/zone", f"vm.{P}/size", f"tag.{P}/env"
EVENTS_KEY, INSTANCE_KEY, TAGS_KEY, HOLD_KEY = f"{P}/events", f"{P}/instance", f"{P}/tags", f"{P}/hold"


def instance(**facts: Any) -> Instance:
    """A complete answer of a zonal VM with one tag; `zone`, `fault_domain` and `location` go into its placement."""
    placed = {key: facts.pop(key) for key in ("location", "zone", "fault_domain", "update_domain") if key in facts}
    said = {
        "version": "2021-02-01",
        "vm_id": VM_ID,
        "name": NAME,
        "subscription_id": "s",
        "vm_size": "Standard_D2s_v5",
        "priority": "regular",
        "placement": Placement(**{"location": "westeurope", "zone": "1", "fault_domain": 0, **placed}),
        "tags": (Tag("env", "prod"),),
    }
    return Instance(**{**said, **facts})


def sighting(agreed: int = ENOUGH, **facts: Any) -> Sighting:
    """A sighting of that VM; settled unless told otherwise."""
    return Sighting(instance=instance(**facts), agreed=agreed)


def event(event_id: str = "E1", kind: str = "Reboot", status: str = "Scheduled", **more: Any) -> ScheduledEvent:
    """An event for this VM that may begin in five minutes."""
    if status == "Scheduled":
        more.setdefault("not_before", NOW + timedelta(minutes=5))
    more.setdefault("resources", (NAME,))
    return ScheduledEvent(id=event_id, type=kind, status=status, **more)


def document(*events: ScheduledEvent, **more: Any) -> EventDocument:
    """One good answer of the service."""
    return EventDocument(incarnation=more.pop("incarnation", 1), events=events, **more)


def hearing(*documents: tuple[float, EventDocument]) -> Hearing:
    """What is known after these documents, each with the instant at which it came."""
    known = Hearing()
    for instant, said in documents:
        known = heard(known, said, instant)
    return known


def showing(*events: ScheduledEvent, at: float = 0.0) -> Hearing:
    """What is known after one document."""
    return hearing((at, document(*events)))


def vanished(*events: ScheduledEvent, since: float = 1.0, until: float = 1000.0) -> Hearing:
    """Events seen once and missing in each document from `since` to `until`."""
    return hearing((since - 1.0, document(*events)), (since, document()), (until, document()))


def marked_event(event_id: str = "E1", kind: str = "Reboot", do: str = "cordon", **flags: Any) -> MarkedEvent:
    """An event as the mark keeps it."""
    return MarkedEvent(id=event_id, type=kind, do=do, **flags)  # type: ignore[arg-type]


def mark(*events: MarkedEvent, **flags: bool) -> Mark:
    """A mark with these events, by default with one that cordons."""
    return Mark(events=events or (marked_event(),), **flags)


def managed(
    manager: str,
    *,
    applied: bool = True,
    labels: Iterable[str] = (),
    annotations: Iterable[str] = (),
    cordon: bool = False,
) -> dict[str, Any]:
    """One entry of `managedFields` as the API server sends it."""
    metadata = {"f:labels": {f"f:{key}": {} for key in labels}, "f:annotations": {f"f:{k}": {} for k in annotations}}
    fields: dict[str, Any] = {"f:metadata": {kind: {".": {}, **keys} for kind, keys in metadata.items() if keys}}
    if cordon:
        fields["f:spec"] = {"f:unschedulable": {}}
    return {
        "manager": manager,
        "operation": "Apply" if applied else "Update",
        "apiVersion": "v1",
        "time": "2026-04-11T12:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }


def node(
    *,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    managers: Iterable[dict[str, Any]] = (),
    cordoned: bool = False,
    ready: bool = True,
    taints: Iterable[dict[str, str]] = (),
    provider_id: str | None = None,
) -> dict[str, Any]:
    """A Node as the API server sends it."""
    spec: dict[str, Any] = {"podCIDR": "10.0.0.0/24"}
    spec |= {"unschedulable": True} if cordoned else {}
    spec |= {"taints": list(taints)} if taints else {}
    spec |= {"providerID": provider_id} if provider_id else {}
    conditions = [
        {"type": "MemoryPressure", "status": "False"},
        {"type": "Ready", "status": "True" if ready else "Unknown"},
    ]
    metadata = {
        "name": "node-1",
        "uid": UID,
        "resourceVersion": VERSION,
        "labels": {"kubernetes.io/hostname": "node-1", **(labels or {})},
        "annotations": dict(annotations or {}),
        "managedFields": list(managers),
    }
    status = {"conditions": conditions}
    return {"kind": "Node", "apiVersion": "v1", "metadata": metadata, "spec": spec, "status": status}


def labelled(*managers: dict[str, Any], vm: Instance | None = None, **more: Any) -> dict[str, Any]:
    """A node that carries, under our managers, all that this VM's facts and tags say."""
    policy = more.pop("policy", LabelPolicy())
    facts, tags = written(vm or instance(), "facts", policy), written(vm or instance(), "tags", policy)
    return node(
        labels={**facts.labels, **tags.labels, **more.pop("labels", {})},
        annotations={**facts.annotations, **tags.annotations, **more.pop("annotations", {})},
        managers=(
            managed(FACTS, labels=facts.labels, annotations=facts.annotations),
            managed(TAGS, labels=tags.labels, annotations=tags.annotations),
            *managers,
        ),
        **more,
    )


def cordoned(standing: Mark | None = None, *managers: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A labelled node that carries our mark and our cordon."""
    ours = managed(EVENTS, annotations=(EVENTS_KEY,), cordon=True)
    annotations = {EVENTS_KEY: mark_text(standing or mark()), **more.pop("annotations", {})}
    return labelled(ours, *managers, annotations=annotations, **{"cordoned": True, **more})


def wiped(standing=None, **more):
    """A node of ours after a PUT with `managedFields: []`: nobody owns anything."""
    sent = cordoned(standing, **more)
    sent["metadata"]["managedFields"] = []
    return sent


def uncordoned(standing=None, **more):
    """A node that carries our mark but not our cordon: somebody made it schedulable."""
    ours = managed(EVENTS, annotations=(EVENTS_KEY,))
    sent = cordoned(standing, cordoned=False, **more)
    sent["metadata"]["managedFields"][2] = ours
    return sent


def seen(sent: dict[str, Any], *, quorum: bool = True) -> NodeView:
    """The view of a node document, from etcd unless told otherwise."""
    return read_node(sent, quorum=quorum)


def metadata_of(sent: dict[str, Any]) -> dict[str, Any]:
    """The same node as PartialObjectMetadata."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": sent["metadata"]}


def turn(
    view: NodeView,
    heard_of: Hearing | None = None,
    *,
    vm: Sighting | None = None,
    rules: Rules | None = None,
    now: datetime = NOW,
    instant: float | None = None,
    silent: bool = False,
    **more: Any,
) -> Turn:
    """Decide once, by default at the instant of the last good events document; `silent`: IMDS never said who we are."""
    heard_of = heard_of or showing()
    known = Known(sighting=None if silent else vm or sighting(), hearing=heard_of, **more)
    at = instant if instant is not None else heard_of.last_good or 0.0
    return reconcile(known, view, rules or Rules(), now=now, instant=at)
