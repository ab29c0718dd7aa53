"""What both daemons, with a node and without, do alike: obey the switch, tell the service to go ahead, say each thing once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.clients.imds_errors import ImdsError, ImdsUnavailable
from agent.clients.imds_http import unsent
from agent.core.events import event_key
from agent.daemon.metrics import positions

if TYPE_CHECKING:
    from agent.clients.imds import Imds
    from agent.clients.switch_file import SwitchFile
    from agent.core.switch import Switch
    from agent.daemon.metrics import Metrics


class Said:
    """What was said last of each subject."""

    def __init__(self) -> None:
        """Begin with nothing said."""
        self._last: dict[str, object] = {}

    def is_new(self, subject: str, value: object) -> bool:
        """Return whether this was not the last thing said about the subject; from now on it is."""
        changed = self._last.get(subject) != value
        self._last[subject] = value
        return changed

    def forget(self, subject: str) -> object:
        """Say the same of it anew the next time; returns what was said last."""
        return self._last.pop(subject, None)


def obeyed(switch_file: SwitchFile, said: Said, metrics: Metrics, log: Any) -> Switch:
    """Read the switch again; a broken file changes nothing, and is said."""
    found = switch_file.look()
    metrics.set_switch(found.switch, readable=found.trouble is None)
    if found.changed:
        log.info("switch.changed", **positions(found.switch))
    if said.is_new("switch", found.trouble) and found.trouble:
        log.error("switch.unreadable", error=found.trouble)
    return found.switch


class Approvals:
    """Tells the service that events may begin."""

    def __init__(self, imds: Imds | None, said: Said, metrics: Metrics, log: Any, waiting: set[str]) -> None:
        """Approve nothing yet.

        Args:
            waiting: takes the keys of events whose approval surely did not arrive.
        """
        self._imds, self._said, self._metrics, self._log, self._waiting = imds, said, metrics, log, waiting

    def send(self, event_id: str, resources: tuple[str, ...], **facts: str) -> bool:
        """Return whether the service was told; what surely did not arrive is tried again, anything else never.

        Args:
            facts: for the log, besides the event's id.
        """
        if self._imds is None:
            raise AssertionError(event_id)
        key = event_key(event_id)
        try:
            self._imds.approve(event_id)
        except ImdsError as error:
            self._metrics.approvals.labels("failed").inc()
            again = isinstance(error, ImdsUnavailable) and unsent(error)
            (self._waiting.add if again else self._waiting.discard)(key)
            if self._said.is_new(f"approval {key}", str(error)):
                self._log.warning("event.approval_failed", event_id=event_id, **facts, again=again, error=str(error))
            return False
        self._waiting.discard(key)
        self._metrics.approvals.labels("sent").inc()
        self._log.info("event.approved", event_id=event_id, **facts, resources=list(resources))
        return True
