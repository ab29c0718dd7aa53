"""What the loop looks at besides its node, and remembers from one turn to the next: pods, places, neighbours, the switch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.clients.cluster_errors import ClusterError, ClusterRefused, ClusterUnavailable
from agent.clients.cluster_leases import Leases, count_nodes, places_of
from agent.clients.cluster_pods import budgets_in, pods_on
from agent.core.approval import may_be, names_in, neighbours
from agent.core.budget import Watched, group_of, node_selector, places, watched
from agent.core.known import Known, SeenNeighbours, SeenPlaces, SeenPods
from agent.core.switch import Switch
from agent.daemon.alike import Said, obeyed

if TYPE_CHECKING:
    from agent.clients.cluster import Cluster
    from agent.clients.switch_file import SwitchFile
    from agent.core.actions import Group
    from agent.core.approval import Neighbour
    from agent.core.budget import Purpose
    from agent.core.drain import Attempt
    from agent.core.known import Look, Rules
    from agent.core.node import NodeView
    from agent.core.pods import Budget
    from agent.core.refusal import Refusal
    from agent.daemon.board import Board, Facts
    from agent.daemon.clock import Clock
    from agent.daemon.metrics import Metrics

COUNTED = 300.0  # seconds for which a group's number of nodes is good enough


class Looks:
    """Everything known besides the node itself; only the loop uses it."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        board: Board,
        rules: Rules,
        namespace: str,
        switch_file: SwitchFile | None,
        metrics: Metrics,
        log: Any,
        clock: Clock,
    ) -> None:
        """Begin with nothing known."""
        self._cluster = cluster
        self._board = board
        self._rules = rules
        self._namespace = namespace
        self._switch_file = switch_file
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self._started = board.started
        self._pods: SeenPods | None = None
        self._places: dict[Purpose, SeenPlaces] = {}
        self._counted: dict[tuple[Purpose, str], tuple[int, float]] = {}
        self._neighbours: SeenNeighbours | None = None
        self.said = Said()
        self._swept = False
        self.tried: dict[str, Attempt] = {}
        self.unsent: set[str] = set()
        self.refusals: dict[Group, Refusal] = {}
        self.taints_rest: float | None = None
        self.switch = Switch()

    def read_switch(self) -> None:
        """Read the switch again, if it has one; a broken file changes nothing, and is said."""
        if self._switch_file is None:
            return
        self.switch = obeyed(self._switch_file, self.said, self._metrics, self._log)

    def known(self) -> Known:
        """Return all that decisions need besides the node."""
        facts: Facts = self._board.facts()
        return Known(
            sighting=facts.sighting,
            hearing=facts.hearing,
            refusals=self.refusals,
            switch=self.switch,
            pods=self._pods,
            tried=self.tried,
            places=self._places,
            neighbours=self._neighbours,
            unsent=frozenset(self.unsent),
            started=self._started,
            taints_rest=self.taints_rest,
        )

    def look(self, what: Look, view: NodeView) -> None:
        """Look at one thing.

        Raises:
            ClusterError: no answer. That we may not look is remembered, and said once.
        """
        match what:
            case "pods":
                self._look_at_pods(view.name)
            case "drain places":
                self.look_at_places("drain", view)
            case "freeze places":
                self.look_at_places("freeze", view)
            case "neighbours":
                self._look_at_neighbours()
            case _:
                raise AssertionError(what)

    def _look_at_pods(self, node: str) -> None:
        try:
            pods, usable = pods_on(self._cluster, node), True
        except ClusterRefused as refusal:
            pods, usable = (), False
            if self.said.is_new("pods", "refused"):
                self._log.error("drain.refused", node=node, error=str(refusal))
        else:
            self.said.forget("pods")
        budgets = self._budgets() if pods else ()
        self._pods = SeenPods(pods=pods, budgets=budgets, at=self._clock.monotonic(), usable=usable)
        there = {pod.uid for pod in pods}
        self.tried = {uid: attempt for uid, attempt in self.tried.items() if uid in there}

    def _budgets(self) -> tuple[Budget, ...]:
        try:
            return budgets_in(self._cluster)
        except ClusterRefused as refusal:  # the API server asks them all the same; only the order is not as good
            if self.said.is_new("pod budgets", "refused"):
                self._log.warning("drain.budgets_unknown", error=str(refusal))
            return ()

    def leases(self, purpose: Purpose, view: NodeView) -> Leases:
        """Return the budget that this node belongs to, or the one of which it holds a place: its zone may arrive meanwhile."""
        group = self._group(purpose, view)
        return Leases(self._cluster, namespace=self._namespace, purpose=purpose, group=group)

    def look_at_places(self, purpose: Purpose, view: NodeView) -> None:
        """List the places of a budget, and see which of their holders show signs of life."""
        rule, domain = self._rules.budgets[purpose], self._rules.labels.domain
        group = self._group(purpose, view)
        try:
            nodes = self._count(purpose, group, node_selector(rule.scope, view.labels, domain))
            found = self.leases(purpose, view).places()
        except ClusterRefused as refusal:
            self.no_budget(purpose, refusal)
            return
        self.said.forget(f"{purpose} budget")
        now = self._clock.monotonic()
        before = self._places.get(purpose)
        seen = before.watched if before is not None and before.group == group else Watched()
        self._places[purpose] = SeenPlaces(
            places=found, count=places(rule.size, nodes), group=group, watched=watched(seen, found, now), at=now
        )

    def _group(self, purpose: Purpose, view: NodeView) -> str:
        seen = self._places.get(purpose)
        if seen is not None and any(place.holder == view.name for place in seen.places):
            return seen.group
        return group_of(self._rules.budgets[purpose].scope, view.labels, self._rules.labels.domain)

    def free_leftovers(self, node: str) -> None:
        """Give back, once in this process, what a node without any mark still holds: its agent died in between.

        Without it others would wait until the place's holder counts as dead.
        """
        if self._swept or not self._rules.budgets:
            return
        try:
            for leases, place in places_of(self._cluster, namespace=self._namespace, node=node):
                if leases.free(place, now=self._clock.utc()):
                    self._log.info("budget.place_freed", node=node, budget="leftover", index=place.index)
        except ClusterUnavailable:
            return  # the next turn tries again
        except ClusterError as error:
            self._log.debug("budget.leftovers_unknown", error=str(error))
        self._swept = True

    def no_budget(self, purpose: Purpose, refusal: ClusterRefused) -> None:
        """Remember that a budget cannot be kept for want of rights; nobody is kept waiting for that."""
        if self.said.is_new(f"{purpose} budget", "refused"):
            self._log.warning("budget.unavailable", budget=purpose, error=str(refusal))
        self._places[purpose] = SeenPlaces(at=self._clock.monotonic(), usable=False)

    def _count(self, purpose: Purpose, group: str, selector: str) -> int:
        if self._rules.budgets[purpose].size.percent is None:
            return 0  # a plain number asks nobody
        now = self._clock.monotonic()
        count, at = self._counted.get((purpose, group), (0, float("-inf")))
        if now - at > COUNTED:
            count = count_nodes(self._cluster, selector)
            self._counted[(purpose, group)] = (count, now)
        return count

    def _look_at_neighbours(self) -> None:
        try:
            found = self._vouched(neighbours(self._cluster.nodes_metadata(), self._rules.labels.domain))
        except ClusterRefused as refusal:  # whom the event concerns besides us stays unknown: so nothing is approved
            found = ()
            if self.said.is_new("neighbours", "refused"):
                self._log.warning("approval.unavailable", error=str(refusal))
        else:
            self.said.forget("neighbours")
        self._neighbours = SeenNeighbours(neighbours=found, at=self._clock.monotonic())

    def _vouched(self, found: tuple[Neighbour, ...]) -> tuple[Neighbour, ...]:
        """Leave out who only says that it is a VM of an event: its agent's token, stolen, can write that annotation."""
        asked = names_in(self._board.facts().hearing.present())
        return tuple(
            each for each in found if each.vm.casefold() not in asked or may_be(self._cluster.node(each.node), each.vm)
        )
