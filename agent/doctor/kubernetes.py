"""Can the agent do its work on its node? Judged from what the API server says."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from agent.core.labels import own_key
from agent.core.node import EVENTS, FACTS, HANDOVER, SWEEP, TAGS
from agent.doctor.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agent.core.node import NodeView

OURS = (FACTS, TAGS, EVENTS, HANDOVER, SWEEP)
# Labels that differ between zones: cluster-autoscaler takes pools for different ones by them (its compare_nodegroups.go).
ZONAL = ("zone", "rack", "update-group", "placement-group", "physical-zone", "host")


class Right(NamedTuple):
    """A right and what it is for; `namespace` None is the whole cluster."""

    verb: str
    group: str
    resource: str
    purpose: str
    namespace: str | None = None
    subresource: str = ""

    def __str__(self) -> str:
        sub = f"/{self.subresource}" if self.subresource else ""
        return f"{self.verb} {self.resource}{sub}"


def wanted_rights(
    *, events: bool, drain: bool, delete: bool, budgets: bool, approval: bool, told: bool, namespace: str
) -> tuple[Right, ...]:
    """Return the rights that the settings ask for; manifests/README.md says what each is for."""
    found = [Right("get", "", "nodes", "see the own node"), Right("patch", "", "nodes", "labels, mark and cordon")]
    if events and (budgets or approval):
        found.append(Right("list", "", "nodes", "count nodes, and see the marks of an event's other nodes"))
    if told:
        found += [Right(verb, "", "events", "tell what happened", "default") for verb in ("create", "patch")]
    if events and drain:
        found.append(Right("list", "", "pods", "who is on the node"))
        found.append(Right("create", "", "pods", "ask a pod to leave", subresource="eviction"))
        found.append(Right("list", "policy", "poddisruptionbudgets", "pods without a budget first"))
    if events and drain and delete:
        found.append(Right("delete", "", "pods", "what is left at the deadline"))
    if events and budgets:
        verbs = ("list", "create", "get", "update")
        found += [Right(verb, "coordination.k8s.io", "leases", "places in a budget", namespace) for verb in verbs]
    return tuple(found)


def reachable(server: str | None, error: str | None) -> Finding:
    """Judge the way to the API server."""
    if error is None:
        return Finding(check="kubernetes", verdict="ok", looked_at="the own node", found=f"answered by {server}")
    advice = "Without it nothing is labelled or cordoned; with IMDS alone `imds-agent facts` works"
    return Finding(check="kubernetes", verdict="bad", looked_at="the own node", found=error, advice=advice)


def not_asked(check: str, why: str) -> Finding:
    """Return a check that needs a node and a cluster."""
    return Finding(check=check, verdict="unknown", looked_at="Kubernetes", found=why)


def rights(answers: Mapping[Right, bool]) -> Finding:
    """Judge what the API server says that we may do."""
    lacking = [right for right in answers if not answers[right]]
    looked_at = f"{len(answers)} rights by SelfSubjectAccessReview"
    if not lacking:
        return Finding(check="rights", verdict="ok", looked_at=looked_at, found="all that the settings ask for")
    found = "lacking: " + ", ".join(f"{right} ({right.purpose})" for right in lacking)
    return Finding(
        check="rights",
        verdict="bad",
        looked_at=looked_at,
        found=found,
        advice="Apply the manifests that belong to these settings",
    )


def policy(enforced: int, because: str) -> Finding:
    """Judge whether the own-node policy holds, by a dry run of what it must refuse."""
    looked_at = "a foreign label on the own node, in a dry run"
    if enforced == 1:
        return Finding(check="own-node policy", verdict="ok", looked_at=looked_at, found="refused, as it must be")
    if enforced == 0:
        advice = (
            "It does not bind these credentials. Right for an admin's or kubelet's: ask in the agent's pod. If they are"
            " the agent's, they may change any node: apply base/own-node-policy.yaml (Kubernetes 1.30 or newer)"
        )
        return Finding(check="own-node policy", verdict="warn", looked_at=looked_at, found="accepted", advice=advice)
    return Finding(check="own-node policy", verdict="unknown", looked_at=looked_at, found=because[:200])


def owners(view: NodeView, labels: Mapping[str, str]) -> Finding:
    """Find others who own labels that we want."""
    theirs: dict[str, list[str]] = {}
    for owner in view.owners:
        if owner.manager in OURS:
            continue
        for key in sorted(owner.labels & labels.keys()):
            if view.labels.get(key) != labels[key]:
                theirs.setdefault(owner.manager, []).append(key)
    looked_at = f"who owns {len(labels)} labels on the node"
    if not theirs:
        return Finding(check="label owners", verdict="ok", looked_at=looked_at, found="nobody wants other values")
    found = "; ".join(f"{manager}: {', '.join(keys)}" for manager, keys in theirs.items())
    advice = "The agent takes keys below its own prefixes, and leaves others; let one of the two stop"
    return Finding(check="label owners", verdict="warn", looked_at=looked_at, found=found, advice=advice)


def autoscaler(view: NodeView, labels: Iterable[str], domain: str) -> Finding:
    """Warn where cluster-autoscaler balances pools, and our labels make pools in different zones look different."""
    keys = [key for key in labels if own_key(key, domain) == "facts" and key.rpartition("/")[2] in ZONAL]
    seen = _autoscaled(view)
    looked_at = "labels that differ between zones, and signs of cluster-autoscaler"
    if not keys or not seen:
        found = "no sign of it on this node" if keys else "no such labels"
        return Finding(check="autoscaler", verdict="ok", looked_at=looked_at, found=found)
    flags = " ".join(f"--balancing-ignore-label={key}" for key in sorted(keys))
    advice = (
        f"If it runs with --balance-similar-node-groups, give it: {flags}. AKS's own has none: exclude these labels"
    )
    return Finding(check="autoscaler", verdict="warn", looked_at=looked_at, found=", ".join(seen), advice=advice)


def _autoscaled(view: NodeView) -> Sequence[str]:
    """Return what cluster-autoscaler leaves on a node."""
    taints = [taint.key for taint in view.taints or () if "ClusterAutoscaler" in taint.key]
    notes = [key for key in view.annotations if key.startswith("cluster-autoscaler.kubernetes.io/")]
    agents = [owner.manager for owner in view.owners if "cluster-autoscaler" in owner.manager]
    return [*taints, *notes, *agents]
