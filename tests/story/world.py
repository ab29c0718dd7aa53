"""The world of the story: what IMDS would say, what people want, and one real node with one agent's loop on it."""

import io
import json
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

from agent.clients.cluster import Access, Cluster
from agent.core.events import read_events
from agent.core.hearing import heard
from agent.core.instance import read_instance
from agent.core.known import Rules
from agent.core.sighting import Sighting, sighted
from agent.daemon.board import Board
from agent.daemon.clock import Clock
from agent.daemon.loop import Loop
from agent.daemon.metrics import Metrics
from agent.log import set_up
from tests.controlplane.cluster import Cluster as Plane

P = "imds-agent.github.io"
VM = "pool_1"  # one of the foreign VMs is pool_12: a prefix must not match
VERSION = "2025-04-07"
BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)


def instance_document(tags_given: dict[str, str], **changes: Any) -> dict[str, Any]:
    compute = {
        "vmId": "02aab8a4-74ef-476e-8182-f6d2ba4166a6",
        "name": VM,
        "location": "westeurope",
        "vmSize": "Standard_D4s_v3",
        "subscriptionId": "8d10da13-8125-4ba9-a717-bf7490507b3d",
        "zone": "1",
        "platformFaultDomain": "0",
        "platformUpdateDomain": "3",
        "priority": "",
        "tags": ";".join(f"{name}:{value}" for name, value in tags_given.items()),
        "tagsList": [{"name": name, "value": value} for name, value in tags_given.items()],
    }
    return {"compute": {**compute, **changes}, "network": {"interface": []}}


class World:
    """One node, one agent, one set of people; time is a number that only the story moves."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self.name = f"story-{uuid.uuid4().hex[:8]}"
        self.node = plane.register_node(self.name)
        self.kubeconfig = plane.agent_kubeconfig(self.name)
        self.log = io.StringIO()
        self.instant = 1000.0
        self.incarnation = 0
        self.events: dict[str, dict[str, Any]] = {}
        self.tags = {"Department": "IT"}
        self.patches = 0  # all writes that the agent asked for
        self.answered: list[str] = []  # every instance document heard since the agent started
        self.start_agent()

    # -- the agent -------------------------------------------------------------------------------------------------

    def start_agent(self) -> None:
        """Start with an empty memory, as after any death."""
        self.cluster = Cluster(Access(kubeconfig=self.kubeconfig), seen=self.count)
        self.board = Board(started=self.instant, at_most={}, needed=())
        self.sighting: Sighting | None = None
        self.answered = []
        clock = Clock(monotonic=lambda: self.instant, utc=self.now)
        log = set_up(level="debug", form="json", stream=self.log)
        self.loop = Loop(
            cluster=self.cluster,
            board=self.board,
            rules=Rules(),
            node=self.name,
            metrics=Metrics(),
            log=log,
            clock=clock,
        )

    def count(self, verb: str, _code: int) -> None:
        self.patches += verb == "PATCH"

    def stop_agent(self) -> None:
        self.cluster.close()

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.instant)

    # -- what IMDS says --------------------------------------------------------------------------------------------

    def tell_instance(self, document: dict[str, Any]) -> None:
        body = json.dumps(document)
        self.answered.append(body)
        self.sighting = sighted(self.sighting, read_instance(body, VERSION))
        self.board.put_sighting(self.sighting)

    def tell_events(self, *, broken: bool = False) -> None:
        self.incarnation += 1
        events = [*self.events.values(), *([{"EventType": "Reboot"}] if broken else [])]
        document = read_events(json.dumps({"DocumentIncarnation": self.incarnation, "Events": events}))
        self.board.put_hearing(heard(self.board.facts().hearing, document, self.instant))

    def schedule(self, event_id: str, kind: str, resources: list[str], status: str, duration: int) -> None:
        self.events[event_id] = {
            "EventId": event_id,
            "EventType": kind,
            "EventStatus": status,
            "ResourceType": "VirtualMachine",
            "Resources": resources,
            "NotBefore": "" if status == "Started" else "Thu, 01 Jan 2026 00:30:00 GMT",
            "Description": "",
            "EventSource": "Platform",
            "DurationInSeconds": duration,
        }

    # -- the node --------------------------------------------------------------------------------------------------

    def read(self) -> dict[str, Any]:
        return self.plane.admin.get(f"/api/v1/nodes/{self.name}")

    def catch_up(self, node: dict[str, Any]) -> None:
        """Wait until the API server's cache, which the agent reads, has the node as it was read from etcd."""
        self.plane.admin.get(f"/api/v1/nodes/{self.name}", resourceVersion=node["metadata"]["resourceVersion"])

    def person_patches(self, body: dict[str, Any], manager: str) -> None:
        kind = "application/strategic-merge-patch+json"
        self.plane.admin.patch(f"/api/v1/nodes/{self.name}?fieldManager={manager}", body, kind)

    def put(self, document: dict[str, Any]) -> None:
        """PUT a whole copy without its version, as careless controllers do."""
        metadata = {
            key: value for key, value in document["metadata"].items() if key not in ("resourceVersion", "managedFields")
        }
        path = f"/api/v1/nodes/{self.name}?fieldManager=careless"
        self.plane.admin.put(path, {**document, "metadata": metadata})

    def close(self) -> None:
        self.stop_agent()
        self.node.close()
        self.node.delete()


def overridden_ids(node: dict[str, Any]) -> set[str]:
    """Return the ids that the mark on a node says are overridden."""
    text = node["metadata"].get("annotations", {}).get(f"{P}/events")
    events = json.loads(text)["events"] if text else {}
    return {event for event, entry in events.items() if entry.get("overridden")}


def marked_ids(node: dict[str, Any], *, every: bool = False) -> set[str]:
    """Return the ids that the mark on a node says it is cordoned for; with `every` those without a cordon, too."""
    text = node["metadata"].get("annotations", {}).get(f"{P}/events")
    try:
        events = json.loads(text)["events"] if text else {}
    except (ValueError, KeyError, TypeError):
        return set()
    cordoning = {event for event, entry in events.items() if entry["do"] == "cordon" and not entry.get("overridden")}
    return set(events) if every else cordoning


def is_cordoned(node: dict[str, Any]) -> bool:
    return node["spec"].get("unschedulable") is True


def own_labels(node: dict[str, Any]) -> dict[str, str]:
    return {key: value for key, value in node["metadata"]["labels"].items() if key.partition("/")[0].endswith(P)}
