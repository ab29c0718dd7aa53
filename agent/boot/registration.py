"""What kubelet registers its node with: labels that the agent would give it anyway, and what our own part asks for.

A kubelet ends at once on one label that is not valid, or that it may not set (tried); so whatever is doubtful is left out, and
said. The agent adds it later.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.core.labelling import without_doubtful, written
from agent.core.labels import own_key
from agent.core.node import DRAINER_TAINTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agent.core.instance import Instance
    from agent.core.labels import LabelPolicy
    from agent.core.own_part import OwnPart, OwnTaint

STARTUP_EFFECT = "NoSchedule"
# NodeRestriction's and kubelet's own list (kubelet's well_known_labels.go, 1.34); below these domains all else is refused.
KUBERNETES = ("kubernetes.io", "k8s.io")
SETTABLE_BELOW = ("kubelet.kubernetes.io", "node.kubernetes.io")
SETTABLE = frozenset(
    {
        "kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch",
        "topology.kubernetes.io/zone", "topology.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region",
        "node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type",
        "beta.kubernetes.io/os", "beta.kubernetes.io/arch",
    }
)  # fmt: skip
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_DNS = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What a kubelet is told.

    Attributes:
        taints: as kubelet reads them, `key=value:effect`.
        left_out: what it is not told, and why, a sentence each.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def registration(
    instance: Instance | None, policy: LabelPolicy, own: Iterable[OwnPart] = (), startup: str | None = None
) -> Registration:
    """Return what to tell kubelet.

    Args:
        instance: None while nothing is known of the VM; taints and own labels do not depend on it.
        own: our own parts; of two that name one key the first counts.
        startup: the key of the taint that the agent lifts once the labels stand; None for none.
    """
    parts = tuple(own)
    ours = _ours(instance, policy) if instance is not None else {}
    labels = {key: value for key, value in ours.items() if is_settable(key, value)}
    left_out = [f"label {key}: a kubelet may not set it" for key in ours.keys() - labels.keys()]
    for key, value in (pair for part in parts for pair in part.labels):
        if own_key(key, policy.domain) in ("facts", "tags") or not is_settable(key, value):
            left_out.append(f"own label {key}: it is the agent's, or a kubelet may not set it")
        else:
            labels.setdefault(key, value)
    taints, refused = _taints([taint for part in parts for taint in part.taints])
    wrong = sum(
        len(part.refused) for part in parts
    )  # their texts quote userData, which is nobody's business in a journal
    left_out += [
        *refused,
        *([f"own part: {wrong} pieces refused; `imds-agent custom-data` shows which"] if wrong else []),
    ]
    first = (f"{startup}:{STARTUP_EFFECT}",) if startup else ()
    return Registration(labels=labels, taints=tuple(dict.fromkeys([*first, *taints])), left_out=tuple(left_out))


def is_settable(key: str, value: str) -> bool:
    """Say whether a kubelet takes this label, and may give it to its own node."""
    domain, slash, name = key.rpartition("/")
    if not _NAME.fullmatch(name) or (slash and not _DNS.fullmatch(domain)) or len(domain) > 253:
        return False
    if value and not _NAME.fullmatch(value):
        return False
    theirs = any(_within(domain, each) for each in KUBERNETES)
    return not theirs or key in SETTABLE or any(_within(domain, each) for each in SETTABLE_BELOW)


def _ours(instance: Instance, policy: LabelPolicy) -> dict[str, str]:
    """Return the labels that the agent would add at its first look; those that wait for a third answer are left to it."""
    facts = without_doubtful(written(instance, "facts", policy).labels, instance, policy.domain)
    return {**facts, **written(instance, "tags", policy).labels}


def _taints(asked: Iterable[OwnTaint]) -> tuple[list[str], list[str]]:
    """Return taints as kubelet reads them, and what is refused: a drainer's key would keep the node cordoned after an event."""
    found: dict[tuple[str, str], str] = {}
    refused = []
    for taint in asked:
        drainer = DRAINER_TAINTS.get(taint.key)
        if drainer is not None:
            refused.append(f"own taint {taint.key}: it is {drainer}'s")
            continue
        value = f"={taint.value}" if taint.value else ""
        found.setdefault((taint.key, taint.effect), f"{taint.key}{value}:{taint.effect}")
    return list(found.values()), refused


def _within(domain: str, other: str) -> bool:
    return domain == other or domain.endswith(f".{other}")
