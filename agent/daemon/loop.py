"""The one writer: look at the node, decide, act, look again.

The loop is the retry: whatever fails is simply not done yet, and the next turn finds it so. An event counts as handled
when the API server has confirmed the cordon.
"""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from agent.clients.cluster_errors import (
    ClusterConflict,
    ClusterRefused,
    ClusterUnavailable,
    NodeMissing,
    NodeReplaced,
)
from agent.core.actions import Action, ApplyGroup, Ask, NodeAction, SetTaints, Sweep
from agent.core.labelling import MANAGERS, group_of
from agent.core.maintenance import Idle
from agent.core.mark import Mark
from agent.core.marking import standing_mark
from agent.core.node import NodeView, read_node
from agent.core.reconcile import reconcile
from agent.core.refusal import REST, refused
from agent.daemon.acts import Acts
from agent.daemon.errands import Errands
from agent.daemon.herald import Herald
from agent.daemon.looks import Looks
from agent.daemon.story import Story

if TYPE_CHECKING:
    from datetime import datetime

    from agent.clients.cluster import Cluster
    from agent.clients.imds import Imds
    from agent.clients.switch_file import SwitchFile
    from agent.core.known import Rules, Turn
    from agent.daemon.board import Board
    from agent.daemon.clock import Clock
    from agent.daemon.metrics import Metrics

ROUNDS = 12  # looks and actions in one turn; more means that somebody undoes what we do, so pause first
SOON, LATE = 0.5, 60.0  # seconds: first and longest pause after a failure while nothing presses
PRESSED = 5.0  # seconds: longest pause after a failure while an event waits for its cordon


def pause_after_failure(failures: int, *, pressed: bool, chance: float, retry_after: float | None = None) -> float:
    """Return the seconds to wait after so many failures in a row, jittered so that a fleet does not knock at once.

    Args:
        pressed: an event waits to be confirmed.
        chance: 0 to 1.
        retry_after: what the server asked for; at most the longest pause is granted.
    """
    longest = PRESSED if pressed else LATE
    grown = min(longest, SOON * float(2 ** min(failures, 10)))
    return min(longest, max(grown * (0.5 + chance / 2), retry_after or 0.0))


class Loop:
    """Brings one node to what it should be, for ever."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        board: Board,
        rules: Rules,
        node: str,
        metrics: Metrics,
        log: Any,
        clock: Clock,
        imds: Imds | None = None,
        namespace: str = "imds-agent",
        switch_file: SwitchFile | None = None,
        kubernetes_events: bool = False,
    ) -> None:
        """Own a node; nothing is read yet.

        Args:
            imds: whom events are approved to; None where nothing is approved.
            namespace: where the Leases of budgets are.
        """
        self._cluster = cluster
        self._board = board
        self._rules = rules
        self._node = node
        self._log = log
        self._clock = clock
        self._metrics = metrics
        self._herald = Herald(cluster if kubernetes_events else None, metrics, log, clock)
        self._looks = Looks(
            cluster=cluster,
            board=board,
            rules=rules,
            namespace=namespace,
            switch_file=switch_file,
            metrics=metrics,
            log=log,
            clock=clock,
        )
        self._acts = Acts(cluster, log, metrics, rules, self._herald)
        self._errands = Errands(
            cluster=cluster,
            imds=imds,
            looks=self._looks,
            rules=rules,
            herald=self._herald,
            metrics=metrics,
            log=log,
            clock=clock,
        )
        self._story = Story(log, metrics, rules, self._herald)
        metrics.unconfirmed.set_function(lambda: self._story.unconfirmed(self._board.facts(), self._now()))
        self._view: NodeView | None = None
        self._written = "0"  # the resourceVersion of our last write: no look may be older
        self._look_at = 0.0
        self._failures = 0
        self._conflict: ClusterConflict | None = None  # what the last write met

    def turn(self) -> float:
        """Do all that can be done now; returns the seconds to wait for news before the next turn."""
        try:
            pause = self._turn()
        except Exception as error:  # noqa: BLE001 - a net: no fault of ours may leave the node without an agent
            self._failures += 1
            pause = self._failed(error)
        else:
            self._failures = 0
        self._board.attempted("loop", self._clock.monotonic())
        return pause

    @property
    def failing(self) -> bool:
        """Whether the last turn failed, so that its pause must be kept."""
        return self._failures > 0

    def _failed(self, error: Exception) -> float:
        pressed = self._pressed()
        self._story.failed(self._node, error, self._failures)
        self._view = None
        retry_after = error.retry_after if isinstance(error, ClusterUnavailable) else None
        return pause_after_failure(self._failures, pressed=pressed, chance=random.random(), retry_after=retry_after)  # noqa: S311

    def _now(self) -> datetime:
        """Return UTC by the service's clock, which `NotBefore` is told in: the node's own may be hours off after a pause."""
        return self._clock.utc() + timedelta(seconds=self._board.facts().skew)

    def _pressed(self) -> bool:
        return bool(self._board.facts().hearing.present())

    def _decide(self, view: NodeView) -> Turn:
        now, instant = self._now(), self._clock.monotonic()
        return reconcile(self._looks.known(), view, self._rules, now=now, instant=instant)

    def _turn(self) -> float:
        self._looks.read_switch()
        self._conflict = None
        due = self._clock.monotonic() >= self._look_at
        view, fresh = (self._look("full"), True) if self._view is None else (self._view, False)
        if due and not fresh:
            view, fresh = self._look("full" if view.full else "metadata"), True
        turn = self._decide(view)
        for _ in range(ROUNDS):
            if turn.look in ("full", "quorum"):
                view, fresh = self._look(turn.look), True
            elif turn.look:
                self._looks.look(turn.look, view)
            elif turn.actions and not fresh:
                view, fresh = self._look("full"), True
            elif asks := [action for action in turn.actions if isinstance(action, Ask)]:
                self._errands.ask(asks, view)  # a drain's step is nothing else
            elif turn.actions:
                view = self._act(turn, view)
            else:
                break
            turn = self._decide(view)
            self._story.confirmed(self._looks.known(), view, turn.plan, self._clock.monotonic())
        if turn.actions and self._conflict:  # not this once: every round's write met another's
            raise self._conflict
        return self._settle(view, turn)

    def _settle(self, view: NodeView, turn: Turn) -> float:
        """Remember the view, tell the story, choose when to look again."""
        instant = self._clock.monotonic()
        self._view = view
        self._metrics.skew.set(self._board.facts().skew)
        self._board.put_mark(standing_mark(view, self._rules.labels.domain) or Mark())
        if turn.plan is not None:
            self._story.told(self._looks.known(), view, turn, utc=self._now(), instant=instant)
            self._herald.flush(view)
            if isinstance(turn.plan, Idle) and self._board.facts().sighting is not None:
                self._looks.free_leftovers(view.name)
        self._board.events_wanted_by_mark(marked=f"{self._rules.labels.domain}/events" in view.annotations)
        pause = turn.pause * (random.uniform(0.8, 1.2) if turn.pause > 30 else 1.0)  # noqa: S311 - a fleet in step
        self._look_at = instant + pause
        return pause

    def _look(self, how: str) -> NodeView:
        """Read the node.

        Args:
            how: `metadata` from the API server's cache, `full` likewise but not older than our last write, `quorum` from etcd.
        """
        if how == "quorum" or self._view is None:
            document, quorum = self._cluster.node(self._node), True
        else:
            only = how == "metadata"
            document = self._cluster.node(self._node, metadata_only=only, resource_version=self._written)
            quorum = False
        self._board.answered("node", self._clock.monotonic())
        view = self._view = read_node(document, quorum=quorum)
        if quorum:  # what etcd has is the truth, also where it was restored to an older version
            self._written = view.resource_version
        return view

    def _act(self, turn: Turn, view: NodeView) -> NodeView:
        """Carry out a turn's actions in order; returns the node after the last one.

        A refused one costs the events actions after it, which build on it, but no labels: these have managers of their own.

        Raises:
            ClusterError: not all was done.
        """
        self._story.acting(self._looks.known(), view, turn, self._now())
        undone: ClusterRefused | None = None
        self._conflict = None
        for action in turn.actions:
            if undone and not isinstance(action, (ApplyGroup, Sweep)):
                continue
            try:
                view = self._carry_out(action, view)
            except ClusterRefused as refusal:
                if refusal.lacks_right:
                    raise
                if not self._left_out(action, view, refusal):
                    undone = undone or refusal
            except (NodeReplaced, NodeMissing):
                self._written = "0"
                raise
            except ClusterConflict as conflict:  # the object changed under us, or the node is another one: look again
                self._conflict = conflict
                return self._look("quorum")
            else:
                self._written = view.resource_version
        if undone:
            raise undone
        return view

    def _carry_out(self, action: Action, view: NodeView) -> NodeView:
        if isinstance(action, NodeAction):
            return self._acts.carry_out(action, view)
        if not isinstance(action, Ask):
            self._errands.run(action, view)
        return view

    def _left_out(self, action: Action, view: NodeView, refusal: ClusterRefused) -> bool:
        """Leave out what admission refused of a group, or taints; returns False where that is not ours to decide."""
        if isinstance(action, SetTaints) and refusal.status in (400, 403, 422):
            self._looks.taints_rest = self._clock.monotonic() + REST
            if self._looks.said.is_new("taints", refusal.message):
                self._log.error("taints.refused", node=view.name, error=refusal.message[:256])
            return True
        group = group_of(action, self._rules.labels.domain)
        if group is None or refusal.status not in (400, 403, 422):
            return False
        ours = view.owner(MANAGERS[group])  # a key that we would have dropped may be what was refused
        keys = [*(ours.labels | ours.annotations if ours else ())]
        keys += [*action.written.labels, *action.written.annotations] if isinstance(action, ApplyGroup) else []
        now = self._clock.monotonic()
        refusals = self._looks.refusals
        refusals[group] = refused(refusals.get(group), refusal.message, keys, now)
        self._story.refused(group, refusals[group], refusal)
        return True
