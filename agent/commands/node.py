"""`plan`, `label`, `hold` and `withdraw`: one look at the real node, or one change of it."""

from __future__ import annotations

import dataclasses
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from agent.clients.cluster import Cluster
from agent.clients.cluster_errors import ClusterError, ClusterRefused, NodeMissing
from agent.clients.cluster_taints import write_taints
from agent.clients.imds_errors import ImdsError
from agent.commands.facts import DEADLINE
from agent.commands.output import BOLD, paint, say, say_json, short
from agent.core.actions import (
    Action,
    ApplyGroup,
    ApplyMark,
    Approve,
    Ask,
    ClearCordon,
    FreePlace,
    HandOver,
    RenewPlace,
    SetTaints,
    Sweep,
    TakePlace,
)
from agent.core.events import event_key
from agent.core.hearing import Hearing, heard
from agent.core.judgement import own_events
from agent.core.known import Known, Turn
from agent.core.labelling import MANAGERS
from agent.core.labels import own_key
from agent.core.maintenance import Cordon, Drain, Notify
from agent.core.mark import read_mark
from agent.core.marking import vm_name
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
from agent.core.policy import decide
from agent.core.reconcile import reconcile
from agent.core.sighting import ENOUGH, Sighting, sighted
from agent.core.taints import TaintRules, wants_taints
from agent.daemon.acts import Acts, node_body
from agent.daemon.metrics import Metrics
from agent.daemon.partners import access, imds_client
from agent.settings import Settings, own_node
from agent.told import Told

if TYPE_CHECKING:
    import argparse

    from agent.clients.imds import Imds


def _sight(imds: Imds) -> Sighting:
    """Look until the facts are settled: a one-shot run must not be less careful than the daemon."""
    sighting = None
    for _ in range(ENOUGH):
        sighting = sighted(sighting, imds.instance(deadline=DEADLINE).value)
    if sighting is None:
        raise AssertionError(ENOUGH)
    return sighting


def _listen(imds: Imds) -> Hearing:
    return heard(Hearing(), imds.events().value, time.monotonic())


def _turn(settings: Settings, known: Known, view: NodeView) -> Turn:
    now, instant = datetime.now(timezone.utc), time.monotonic()
    return reconcile(known, view, settings.rules(), now=now, instant=instant)


def plan(settings: Settings, arguments: argparse.Namespace) -> int:
    """Show what the daemon would do to the real node now, and why; nothing is written."""
    imds, node = imds_client(settings), own_node(settings)
    cluster = Cluster(access(settings))
    sighting = _sight(imds)
    try:
        hearing, trouble = (_listen(imds), None) if settings.events else (Hearing(), "events are switched off")
    except ImdsError as error:
        hearing, trouble = Hearing(), str(error)
    view = read_node(cluster.node(node), quorum=True)
    known = Known(sighting=sighting, hearing=hearing)
    turn = _turn(settings, known, view)
    if arguments.output == "json":
        actions = [{"action": type(action).__name__, **dataclasses.asdict(action)} for action in turn.actions]
        name = type(turn.plan).__name__.lower() if turn.plan else None
        say_json(
            {
                "node": node,
                "plan": name,
                "actions": actions,
                "holds": [hold.who for hold in turn.holds],
                "trouble": trouble,
            }
        )
        return 0
    _show_events(settings, known, view, turn)
    if trouble:
        say(f"  events not known: {trouble}")
    _show_actions(turn, view)
    return 0


def _show_events(settings: Settings, known: Known, view: NodeView, turn: Turn) -> None:
    rules = settings.rules()
    state = "cordoned" if view.unschedulable else "schedulable"
    name = type(turn.plan).__name__.lower() if turn.plan else "unknown"
    say(f"{paint('node', BOLD)} {view.name}: {state}; {paint('plan', BOLD)}: {name}")
    own = own_events(known.hearing, vm_name(known.sighting, view, rules.labels.domain))
    for event in own:
        decision = decide(event, rules.events, datetime.now(timezone.utc))
        say(f"  {event.type} {event.id} {event.status}: {decision.do}, {decision.because}")
    marked = turn.plan.mark.events if isinstance(turn.plan, (Cordon, Drain, Notify)) else ()
    present = {event_key(event.id) for event in own}
    for gone in (event for event in marked if event_key(event.id) not in present):
        say(f"  {gone.type} {gone.id}: marked, not announced now; forgotten when it has been gone for long enough")
    if isinstance(turn.plan, Cordon) and turn.plan.waiting_for:
        say(f"  not given back yet: {turn.plan.waiting_for}")
    if isinstance(turn.plan, (Cordon, Drain, Notify)) and any(event.overridden for event in turn.plan.mark.events):
        say("  overridden: somebody made the node schedulable during an event")
    for hold in holds(view, rules.labels.domain):
        say(f"  held by {hold.who}")


def _show_actions(turn: Turn, view: NodeView) -> None:
    if not turn.actions:
        say("  nothing to write")
    for action in turn.actions:
        for line in _describe(action, view):
            say(line)


def _describe(action: Action, view: NodeView) -> list[str]:
    match action:
        case ApplyGroup():
            wanted = {**action.written.labels, **action.written.annotations}
            there = {**view.labels, **view.annotations}
            changed = [
                f"    {key}: {short(there.get(key, '(nothing)'))} -> {short(value)}"
                for key, value in wanted.items()
                if there.get(key) != value
            ]
            ours = view.owner(MANAGERS[action.group])
            gone = (ours.labels | ours.annotations) - wanted.keys() if ours else ()
            dropped = [f"    {key}: {short(there.get(key, ''))} -> (nothing)" for key in sorted(gone)]
            count = len(changed) + len(dropped)
            return [f"  apply {action.group}: {len(wanted)} keys, {count} to change", *changed, *dropped]
        case ApplyMark():
            what = "mark and cordon" if action.cordon else "mark, no cordon" if action.mark else "withdraw our mark"
            cordon = " and our cordon" if not (action.cordon or action.mark) and view.cordon_is_applied_by_us() else ""
            return [f"  {what}{cordon}"]
        case HandOver():
            return [f"  hand the cordon over: {', '.join(hold.who for hold in action.holds)}"]
        case ClearCordon():
            return ["  clear a cordon of ours whose ownership was lost"]
        case SetTaints():
            startup = [f"  lift the startup taint: {action.lift_startup}"] if action.lift_startup else []
            return [*startup, f"  taint for the event: {action.event_type or 'none'}"]
        case Ask():
            pod, how = action.asking.pod, "delete" if action.asking.delete else "evict"
            grace = f", with {action.asking.grace} s of grace" if action.asking.grace is not None else ""
            return [f"  {how} {pod} (priority {pod.priority}{grace})"]
        case TakePlace() | RenewPlace() | FreePlace():
            return [f"  {type(action).__name__.removesuffix('Place').lower()} a place in the {action.purpose} budget"]
        case Approve():
            return [f"  approve {action.event_type} {action.event_id} for {', '.join(action.resources)}"]
        case Sweep():
            return [f"  remove leftovers: {', '.join((*action.labels, *action.annotations))}"]


def label(settings: Settings, arguments: argparse.Namespace) -> int:
    """Bring labels and annotations of the node up to date once."""
    node, cluster = own_node(settings), Cluster(access(settings))
    known = Known(sighting=_sight(imds_client(settings)))
    view = read_node(cluster.node(node), quorum=True)
    acts = Acts(cluster, _Quiet(), Metrics(), settings.rules())
    done = 0
    for _ in range(4):  # an apply and a sweep for each of two groups
        wanted = [a for a in _turn(settings, known, view).actions if isinstance(a, (ApplyGroup, Sweep))]
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
    node, cluster = own_node(settings), Cluster(access(settings))
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
    cluster = Cluster(access(settings))
    failed = 0
    for name in _all_names(cluster) if arguments.all else [own_node(settings)]:
        try:
            view = _withdrawn(cluster, name, settings.domain)
        except ClusterError as error:
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


def _all_names(cluster: Cluster) -> list[str]:
    try:
        return cluster.node_names()
    except ClusterRefused as refusal:
        raise Told(f"--all needs the right to list nodes, as an admin's --kubeconfig has it: {refusal}") from refusal


def _withdrawn(cluster: Cluster, name: str, domain: str) -> NodeView:
    """Apply nothing under each of our managers, then remove what others own of ours; a cordon that others want stays."""
    view = read_node(cluster.node(name), quorum=True)
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


class _Quiet:
    """A log for one-shot commands: what is worth saying is printed."""

    def info(self, _event: str, **_facts: Any) -> None:
        """Say nothing."""

    warning = info
