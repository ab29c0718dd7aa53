"""What a turn is decided from and what it comes to: everything known, the rules, and the turn itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from agent.core.budget import Watched
from agent.core.drain import DrainPolicy
from agent.core.hearing import Hearing
from agent.core.labels import LabelPolicy
from agent.core.policy import Policy
from agent.core.switch import Switch
from agent.core.taints import TaintRules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.core.actions import Action, Group
    from agent.core.approval import Mode, Neighbour, WaitsFor
    from agent.core.budget import Place, Purpose, Scope, Size
    from agent.core.drain import Attempt, DrainStep
    from agent.core.maintenance import Plan
    from agent.core.node import Hold
    from agent.core.pods import Budget, Pod
    from agent.core.refusal import Refusal
    from agent.core.sighting import Sighting
    from agent.core.well_known import WellKnown

IDLE = 300.0  # seconds between looks at a node on which nothing happens: cloud-node-manager's own period

Look = Literal["full", "quorum", "pods", "neighbours", "drain places", "freeze places"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPods:
    """The pods of this node at one moment.

    Attributes:
        budgets: all disruption budgets; empty where they may not be listed.
        at: monotonic seconds.
        usable: False where the API server does not let us list pods: then none can be moved.
    """

    pods: tuple[Pod, ...] = ()
    budgets: tuple[Budget, ...] = ()
    at: float
    usable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPlaces:
    """The places of one budget at one moment.

    Attributes:
        count: how many there may be.
        watched: since when each has stood unchanged, as this process saw it.
        at: monotonic seconds.
        usable: False where the API server refuses Leases or the list of nodes: then there is no budget to keep.
    """

    places: tuple[Place, ...] = ()
    count: int = 0
    group: str = ""
    watched: Watched = field(default_factory=Watched)
    at: float
    usable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenNeighbours:
    """The marks of all nodes at one moment, in monotonic seconds."""

    neighbours: tuple[Neighbour, ...] = ()
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """All that the decision needs besides the node.

    Attributes:
        sighting: None until IMDS answered.
        refusals: what admission refused, by group.
        tried: when each pod (by uid) was last asked to leave, and what came of it.
        unsent: keys of events whose approval stands in the mark but surely did not reach the service.
        started: when this process began, in monotonic seconds.
        taints_rest: until when no taint is written, since that was refused, in monotonic seconds; None where it was not.
    """

    sighting: Sighting | None = None
    hearing: Hearing = field(default_factory=Hearing)
    refusals: Mapping[Group, Refusal] = field(default_factory=dict)
    switch: Switch = field(default_factory=Switch)
    pods: SeenPods | None = None
    tried: Mapping[str, Attempt] = field(default_factory=dict)
    places: Mapping[Purpose, SeenPlaces] = field(default_factory=dict)
    neighbours: SeenNeighbours | None = None
    unsent: frozenset[str] = frozenset()
    started: float = 0.0
    taints_rest: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRule:
    """How many nodes may be away at once, and among which.

    Attributes:
        expiry: seconds for which a holder that shows no sign of life keeps its place: longer than a reboot.
    """

    size: Size
    scope: Scope
    expiry: float = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The settings that decisions depend on.

    Attributes:
        idle: seconds between two looks at a node on which nothing happens.
        own_pod: namespace and name of the agent's own pod.
        budgets: by what they are for; none where there is no limit.
    """

    labels: LabelPolicy = field(default_factory=LabelPolicy)
    well_known: WellKnown = "never"
    events: Policy = field(default_factory=Policy)
    drain: DrainPolicy = field(default_factory=DrainPolicy)
    own_pod: tuple[str, str] | None = None
    approval: Mode = "off"
    approval_waits_for: WaitsFor = "nobody"
    budgets: Mapping[Purpose, BudgetRule] = field(default_factory=dict)
    taints: TaintRules = field(default_factory=TaintRules)
    idle: float = IDLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one look at the node leads to.

    Attributes:
        plan: None while a better view is needed.
        look: what is needed before more can be decided; `actions` is empty then.
        pause: seconds until the next look if nothing new comes.
        holds: who keeps the node cordoned; known in a full view only.
        override: somebody made the node schedulable under our mark, seen in this view for the first time.
        drain: where the drain stands; None where none is under way.
        queue: who holds the places of the budget that this node waits for.
        unbudgeted: the drain goes on without a place, since its time is running out.
    """

    plan: Plan | None
    actions: tuple[Action, ...] = ()
    look: Look | None = None
    pause: float = IDLE
    holds: tuple[Hold, ...] = ()
    override: bool = False
    drain: DrainStep | None = None
    queue: tuple[str, ...] = ()
    unbudgeted: bool = False
