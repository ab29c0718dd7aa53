"""The label side of a turn: what each group should say, what may be said already, what that takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.core.actions import Action, ApplyGroup, Group, NodeAction, Sweep
from agent.core.labels import LabelPolicy, Written, fact_labels, own_key, read_identity
from agent.core.node import FACTS, TAGS, NodeView, Owner
from agent.core.refusal import Refusal, allowed
from agent.core.tags import tag_labels
from agent.core.well_known import WellKnown, well_known_labels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.core.instance import Instance
    from agent.core.sighting import Sighting

MANAGERS: dict[Group, str] = {"facts": FACTS, "tags": TAGS}


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRules:
    """What labels depend on besides the VM and the node.

    Attributes:
        refusals: what admission refused, by group, and still stands.
    """

    policy: LabelPolicy = field(default_factory=LabelPolicy)
    well_known: WellKnown = "never"
    refusals: Mapping[Group, Refusal] = field(default_factory=dict)


def another_vm(sighting: Sighting, view: NodeView, domain: str) -> bool:
    """Return whether the node was labelled for a VM that is not this one: then nothing on it is worth keeping."""
    identity = read_identity(view.annotations.get(f"{domain}/instance", ""))
    seen = sighting.instance.vm_id
    return sighting.agreed > 0 and identity is not None and seen is not None and identity.vm_id not in (None, seen)


def is_partial(instance: Instance, view: NodeView, domain: str) -> bool:
    """Return whether an answer lacks a part of the placement that we gave this very node before.

    A VM keeps its zone for life and always has its domains, so an answer without them is partial however often it
    comes; and then the tags that it lacks prove nothing either.
    """
    ours = view.owner(FACTS)
    placed = instance.placement
    parts = {"zone": placed.zone, "fault-domain": placed.fault_domain, "update-domain": placed.update_domain}
    lacking = {f"topology.{domain}/{name}" for name, value in parts.items() if value is None}
    return ours is not None and bool(lacking & ours.labels & view.labels.keys())


def kept(standing: Mapping[str, str], desired: Mapping[str, str], *, settled: bool) -> dict[str, str]:
    """Return what to ask for: all that is desired once the facts are settled, only additions before."""
    return dict(desired) if settled else {**desired, **standing}


def standing(view: NodeView, group: Group, domain: str) -> Written:
    """Return what stands on the node of one group's keys, whoever put it there."""
    annotation = f"{domain}/instance" if group == "facts" else f"{domain}/tags"
    return Written(
        labels={key: value for key, value in view.labels.items() if own_key(key, domain) == group},
        annotations={key: value for key, value in view.annotations.items() if key == annotation},
    )


def written(instance: Instance, group: Group, policy: LabelPolicy) -> Written:
    """Return what one group says of a VM, whatever stands on its node."""
    if group == "facts":
        return fact_labels(instance, policy)
    mapped = tag_labels(instance.tags, policy.tags, policy.domain)
    return Written(labels=mapped.labels, annotations={f"{policy.domain}/tags": mapped.annotation})


def without_doubtful(labels: Mapping[str, str], instance: Instance, domain: str) -> dict[str, str]:
    """Leave out composites that lack a part: it may be that there is none, or that this answer is partial.

    A pod placed by a rack that is too coarse stays there; a node without the label is only passed over, for seconds.
    """
    placed = instance.placement
    parts = {"rack": (placed.zone, placed.fault_domain), "update-group": (placed.zone, placed.update_domain)}
    doubtful = {f"topology.{domain}/{name}" for name, found in parts.items() if None in found}
    return {key: value for key, value in labels.items() if key not in doubtful}


def _permitted(
    refusal: Refusal | None, asked: Mapping[str, str], there: Mapping[str, str], owned: frozenset[str], *, labels: bool
) -> dict[str, str]:
    """Return what to ask for: what was refused stays as it stands if it is ours, for without it an apply would drop it.

    That holds for a key that we no longer want, too: dropping it is what was refused.
    """
    kept_for = asked.keys() | (refusal.keys if refusal else frozenset())
    stays = {key: there[key] for key in kept_for if key in owned and key in there}
    return {**stays, **allowed(refusal, asked, labels=labels)}


def desired(sighting: Sighting, view: NodeView, group: Group, rules: LabelRules) -> Written | None:
    """Return what one group should look like on this node; None while all of it is refused."""
    refusal, domain = rules.refusals.get(group), rules.policy.domain
    if refusal is not None and refusal.everything:
        return None
    wanted = written(sighting.instance, group, rules.policy)
    there = standing(view, group, domain)
    settled = another_vm(sighting, view, domain) or (
        sighting.settled and not is_partial(sighting.instance, view, domain)
    )
    surely = wanted.labels if settled else without_doubtful(wanted.labels, sighting.instance, domain)
    labels = kept(there.labels, surely, settled=settled)
    if group == "facts":
        labels |= well_known_labels(sighting.instance, view, rules.well_known, settled=settled)
    annotations = kept(there.annotations, wanted.annotations, settled=settled)
    ours = view.owner(MANAGERS[group]) or Owner(manager=MANAGERS[group], applied=True)
    return Written(
        labels=_permitted(refusal, labels, view.labels, ours.labels, labels=True),
        annotations=_permitted(refusal, annotations, view.annotations, ours.annotations, labels=False),
    )


def _differs(standing: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return any(standing.get(key) != value for key, value in wanted.items())


def _group_action(
    sighting: Sighting, view: NodeView, group: Group, manager: str, rules: LabelRules
) -> NodeAction | None:
    wanted = desired(sighting, view, group, rules)
    if wanted is None:
        return None
    ours = view.owner(manager)
    dropped = ours is not None and (ours.labels - wanted.labels.keys() or ours.annotations - wanted.annotations.keys())
    if dropped or _differs(view.labels, wanted.labels) or _differs(view.annotations, wanted.annotations):
        return ApplyGroup(group=group, written=wanted)
    there = standing(view, group, rules.policy.domain)
    labels, annotations = (
        there.labels.keys() - wanted.labels.keys(),
        there.annotations.keys() - wanted.annotations.keys(),
    )
    if (labels or annotations) and group not in rules.refusals:
        return Sweep(labels=tuple(sorted(labels)), annotations=tuple(sorted(annotations)))
    return None


def group_of(action: Action, domain: str) -> Group | None:
    """Return the group whose labels and annotations an action is about; None for the mark and the cordon."""
    if isinstance(action, ApplyGroup):
        return action.group
    if not isinstance(action, Sweep):
        return None
    keys = {*action.labels, *action.annotations}
    groups: tuple[Group, ...] = ("facts", "tags")
    annotation = {f"{domain}/instance": "facts", f"{domain}/tags": "tags"}
    return next((g for g in groups if any(own_key(k, domain) == g or annotation.get(k) == g for k in keys)), None)


def label_actions(sighting: Sighting | None, view: NodeView, rules: LabelRules) -> tuple[NodeAction, ...]:
    """Return what brings labels and annotations of both groups to what they should be; nothing while IMDS is silent."""
    if sighting is None:
        return ()
    found = [_group_action(sighting, view, group, manager, rules) for group, manager in MANAGERS.items()]
    return tuple(action for action in found if action is not None)


def labelled(sighting: Sighting | None, view: NodeView, domain: str) -> bool:
    """Return whether the node has all the topology labels that it will get, if no action is wanted for them any more.

    The rack comes last: on a regional VM only once three answers agreed.
    """
    if sighting is None or sighting.agreed == 0:
        return False
    return sighting.settled or f"topology.{domain}/rack" in view.labels


def unlabel_actions(view: NodeView, domain: str) -> tuple[NodeAction, ...]:
    """Return what takes all labels and annotations of both groups off the node."""
    found: list[NodeAction] = []
    for group, manager in MANAGERS.items():
        if (ours := view.owner(manager)) is not None and (ours.labels or ours.annotations):
            found.append(ApplyGroup(group=group, written=Written(labels={}, annotations={})))
            continue
        there = standing(view, group, domain)
        if there.labels or there.annotations:
            found.append(Sweep(labels=tuple(sorted(there.labels)), annotations=tuple(sorted(there.annotations))))
    return tuple(found)
