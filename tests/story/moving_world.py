"""The world of the second story: two nodes with pods and disruption budgets, one IMDS that they share, time as a number."""

import io
import json
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from agent.clients.cluster import Access, Cluster
from agent.clients.imds import Imds
from agent.clients.switch_file import SwitchFile
from agent.core.budget import Scope, Size
from agent.core.hearing import heard
from agent.core.instance import read_instance
from agent.core.sighting import Sighting, sighted
from agent.daemon.board import Board
from agent.daemon.clock import Clock
from agent.daemon.loop import Loop
from agent.daemon.metrics import Metrics
from agent.emulator import Emulator
from agent.log import set_up
from agent.policies import read_rules
from agent.settings import Settings
from tests.controlplane.cluster import Cluster as Plane
from tests.promises.agents import wait_until
from tests.story.world import VERSION, P, instance_document

BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)
POLICY = "{Reboot: drain, Redeploy: drain, Terminate: drain, Preempt: drain}"
DELETE_BEFORE = 10.0
PODS = "/api/v1/namespaces/default/pods"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/imds-agent/leases"


@dataclass
class Side:
    """One node with its agent; what the agent has heard of is kept to judge it by."""

    name: str
    vm: str
    node: Any
    kubeconfig: Path
    switch: Path
    log: io.StringIO = field(default_factory=io.StringIO)
    positions: dict[str, str] = field(default_factory=dict)
    heard: dict[str, dict[str, Any]] = field(default_factory=dict)
    overridden: set[str] = field(default_factory=set)
    sighting: Sighting | None = None
    cluster: Any = None
    board: Any = None
    loop: Any = None


class MovingWorld:
    """Two nodes; only the story moves the time."""

    def __init__(self, plane: Plane, folder: Path, on_deadline: str) -> None:
        self.plane, self.on_deadline = plane, on_deadline
        self.instant = 1000.0
        self.key = uuid.uuid4().hex[:8]
        self.imds = Emulator(rate_limit=None, clock=lambda: self.now().timestamp())
        self.imds.__enter__()
        self.client = Imds(self.imds.url, per_second=1_000_000, clock=lambda: self.instant, sleep=self.sleep)
        self.sides = [self.side(letter, folder) for letter in "ab"]
        self.pods = 0
        self.refusing = False
        self.put_budget(refusing=False)
        for side in self.sides:
            self.start(side)

    def sleep(self, seconds: float) -> None:
        raise AssertionError(f"somebody sleeps {seconds} s")

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.instant)

    def side(self, letter: str, folder: Path) -> Side:
        name = f"moving-{self.key}-{letter}"
        node = self.plane.register_node(name, labels={"story": self.key})
        switch = folder / f"{name}.json"
        switch.write_text("{}")
        return Side(name, f"vm_{letter}", node, self.plane.agent_kubeconfig(name), switch)

    # -- agents ------------------------------------------------------------------------------------------------------

    def start(self, side: Side) -> None:
        """Start an agent with an empty memory."""
        side.cluster = Cluster(Access(kubeconfig=side.kubeconfig))
        side.board = Board(started=self.instant, at_most={}, needed=())
        side.heard, side.sighting = {}, None
        settings = Settings(
            policy=read_rules(POLICY),
            approval="when-drained",
            drain_budget=Size(number=1),
            drain_budget_per=Scope(kind="label", key="story"),
            freeze_budget=None,
            drain_unmanaged="evict",
            on_deadline=self.on_deadline,
            delete_before=DELETE_BEFORE,
            pod_name=f"imds-agent-{side.name}",
        )
        side.loop = Loop(
            cluster=side.cluster,
            board=side.board,
            rules=settings.rules(),
            node=side.name,
            metrics=Metrics(),
            log=set_up(level="debug", form="json", stream=side.log),
            clock=Clock(monotonic=lambda: self.instant, utc=self.now),
            imds=self.client,
            switch_file=SwitchFile(side.switch),
        )

    def stop(self, side: Side) -> None:
        side.cluster.close()

    def hear(self, side: Side) -> None:
        """Let one agent's pollers look once."""
        document = self.client.events().value
        side.board.put_hearing(heard(side.board.facts().hearing, document, self.instant))
        side.heard = {event.id: event for event in document.events}
        body = json.dumps(instance_document({}, name=side.vm, vmId=f"{side.vm}-{self.key}"))
        side.sighting = sighted(side.sighting, read_instance(body, VERSION))
        side.board.put_sighting(side.sighting)

    def put_switch(self, side: Side, part: str, position: str) -> None:
        side.positions[part] = position
        fresh = side.switch.with_suffix(".new")
        fresh.write_text(json.dumps(side.positions))
        fresh.rename(side.switch)

    # -- IMDS --------------------------------------------------------------------------------------------------------

    def schedule(self, kind: str, resources: list[str], notice: int, source: str) -> str:
        fields = {"EventType": kind, "Resources": resources, "NotBeforeSeconds": notice, "EventSource": source}
        return str(self.imds.add_event(**fields)["EventId"])

    def approvals(self) -> list[str]:
        """Return the ids that agents said they approved; as many as the service was told, which keeps no bodies."""
        told = [json.loads(line) for side in self.sides for line in side.log.getvalue().splitlines()]
        found = [each["event_id"] for each in told if each["event"] == "event.approved"]
        assert len(found) == sum(each["method"] == "POST" for each in self.imds.requests())
        return found

    # -- pods and budgets --------------------------------------------------------------------------------------------

    def add_pod(self, side: Side, *, guarded: bool, critical: bool) -> None:
        self.pods += 1
        labels = {"story": self.key} | ({"guarded": self.key} if guarded else {})
        name = f"{side.name}-{self.pods}"
        spec = {"nodeName": side.name, "terminationGracePeriodSeconds": 20, "containers": [{"name": "c", "image": "c"}]}
        if critical:
            spec["priorityClassName"] = "system-cluster-critical"
        namespace = "kube-system" if critical else "default"
        path = PODS.replace("default", namespace)
        self.plane.admin.post(path, {"metadata": {"name": name, "labels": labels}, "spec": spec})
        ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        self.plane.admin.patch(f"{path}/{name}/status", {"status": ready}, "application/strategic-merge-patch+json")
        self.settle_budget()

    def pods_of(self, side: Side) -> list[dict[str, Any]]:
        found = self.plane.admin.get("/api/v1/pods", labelSelector=f"story={self.key}")["items"]
        return [pod for pod in found if pod["spec"].get("nodeName") == side.name]

    def leaving(self, side: Side) -> dict[str, bool]:
        """Return the uids of pods that were asked to leave, each with whether a budget guards it."""
        return {
            pod["metadata"]["uid"]: "guarded" in pod["metadata"]["labels"] and pod["metadata"]["namespace"] == "default"
            for pod in self.pods_of(side)
            if "deletionTimestamp" in pod["metadata"]
        }

    def kubelets_end_pods(self) -> None:
        for side in self.sides:
            for pod in self.pods_of(side):
                metadata = pod["metadata"]
                if "deletionTimestamp" in metadata:
                    path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
                    self.plane.admin.raw("DELETE", path, {"gracePeriodSeconds": 0})
        self.settle_budget()

    def put_budget(self, *, refusing: bool) -> None:
        """Let the budget of the guarded pods refuse all, or allow all."""
        self.refusing = refusing
        # Of pods without a controller the disruption controller takes a whole number of `minAvailable` alone.
        spec = {"minAvailable": 1000 if refusing else 0, "selector": {"matchLabels": {"guarded": self.key}}}
        body = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": self.key}, "spec": spec}
        self.plane.admin.apply(f"{BUDGETS}/{self.key}", body, manager="story", force=True)
        self.settle_budget()

    def settle_budget(self) -> None:
        """Wait until the real controller has seen budget and pods as they are: only then is a refusal a refusal."""
        pods = self.plane.admin.get(PODS, labelSelector=f"guarded={self.key}")[
            "items"
        ]  # a budget ends at its namespace
        expected = len([pod for pod in pods if "deletionTimestamp" not in pod["metadata"]])

        def settled() -> bool:
            found = self.plane.admin.get(f"{BUDGETS}/{self.key}")
            status = found.get("status", {})
            seen = status.get("observedGeneration") == found["metadata"]["generation"]
            allowed = status.get("disruptionsAllowed", -1)
            counted = status.get("currentHealthy", -1) == expected
            return seen and counted and (allowed == 0 if self.refusing else allowed == expected)

        wait_until(settled, "the budget's controller")

    def holders(self) -> set[str]:
        """Return the nodes that hold a place of the story's budget."""
        leases = self.plane.admin.get(LEASES)["items"]
        found = {lease.get("spec", {}).get("holderIdentity") for lease in leases}
        return {name for name in found if name in {side.name for side in self.sides}}

    # -- nodes -------------------------------------------------------------------------------------------------------

    def read(self, side: Side) -> dict[str, Any]:
        return self.plane.admin.get(side.node.path)

    def mark(self, side: Side) -> dict[str, Any]:
        text = self.read(side)["metadata"].get("annotations", {}).get(f"{P}/events")
        return json.loads(text)["events"] if text else {}

    def uncordon(self, side: Side) -> None:
        kind = "application/strategic-merge-patch+json"
        self.plane.admin.patch(side.node.path, {"spec": {"unschedulable": None}}, kind, fieldManager="kubectl-cordon")

    def close(self) -> None:
        for side in self.sides:
            self.stop(side)
        self.client.close()
        self.imds.__exit__(None, None, None)
        for namespace in ("default", "kube-system"):
            for pod in self.plane.admin.get(PODS.replace("default", namespace), labelSelector=f"story={self.key}")[
                "items"
            ]:
                path = f"{PODS.replace('default', namespace)}/{pod['metadata']['name']}"
                self.plane.admin.raw("DELETE", path, {"gracePeriodSeconds": 0})
        self.plane.admin.delete(f"{BUDGETS}/{self.key}")
        for side in self.sides:
            side.node.close()
            side.node.delete()
