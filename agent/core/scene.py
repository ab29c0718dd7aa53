"""One decision's scene: what is known, the node as it is seen, the rules, and the moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from agent.core.events import ScheduledEvent
    from agent.core.known import Known, Rules
    from agent.core.mark import Mark
    from agent.core.node import NodeView


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One moment by both clocks: UTC as the service tells it, and monotonic seconds."""

    utc: datetime
    instant: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What one decision looks at."""

    known: Known
    view: NodeView
    rules: Rules
    now: Moment
    mark: Mark | None
    own: tuple[ScheduledEvent, ...]
    name: str | None

    @property
    def domain(self) -> str:
        """The domain below which all that is ours stands."""
        return self.rules.labels.domain
