"""An actor that plays kubelet for the pods bound to its nodes: it starts them, and ends them when they are deleted."""

import logging
import threading
import time
from collections.abc import Iterable
from datetime import datetime, timezone
from types import TracebackType
from typing import TYPE_CHECKING, Any

import requests

from tests.controlplane.session import STRATEGIC, ApiError, ApiSession

if TYPE_CHECKING:
    from typing_extensions import Self

    from tests.controlplane.cluster import Cluster

LOOK = 0.2  # seconds between two looks
ENDING = "test/ending"  # annotation of one pod: how many seconds it takes to end, `never` for a hung one
NOT_FOUND = 404
log = logging.getLogger(__name__)


class PodActor:
    """Looks at the pods of its nodes every so often, in a thread of its own, and does what their kubelets would.

    A pod takes `ending` seconds to end, or what its annotation `test/ending` says, at most the grace it was given: then it is
    killed. One that ends `never` outlives even that. Of one that a finalizer holds the object stays, without work in it.
    It works as an admin: what kubelets may do to pods is not what our tests are about.
    """

    def __init__(self, cluster: "Cluster", nodes: Iterable[str], *, ending: float) -> None:
        self.cluster = cluster
        self.nodes = set(nodes)
        self.ending = ending
        self.stopping = threading.Event()
        self.asked: dict[str, float] = {}  # by uid, monotonic: when a pod was first seen to be deleted
        self.ended: set[str] = set()  # by uid: kubelet has done its part
        self.thread = threading.Thread(target=self._run, name="pods", daemon=True)
        self.thread.start()

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop playing; the pods stay as they are."""
        self.stopping.set()
        self.thread.join()

    def _run(self) -> None:
        identity = self.cluster.identity("admin", "system:masters")
        with self.cluster.new_session(identity, agent="kubelet/v1.34.4") as session:
            while not self.stopping.wait(LOOK):
                self._look(session)

    def _look(self, session: ApiSession) -> None:
        try:
            for pod in session.get("/api/v1/pods")["items"]:
                if pod["spec"].get("nodeName") in self.nodes:
                    self._treat(session, pod)
        except (requests.RequestException, ApiError) as error:  # an outage in a test: look again
            log.info("pods: a look failed: %s", error)

    def _treat(self, session: ApiSession, pod: dict[str, Any]) -> None:
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        if "deletionTimestamp" in metadata:
            if metadata["uid"] not in self.ended and self._is_over(metadata):
                self._end(session, path, pod)
        elif pod["status"].get("phase") == "Pending":
            accept_gone(session.raw("PATCH", f"{path}/status", {"status": running(pod)}, content_type=STRATEGIC))

    def _is_over(self, metadata: dict[str, Any]) -> bool:
        since = time.monotonic() - self.asked.setdefault(metadata["uid"], time.monotonic())
        wanted = metadata.get("annotations", {}).get(ENDING, self.ending)
        if wanted == "never":
            return False
        return since >= min(metadata.get("deletionGracePeriodSeconds", 0), float(wanted))

    def _end(self, session: ApiSession, path: str, pod: dict[str, Any]) -> None:
        """Report the containers' end where somebody will see it, then let the object go."""
        metadata = pod["metadata"]
        if metadata.get("finalizers"):
            accept_gone(session.raw("PATCH", f"{path}/status", {"status": ended(pod)}, content_type=STRATEGIC))
        end = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}}
        accept_gone(session.raw("DELETE", path, end))
        self.ended.add(metadata["uid"])


def accept_gone(response: requests.Response) -> None:
    """Take it as done when the pod has gone meanwhile."""
    if response.status_code != NOT_FOUND and not response.ok:
        raise ApiError(response)


def running(pod: dict[str, Any]) -> dict[str, Any]:
    """Return the status of this pod with all its containers running and ready."""
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "phase": "Running",
        "startTime": now,
        "podIP": "127.0.0.1",
        "podIPs": [{"ip": "127.0.0.1"}],
        "conditions": [
            {"type": kind, "status": "True", "lastTransitionTime": now}
            for kind in ("Initialized", "PodScheduled", "ContainersReady", "Ready")
        ],
        "containerStatuses": [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": True,
                "restartCount": 0,
                "state": {"running": {"startedAt": now}},
            }
            for container in pod["spec"]["containers"]
        ],
    }


def ended(pod: dict[str, Any]) -> dict[str, Any]:
    """Return the status of this pod with all its containers ended in peace."""
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    done = {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}
    return {
        "phase": "Succeeded",
        "containerStatuses": [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": False,
                "restartCount": 0,
                "state": {"running": None, "terminated": done},
            }
            for container in pod["spec"]["containers"]
        ],
    }
