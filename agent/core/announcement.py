"""What happened, as Kubernetes Events tell it: one object for each thing, found again by its name, never one a turn.

The name is made from what happened to whom, so that a restarted agent says nothing twice: its second create meets the
first one's object and counts it up, at most once in ten minutes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

from agent.core.dates import read_date

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

Reason = Literal[
    "ScheduledEventSeen",
    "NodeCordoned",
    "NodeReleased",
    "CordonOverridden",
    "CordonHandedOver",
    "DrainStarted",
    "DrainDone",
    "DrainFailed",
    "PodEvicted",
    "PodDeleted",
    "PodNotEvicted",
    "BudgetWaiting",
    "EventApproved",
    "StartupTaintLifted",
]

COMPONENT = "imds-agent"
REPEAT = 600.0  # seconds between two writes about the same thing; client-go allows a source one event in five minutes
MESSAGE = 1024  # bytes; the API server's limit for a note (events.k8s.io)
_CUT = " …"
_HASH = 16  # hexadecimal digits; 64 bits, for at most some hundred events of one object
_LONGEST = 253 - 1 - _HASH  # characters of the object's name in ours, a DNS subdomain
_NODE_NAMESPACE = "default"  # where Events about objects without a namespace belong (the API server takes no other)


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """The object that something happened to.

    Attributes:
        namespace: of a pod; "" for a node.
    """

    kind: Literal["Node", "Pod"]
    name: str
    uid: str
    namespace: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """One thing that happened.

    Attributes:
        message: one sentence, for people.
        key: what makes it one and the same together with the reason and the object: the scheduled event's id.
    """

    reason: Reason
    message: str
    about: About
    key: str
    type: Literal["Normal", "Warning"] = "Normal"

    @property
    def name(self) -> str:
        """The name of its Event object: the same for the same thing, whoever tells it and when."""
        same = f"{self.key}|{self.reason}|{self.about.uid}"
        digest = sha256(same.encode("utf-8", "replace")).hexdigest()[:_HASH]
        return f"{self.about.name[:_LONGEST].rstrip('-.')}.{digest}"


def _one_line(text: str) -> str:
    """Return a message on one line, at most as long as the API server takes it."""
    told = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    if len(told.encode()) <= MESSAGE:
        return told
    return told.encode()[: MESSAGE - len(_CUT.encode())].decode("utf-8", "ignore") + _CUT


def _stamp(now: datetime) -> str:
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


def event_body(announcement: Announcement, *, node: str, now: datetime) -> dict[str, object]:
    """Return the core/v1 Event.

    Node events carry the node's real uid, pod events stand in their pod's namespace: `kubectl describe` looks for both there.

    Args:
        node: the name of the node that tells it.
        now: UTC.
    """
    about, stamp = announcement.about, _stamp(now)
    namespace = about.namespace or _NODE_NAMESPACE
    involved = {"apiVersion": "v1", "kind": about.kind, "name": about.name, "uid": about.uid}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": announcement.name, "namespace": namespace},
        "involvedObject": involved | ({"namespace": about.namespace} if about.namespace else {}),
        "reason": announcement.reason,
        "message": _one_line(announcement.message),
        "type": announcement.type,
        "source": {"component": COMPONENT, "host": node},
        "reportingComponent": COMPONENT,
        "reportingInstance": node,
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "count": 1,
    }


def repetition(
    found: Mapping[str, object], body: Mapping[str, object], *, every: float = REPEAT
) -> dict[str, object] | None:
    """Return the merge patch that counts a thing up that was told before; None where that was done lately.

    Args:
        found: the Event object that stands.
        body: what `event_body` made of the same thing now.
        every: seconds between two of them; a last time that lies as far ahead is a clock that was wrong.
    """
    last, now = (read_date(str(event.get("lastTimestamp"))) for event in (found, body))
    if last is not None and now is not None and abs(now - last) < timedelta(seconds=every):
        return None
    count = found.get("count")
    told = {name: body[name] for name in ("lastTimestamp", "message", "type")}
    return {**told, "count": (count if isinstance(count, int) else 1) + 1}


def due(told: Mapping[str, float], announcement: Announcement, instant: float, *, every: float = REPEAT) -> bool:
    """Return whether to tell this now, or whether this process has told it lately.

    Args:
        told: when each Event (by name) was told last, in monotonic seconds.
    """
    return instant - told.get(announcement.name, -every) >= every


def remembered(
    told: Mapping[str, float], announcement: Announcement, instant: float, *, every: float = REPEAT
) -> dict[str, float]:
    """Return what was told lately, this included and what is past forgotten, so that it does not grow for ever."""
    return {name: at for name, at in told.items() if instant - at < every} | {announcement.name: instant}
