"""`label`, `hold` and `withdraw`: one change of the real node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.clients.cluster import Cluster
from agent.clients.cluster_errors import SHOWN, ClusterError, ClusterRefused, NodeMissing
from agent.clients.cluster_taints import write_taints
from agent.commands.output import say, say_json
from agent.commands.plan import Quiet, sight, turn_of
from agent.core.actions import (
    ApplyGroup,
    Sweep,
)
from agent.core.known import Known
from agent.core.labels import own_key
from agent.core.mark import read_mark
from agent.core.node import (
    EVENTS,
    FACTS,
    HANDOVER,
    RELEASE,
    SWEEP,
    TAGS,
    NodeView,
    cordoned_by_others,
    holds,
    read_node,
)
from agent.core.taints import TaintRules, wants_taints
from agent.core.well_known import WELL_KNOWN
from agent.daemon.acts import Acts, node_body
from agent.daemon.metrics import Metrics
from agent.daemon.partners import imds_client, one_try
from agent.settings import Settings, own_node
from agent.told import Told

if TYPE_CHECKING:
    import argparse


def label(settings: Settings, arguments: argparse.Namespace) -> int:
    """Bring labels and annotations of the node up to date once."""
    node, cluster = own_node(settings), Cluster(one_try(settings))
    known = Known(sighting=sight(imds_client(settings)))
    view = read_node(cluster.node(node), quorum=True)
    acts = Acts(cluster, Quiet(), Metrics(), settings.rules())
    done = 0
    _ours_alone(view, settings.domain)
    for _ in range(4):  # an apply and a sweep for each of two groups
        wanted = [a for a in turn_of(settings, known, view).actions if isinstance(a, (ApplyGroup, Sweep))]
        for action in wanted:
            view = acts.carry_out(action, view)
            done += 1
        if not wanted:
            break
    if arguments.output == "json":
        say_json({"node": node, "requests": done, "labels": dict(view.labels)})
    else:
        say(f"node {node}: {'labels applied' if done else 'nothing to change'}")
    return 0


def hold(settings: Settings, arguments: argparse.Namespace) -> int:
    """Set or remove the annotation that keeps the node cordoned after our events."""
    node, cluster = own_node(settings), Cluster(one_try(settings))
    value = None if arguments.remove else arguments.reason
    body = {"metadata": {"annotations": {f"{settings.domain}/hold": value}}}
    view = read_node(cluster.merge(node, body, manager="imds-agent-hold"), quorum=True)
    if value is not None:
        say(f"node {node}: on hold ({value}): a cordon of ours now stays when its event is over")
        return 0
    say(f"node {node}: no hold")
    handed = view.owner(HANDOVER)
    if view.unschedulable and handed and handed.unschedulable:
        say(f"  it stays cordoned until somebody says: kubectl uncordon {node}")
    return 0


def withdraw(settings: Settings, arguments: argparse.Namespace) -> int:
    """Take all our fields off the node, or off every node; one that fails does not keep us from the others."""
    if not arguments.all:
        own_node(settings)
    cluster = Cluster(one_try(settings))
    names = _all_names(cluster) if arguments.all else [own_node(settings)]
    if arguments.all:
        say(f"off all nodes of {cluster.server}")
    failed = 0
    for name in names:
        try:
            view = _withdrawn(cluster, name, settings.domain)
        except (ClusterError, NotOurs) as error:
            if not arguments.all:
                raise
            failed += not isinstance(error, NodeMissing)
            say(f"node {name}: {error}")
            continue
        say(f"node {name}: withdrawn")
        if view.unschedulable:
            who = sorted(owner.manager for owner in view.owners if owner.unschedulable)
            say(f"  it stays cordoned, by {', '.join(who) or 'nobody known'}: kubectl uncordon {name}")
    if failed:
        raise Told(f"{failed} node(s) were not withdrawn, see above")
    return 0


class NotOurs(Told):
    """Our field managers are noted as owners of what is not ours."""


def _ours_alone(view: NodeView, domain: str) -> None:
    """Make sure that what an apply of ours would drop is ours: here it may be an admin's rights that it is sent with.

    Whoever has the token of a node's agent can have it noted that our managers own that node's taints; no policy can prevent it.

    Raises:
        NotOurs: nothing was changed.
    """
    for owner in view.owners:
        if not owner.applied or owner.manager not in (EVENTS, FACTS, TAGS, HANDOVER):
            continue
        foreign = {key for key in owner.labels | owner.annotations if own_key(key, domain) is None} - WELL_KNOWN
        if strange := sorted(foreign | owner.others):
            raise NotOurs(
                f"node {view.name}: {owner.manager} is noted as the owner of {', '.join(strange)[:SHOWN]}, which it never writes:"
                f" nothing was changed; see kubectl get node {view.name} -o yaml --show-managed-fields"
            )


def _all_names(cluster: Cluster) -> list[str]:
    try:
        return cluster.node_names()
    except ClusterRefused as refusal:
        raise Told(f"--all needs the right to list nodes, as an admin's --kubeconfig has it: {refusal}") from refusal


def _withdrawn(cluster: Cluster, name: str, domain: str) -> NodeView:
    """Apply nothing under each of our managers, then remove what others own of ours; a cordon that others want stays."""
    view = read_node(cluster.node(name), quorum=True)
    _ours_alone(view, domain)
    mark = read_mark(view.annotations.get(f"{domain}/events"))
    wanted_by_others = bool(holds(view, domain)) or cordoned_by_others(view, domain)
    if view.cordon_is_applied_by_us() and holds(view, domain):
        view = read_node(
            cluster.apply(name, node_body(view, spec={"unschedulable": True}), manager=HANDOVER, force=True)
        )
    for manager in (EVENTS, FACTS, TAGS):
        view = read_node(cluster.apply(name, node_body(view), manager=manager, force=True))
    # Our mark said that the cordon was ours, so it must not stay for having lost its owner.
    orphan = view.unschedulable and mark and mark.cordons and not mark.before and not wanted_by_others
    if orphan:
        body = {
            "metadata": {"uid": view.uid, "resourceVersion": view.resource_version},
            "spec": {"unschedulable": None},
        }
        view = read_node(cluster.merge(name, body, manager=RELEASE))
    taint = TaintRules()  # off: whatever effect it has, it goes; a startup taint that nobody lifted is kubelet's
    if wants_taints(view.taints or (), event_type=None, lift_startup=False, rules=taint, domain=domain):
        document = write_taints(
            cluster, name, view.uid, event_type=None, lift_startup=False, rules=taint, domain=domain
        )
        view = read_node(document)
    labels = [key for key in view.labels if own_key(key, domain) in ("facts", "tags")]
    annotations = [key for key in view.annotations if key.startswith(f"{domain}/") and key != f"{domain}/hold"]
    if labels or annotations:
        metadata = {"uid": view.uid, "labels": dict.fromkeys(labels), "annotations": dict.fromkeys(annotations)}
        view = read_node(cluster.merge(name, {"metadata": metadata}, manager=SWEEP))
    return view
