"""Our manifests on a cluster: applied by kubectl, and waited for until the own-node policy bites."""

import fcntl
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tests.controlplane.session import MERGE, ApiSession

if TYPE_CHECKING:
    from tests.controlplane.cluster import Cluster

BASE = Path(__file__).resolve().parents[2] / "manifests" / "base"
POLICY = "imds-agent-own-node"
PATIENCE = 30.0  # seconds; the API server compiles a new policy within about one


def install(cluster: "Cluster", folder: Path = BASE, *, namespace: str = "imds-agent") -> str:
    """Apply the kustomize folder, wait until its policy refuses what it must, and return what kubectl said."""
    with (cluster.workdir / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # xdist workers share a plane, and kubectl's create is no upsert
        said = cluster.kubectl("apply", "-k", str(folder))
    node = cluster.register_node(f"policy-probe-{uuid.uuid4().hex[:8]}")
    token = cluster.agent_token(node.name, namespace)
    with cluster.new_session(token=token) as session:
        wait(lambda: refuses(session, node.path), f"the policy {POLICY} does not refuse a foreign label")
    cluster.agents.end_pod(node.name, namespace)
    node.close()
    node.delete()
    return said


def wait_for_right(cluster: "Cluster", verb: str, what: str, *, namespace: str = "imds-agent") -> None:
    """Wait until the API server has heard that the agents may do this everywhere: it reads roles from a cache."""
    account = f"--as=system:serviceaccount:{namespace}:imds-agent"
    asked = ("auth", "can-i", verb, what, "--all-namespaces", account)
    wait(lambda: cluster.kubectl(*asked, check=False).strip() == "yes", f"the agents may not {verb} {what}")


def wait(holds: Callable[[], bool], trouble: str) -> None:
    """Wait until it holds, at most for PATIENCE."""
    last = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > last:
            raise RuntimeError(f"controlplane: {trouble} in {PATIENCE:.0f} s")
        time.sleep(0.1)


def refuses(session: ApiSession, path: str, key: str = "foreign") -> bool:
    """Whether the policy, and not only a missing right, refuses a label, by default a foreign one."""
    response = session.raw("PATCH", path, {"metadata": {"labels": {key: "label"}}}, content_type=MERGE, dryRun="All")
    return POLICY in response.text
