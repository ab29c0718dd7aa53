"""The pods of a node and their disruption budgets, as a drain needs them.

Both come from lists of the API server. An odd field costs only itself: a pod that is skipped would let a drain call
itself done while that pod runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from agent.core.dates import read_date

if TYPE_CHECKING:
    from collections.abc import Iterable

GRACE = 30.0  # seconds; what the API server sets where a pod says nothing
MIRROR = "kubernetes.io/config.mirror"  # kubelet's copy of a static pod; deleting it ends nothing
FINISHED = ("Succeeded", "Failed")
LONG_AGO = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """One pod.

    Attributes:
        grace: seconds from the request to end until its containers are killed.
        managed: it has a controller, which starts another one elsewhere.
        empty_dir: it has a volume that goes with it.
        leaving_at: UTC; the moment by which a pod that was told to end should be gone. None for one that was not told.
        running: some container of it has not ended.
        finalizers: what keeps its object after its end.
    """

    uid: str
    namespace: str
    name: str
    priority: int = 0
    grace: float = GRACE
    phase: str = ""
    mirror: bool = False
    daemon_set: bool = False
    managed: bool = False
    empty_dir: bool = False
    leaving_at: datetime | None = None
    running: bool = True
    finalizers: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether it has come to its own end."""
        return self.phase in FINISHED

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One condition of a label selector; an operator other than the four of Kubernetes is never met."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def meets(self, labels: Mapping[str, str]) -> bool:
        """Return whether these labels meet it."""
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case "DoesNotExist":
                return self.key not in labels
            case _:
                return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A PodDisruptionBudget of policy/v1.

    Attributes:
        selector: all must be met, so that an empty one selects each pod of the namespace; None selects no pod.
        allowed: how many of its pods may go now; None where its controller has not said.
    """

    namespace: str
    name: str
    selector: tuple[Requirement, ...] | None = None
    allowed: int | None = None

    def covers(self, pod: Pod) -> bool:
        """Return whether it is about this pod."""
        if self.selector is None or pod.namespace != self.namespace:
            return False
        return all(requirement.meets(pod.labels) for requirement in self.selector)


def budgets_of(pod: Pod, budgets: Iterable[Budget]) -> tuple[str, ...]:
    """Return the names of the budgets that are about this pod; the API server evicts no pod of two."""
    return tuple(budget.name for budget in budgets if budget.covers(pod))


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _objects(value: object) -> Iterator[Mapping[str, object]]:
    for item in value if isinstance(value, list) else ():
        yield _mapping(item)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()


def _labels(value: object) -> dict[str, str]:
    return {str(key): text for key, text in _mapping(value).items() if isinstance(text, str)}


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _leaving_at(metadata: Mapping[str, object]) -> datetime | None:
    """Return when it should be gone; long ago where it is leaving at a time that nobody can read."""
    told = metadata.get("deletionTimestamp")
    return None if told is None else read_date(_text(told)) or LONG_AGO


def _running(status: Mapping[str, object]) -> bool:
    """Return whether a container has not ended; a sidecar stands among the init containers, which else just wait."""
    if status.get("phase") in FINISHED:
        return False
    states = [_mapping(each.get("state")) for each in _objects(status.get("containerStatuses"))]
    sidecars = [_mapping(each.get("state")) for each in _objects(status.get("initContainerStatuses"))]
    return not states or any("terminated" not in state for state in states) or any("running" in s for s in sidecars)


def _pod(document: Mapping[str, object]) -> Pod | None:
    metadata, spec = _mapping(document.get("metadata")), _mapping(document.get("spec"))
    status = _mapping(document.get("status"))
    uid, name = _text(metadata.get("uid")), _text(metadata.get("name"))
    if not uid or not name:
        return None
    owners = list(_objects(metadata.get("ownerReferences")))
    controllers = [_text(owner.get("kind")) for owner in owners if owner.get("controller") is True]
    grace = _number(spec.get("terminationGracePeriodSeconds"))
    return Pod(
        uid=uid,
        namespace=_text(metadata.get("namespace")),
        name=name,
        priority=_number(spec.get("priority")) or 0,
        grace=GRACE if grace is None else float(max(0, grace)),
        phase=_text(status.get("phase")),
        mirror=MIRROR in _mapping(metadata.get("annotations")) or any(owner.get("kind") == "Node" for owner in owners),
        daemon_set="DaemonSet" in controllers,
        managed=bool(controllers),
        empty_dir=any("emptyDir" in volume for volume in _objects(spec.get("volumes"))),
        leaving_at=_leaving_at(metadata),
        running=_running(status),
        finalizers=_texts(metadata.get("finalizers")),
        labels=_labels(metadata.get("labels")),
    )


def read_pods(document: Mapping[str, object]) -> tuple[Pod, ...]:
    """Read a PodList; only what has no uid or no name is not a pod."""
    pods = (_pod(item) for item in _objects(document.get("items")))
    return tuple(pod for pod in pods if pod is not None)


def _selector(found: object) -> tuple[Requirement, ...] | None:
    if not isinstance(found, Mapping):
        return None
    named = _labels(found.get("matchLabels"))
    equal = [Requirement(key=key, operator="In", values=frozenset({value})) for key, value in named.items()]
    written = [
        Requirement(
            key=_text(each.get("key")),
            operator=_text(each.get("operator")),
            values=frozenset(_texts(each.get("values"))),
        )
        for each in _objects(found.get("matchExpressions"))
    ]
    return (*equal, *written)


def read_budgets(document: Mapping[str, object]) -> tuple[Budget, ...]:
    """Read a PodDisruptionBudgetList of policy/v1."""
    found = []
    for item in _objects(document.get("items")):
        metadata, spec = _mapping(item.get("metadata")), _mapping(item.get("spec"))
        budget = Budget(
            namespace=_text(metadata.get("namespace")),
            name=_text(metadata.get("name")),
            selector=_selector(spec.get("selector")),
            allowed=_number(_mapping(item.get("status")).get("disruptionsAllowed")),
        )
        found.append(budget)
    return tuple(found)
