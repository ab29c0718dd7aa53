"""What docs/labels.md shows does what it says: a real scheduler spreads by labels that agents gave twelve nodes."""

import re
import uuid
from collections import Counter
from contextlib import contextmanager

import pytest
import yaml

from tests.controlplane.cluster import Cluster
from tests.promises.agents import DOMAIN, ROOT, labels, wait_until
from tests.promises.fleets import fleet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

RACK, ZONE, GROUP = (f"topology.{DOMAIN}/{key}" for key in ("rack", "zone", "update-group"))
EXAMPLES = [
    yaml.safe_load(text)
    for text in re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "labels.md").read_text(), re.DOTALL)
]
NODES = 12


def place(number: int) -> dict[str, str]:
    """Two zones, three fault domains in each, five update domains: every rack twice."""
    return {
        "zone": str(number % 2 + 1),
        "platformFaultDomain": str(number // 2 % 3),
        "platformUpdateDomain": str(number % 5),
    }


@contextmanager
def placed(plane: Cluster, kind: str, only: dict[str, str], **spec):
    """Apply an example of the page on chosen nodes; yields where its pods are."""
    document = next(each for each in EXAMPLES if each["kind"] == kind)
    name = f"s{uuid.uuid4().hex[:8]}"
    document = yaml.safe_load(yaml.safe_dump(document).replace(document["metadata"]["name"], name))
    document["spec"] |= spec
    document["spec"]["template"]["spec"] |= {"nodeSelector": only, "automountServiceAccountToken": False}
    plane.kubectl("apply", "-f", "-", input=yaml.safe_dump(document))

    def nodes() -> list[str]:
        found = plane.admin.get(f"/api/v1/namespaces/default/pods?labelSelector=app={name}")["items"]
        return [pod["spec"]["nodeName"] for pod in found if pod["spec"].get("nodeName")]

    def settled() -> list[str]:
        count = document["spec"]["replicas"]
        return wait_until(
            lambda: len(found := nodes()) == count and found, f"{count} pods on nodes", lambda: str(nodes())
        )

    try:
        yield settled
    finally:
        plane.kubectl("delete", kind.lower(), name, "--wait=false")
        plane.kubectl("delete", "pods", "-l", f"app={name}", "--force", "--grace-period=0", "--wait=false")


def test_a_scheduler_spreads_by_the_agents_labels_as_the_page_says(whole_drain_plane: Cluster) -> None:
    plane, only = whole_drain_plane, {"spread": f"s{uuid.uuid4().hex[:8]}"}
    with fleet(plane, NODES, address="127.0.31", compute=place, labels=only) as scenes:
        stands = {}
        for scene in scenes:
            node = scene.wait_for(lambda each: GROUP in labels(each) and RACK in labels(each), "all labels")
            stands[scene.node.name] = labels(node)
        assert len({each[RACK] for each in stands.values()}) == 6
        assert {"westeurope-1-fd0", "westeurope-2-fd0"} <= {each[RACK] for each in stands.values()}

        with placed(plane, "Deployment", only) as pods:
            found = pods()
            assert Counter(stands[node][ZONE] for node in found) == {"westeurope-1": 3, "westeurope-2": 3}
            assert set(Counter(stands[node][RACK] for node in found).values()) == {1}, "fault domain 0 is two racks"
        with placed(plane, "StatefulSet", only) as pods:
            assert len({stands[node][GROUP] for node in pods()}) == 3

        going = scenes[0]
        going.event("Reboot")
        going.wait_cordoned()
        with placed(plane, "Deployment", only, replicas=18) as pods:
            found = pods()
            assert going.node.name not in found
            assert Counter(stands[node][ZONE] for node in found) == {"westeurope-1": 9, "westeurope-2": 9}
