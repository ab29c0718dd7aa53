"""Actions carried out: each becomes one request, or two where somebody else owns a field of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.clients.cluster_errors import ClusterConflict
from agent.clients.cluster_taints import write_taints
from agent.core.actions import ApplyGroup, ApplyMark, ClearCordon, HandOver, NodeAction, SetTaints, Sweep
from agent.core.labelling import MANAGERS
from agent.core.labels import own_key
from agent.core.mark import mark_text
from agent.core.node import EVENTS, HANDOVER, RELEASE, SWEEP, NodeView, read_node

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.clients.cluster import Cluster
    from agent.core.known import Rules
    from agent.daemon.herald import Herald


def node_body(view: NodeView, *, spec: Mapping[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    """Return an apply body for this very node object: with its uid, a missing or replaced one is refused."""
    body: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": view.name, "uid": view.uid, **metadata},
    }
    return body | ({"spec": dict(spec)} if spec else {})


class Acts:
    """Carries out actions on one node."""

    def __init__(self, cluster: Cluster, log: Any, metrics: Any, rules: Rules, herald: Herald | None = None) -> None:
        """Act through one connection.

        Args:
            herald: tells others; None where a command of a person's acts.
        """
        self._herald = herald
        self._cluster = cluster
        self._log = log
        self._metrics = metrics
        self._domain = rules.labels.domain
        self._taints = rules.taints

    def carry_out(self, action: NodeAction, view: NodeView) -> NodeView:
        """Carry out one action on the node in this view; returns the node after it.

        Raises:
            ClusterError: it was not done.
        """
        match action:
            case ApplyGroup():
                document = self._apply_group(action, view)
            case ApplyMark():
                document = self._apply_mark(action, view)
            case HandOver():
                body = node_body(view, spec={"unschedulable": True}, resourceVersion=view.resource_version)
                document = self._cluster.apply(view.name, body, manager=HANDOVER, force=True)
                self._log.warning("cordon.handed_over", holds=[hold.who for hold in action.holds])
            case ClearCordon():
                document = self._clear_cordon(action, view)
            case SetTaints():
                document = self._set_taints(action, view)
            case Sweep():
                gone = {"labels": dict.fromkeys(action.labels), "annotations": dict.fromkeys(action.annotations)}
                body = {"metadata": {"uid": view.uid, **{kind: keys for kind, keys in gone.items() if keys}}}
                document = self._cluster.merge(view.name, body, manager=SWEEP)
                self._log.info("leftovers.removed", labels=action.labels, annotations=action.annotations)
        return read_node(document, quorum=True)

    def _apply_group(self, action: ApplyGroup, view: NodeView) -> dict[str, Any]:
        labels, annotations = action.written.labels, action.written.annotations
        body = node_body(view, labels=labels, annotations=annotations)
        manager = MANAGERS[action.group]
        try:
            document = self._cluster.apply(view.name, body, manager=manager, force=False)
        except ClusterConflict as conflict:
            self._log.warning("labels.conflict_found", group=action.group, managers=dict(conflict.managers))
            self._metrics.conflicts.labels(action.group).inc(len(conflict.managers))
            # Forced only below our own prefixes: what others said of well-known keys stands.
            ours = {key: value for key, value in labels.items() if own_key(key, self._domain)}
            body = node_body(view, labels=ours, annotations=annotations)
            document = self._cluster.apply(view.name, body, manager=manager, force=True)
        changed = sorted(key for key in labels if view.labels.get(key) != labels[key])
        self._log.info("labels.applied", group=action.group, labels=len(labels), changed=changed)
        return document

    def _apply_mark(self, action: ApplyMark, view: NodeView) -> dict[str, Any]:
        """Apply the mark and the cordon at once, forced: somebody else's `false` would refuse the whole request.

        Where a mark stands already, only if the node is still as it was seen: a cordon that somebody took back, or a hold
        that somebody set in between, would be lost. The first cordon asks for nothing.
        """
        key = f"{self._domain}/events"
        metadata: dict[str, Any] = {"annotations": {key: mark_text(action.mark)}} if action.mark else {}
        if key in view.annotations:
            metadata["resourceVersion"] = view.resource_version
        body = node_body(view, spec={"unschedulable": True} if action.cordon else None, **metadata)
        others = [
            owner.manager for owner in view.owners if owner.unschedulable and owner.manager not in (EVENTS, HANDOVER)
        ]
        if action.cordon and others:
            self._log.info("cordon.shared", managers=others)
        return self._cluster.apply(view.name, body, manager=EVENTS, force=True)

    def _set_taints(self, action: SetTaints, view: NodeView) -> dict[str, Any]:
        document = write_taints(
            self._cluster,
            view.name,
            view.uid,
            event_type=action.event_type,
            lift_startup=action.lift_startup is not None,
            rules=self._taints,
            domain=self._domain,
        )
        if action.lift_startup is not None:
            late = action.lift_startup != "labelled"
            say = self._log.warning if late else self._log.info
            say("startup_taint.lifted", key=self._taints.startup, because=action.lift_startup)
            text = f"{self._taints.startup} lifted: {'the time limit came before the topology labels' if late else 'labelled'}"
            if self._herald:
                self._herald.node("StartupTaintLifted", text, "startup", warning=late)
        self._log.info("taints.changed", event_type=action.event_type)
        return document

    def _clear_cordon(self, action: ClearCordon, view: NodeView) -> dict[str, Any]:
        body = {
            "metadata": {
                "uid": view.uid,
                "resourceVersion": action.resource_version,
                "annotations": {f"{self._domain}/events": None},
            },
            "spec": {"unschedulable": None},
        }
        document = self._cluster.merge(view.name, body, manager=RELEASE)
        self._log.warning("cordon.cleared", because="its ownership was lost, the mark said that it was ours")
        return document
