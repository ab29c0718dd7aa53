"""How often complete instance documents agreed: what we may already change on the node.

IMDS sometimes answers 200 with parts missing (an Azure engineer's words in azure-init issue 134), so one document is
never reason enough to take something away.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from agent.core.instance import Instance, is_complete
from agent.core.storage import StorageProfile

ENOUGH = 3  # complete documents in a row that agree; two could be one fault seen twice


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """The VM as last seen.

    Attributes:
        agreed: complete documents in a row that said the same, at most ENOUGH; 0 while none was complete.
    """

    instance: Instance
    agreed: int

    @property
    def settled(self) -> bool:
        """Whether a fact that stands on the node may be changed or dropped on the word of this document."""
        return self.agreed >= ENOUGH


def _facts_of(instance: Instance) -> Instance:
    """Return what labels are made of: a disk that comes and goes, or new userData, must keep no label from settling."""
    return replace(
        instance,
        storage=StorageProfile(),
        network=(),
        user_data=None,
        custom_data=None,
        public_keys=(),
        has_custom_data=None,
    )


def sighted(before: Sighting | None, instance: Instance) -> Sighting:
    """Return what is known after one more good answer.

    An incomplete document teaches nothing once a complete one has been seen. Nor may it stand in the way of those
    that follow: the count goes on as if it had not come.
    """
    if not is_complete(instance):
        if before is not None and before.agreed > 0:
            return before
        return Sighting(instance=instance, agreed=0)
    if before is not None and before.agreed > 0 and _facts_of(before.instance) == _facts_of(instance):
        return Sighting(instance=instance, agreed=min(ENOUGH, before.agreed + 1))
    return Sighting(instance=instance, agreed=1)
