"""Other agents that write to the same node, each with the requests that the real one sends; nothing of them is run here.

- client-go's `Update`: read the node, change the copy, PUT it back whole with its resourceVersion, again after a 409
  (cloud-node-manager: kubernetes-sigs/cloud-provider-azure pkg/nodemanager/nodemanager.go, `initializeNode`;
  cluster-autoscaler: kubernetes/autoscaler cluster-autoscaler/utils/taints/taints.go, `AddTaints`, `CleanTaints`);
- Karpenter's merge patch with an optimistic lock (kubernetes-sigs/karpenter pkg/controllers/state/statenode.go);
- kured's strategic patch with the whole node in it, and its JSON patch (kubereboot/kured cmd/kured/main.go).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import requests

from tests.controlplane.session import JSON_PATCH, MERGE, STRATEGIC, ApiError, ApiSession
from tests.promises.agents import PATIENCE, Tended

Document = dict[str, Any]
Change = Callable[[Document], object]
CONFLICT = 409


class Neighbour:
    """Somebody else with rights to all nodes; its name is the field manager that the API server sees."""

    def __init__(self, scene: Tended, session: ApiSession) -> None:
        self.path = scene.node.path
        self.session = session
        self.conflicts = 0

    def read(self) -> Document:
        return self.session.get(self.path)

    def update(self, change: Change, copy: Document | None = None) -> Document:
        """Change the node as client-go's `Update` in a `RetryOnConflict` does.

        Args:
            copy: what was read some time ago; None reads now.
        """
        copy = copy or self.read()
        return self._until_accepted(change, copy, lambda node: self.session.raw("PUT", self.path, node))

    def patch_locked(self, change: Change) -> Document:
        """Change spec and labels by merge patch that holds for the version which was read."""
        return self._until_accepted(change, self.read(), self._merge)

    def patch_whole(self, change: Change) -> Document:
        """Send the whole changed node as strategic merge patch; its resourceVersion goes along."""
        return self._until_accepted(change, self.read(), self._strategic)

    def remove_annotation(self, key: str) -> None:
        pointer = f"/metadata/annotations/{key.replace('/', '~1')}"
        self.session.patch(self.path, [{"op": "remove", "path": pointer}], JSON_PATCH)

    def _merge(self, node: Document) -> requests.Response:
        body = {
            "metadata": {"resourceVersion": node["metadata"]["resourceVersion"]},
            "spec": {"taints": node["spec"]["taints"] or None},
        }
        return self.session.raw("PATCH", self.path, body, content_type=MERGE)

    def _strategic(self, node: Document) -> requests.Response:
        return self.session.raw("PATCH", self.path, node, content_type=STRATEGIC)

    def _until_accepted(
        self, change: Change, node: Document, send: Callable[[Document], requests.Response]
    ) -> Document:
        last = time.monotonic() + PATIENCE
        while True:
            change(node)
            response = send(node)
            if response.status_code != CONFLICT or time.monotonic() > last:
                break
            self.conflicts += 1
            node = self.read()
        if not response.ok:
            raise ApiError(response)
        found: Document = response.json()
        return found


@contextmanager
def neighbour(scene: Tended, name: str) -> Iterator[Neighbour]:
    """Let somebody of this name write to the node for as long as the block lasts; in a thread of its own, too."""
    identity = scene.plane.identity("admin", "system:masters")
    with scene.plane.new_session(identity, agent=f"{name}/v1") as session:
        yield Neighbour(scene, session)


# Changes of a copy.


def with_taint(key: str, effect: str = "NoSchedule", value: str = "", *, cordon: bool = False) -> Change:
    """Add a taint, and cordon in the same request as some do."""

    def change(node: Document) -> None:
        taint = {"key": key, "effect": effect} | ({"value": value} if value else {})
        node["spec"]["taints"] = [*others(node, key), taint]
        if cordon:
            node["spec"]["unschedulable"] = True

    return change


def without_taint(key: str, *, uncordon: bool = False) -> Change:
    """Take the taint away, and give the node back in the same request as some do."""

    def change(node: Document) -> None:
        node["spec"]["taints"] = others(node, key)
        if uncordon:
            node["spec"]["unschedulable"] = False

    return change


def others(node: Document, key: str) -> list[Document]:
    return [taint for taint in node["spec"].get("taints", []) if taint["key"] != key]


def taint_keys(node: Document) -> set[str]:
    return {taint["key"] for taint in node["spec"].get("taints", [])}
