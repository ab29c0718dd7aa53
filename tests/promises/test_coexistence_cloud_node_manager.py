"""cloud-node-manager writes the whole node (PUT) when it initialises it, and its addresses later: neither of us loses a word.

What it sends: kubernetes-sigs/cloud-provider-azure pkg/nodemanager/nodemanager.go, `initializeNode` (labels, providerID, its taint
removed, in one PUT, again after a 409) and `updateNodeAddress` (a patch of the status).
"""

import threading

from tests.controlplane.session import STRATEGIC
from tests.promises.agents import (
    DOMAIN,
    EVENTS,
    INSTANCE,
    annotations,
    cordoned,
    labels,
    node_of,
    owners,
    tended,
    wait_until,
)
from tests.promises.neighbours import Document, neighbour, taint_keys

UNINITIALIZED = "node.cloudprovider.kubernetes.io/uninitialized"
ITS = {
    "node.kubernetes.io/instance-type": "Standard_D4s_v3",
    "topology.kubernetes.io/region": "westeurope",
    "topology.kubernetes.io/zone": "westeurope-1",
}
TAGS = [
    ("Department", "IT"),
    ("Environment", "Test"),
    ("Role", "WebRole"),
    ("tier", "gold"),
]  # one more than the VM had
TIER = f"tag.{DOMAIN}/tier"
PROVIDER_ID = "azure:///subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/vm0"


def initialise(node: Document) -> None:
    node["metadata"]["labels"] |= ITS
    node["spec"]["providerID"] = PROVIDER_ID
    node["spec"]["taints"] = [taint for taint in node["spec"].get("taints", []) if taint["key"] != UNINITIALIZED]


def test_a_node_that_it_initialises_while_we_label_and_cordon_gets_both(plane):
    """It reads before our first word and writes after our cordon: refused once, and right at the second try."""
    taint = {"key": UNINITIALIZED, "value": "true", "effect": "NoSchedule"}
    with (
        node_of(plane, provider_id="", taints=[taint]) as node,
        tended(plane, node=node, start=False) as scene,
        neighbour(scene, "cloud-node-manager") as manager,
    ):
        copy = manager.read()
        event = scene.event("Reboot")
        scene.agent.start()
        scene.wait_labelled()
        scene.wait_cordoned()
        manager.update(initialise, copy)
        assert manager.conflicts >= 1

        found = scene.get()
        assert cordoned(found)
        assert {EVENTS, INSTANCE} <= set(annotations(found))
        assert f"topology.{DOMAIN}/rack" in labels(found)
        assert owners(found, "f:spec", "f:unschedulable") == {
            "imds-agent-events"
        }  # a PUT of what stands takes nothing over
        scene.over(event)
        found = scene.wait_released()
        assert ITS.items() <= labels(found).items()
        assert found["spec"]["providerID"] == PROVIDER_ID
        assert UNINITIALIZED not in taint_keys(found)
        assert scene.agent.said("cordon.overridden") == scene.agent.said("labels.conflict_found") == []


def test_nothing_is_lost_while_it_writes_the_whole_node_all_the_time(plane):
    with tended(plane) as scene, neighbour(scene, "cloud-node-manager") as manager:
        scene.wait_labelled()
        scene.asked("/metadata/instance", 4)
        stands = {key: value for key, value in labels(scene.get()).items() if DOMAIN in key}
        done, rounds = threading.Event(), []

        def write() -> None:
            while not done.wait(0.02):
                copy = manager.read()
                done.wait(0.05)  # the longer between look and write, the likelier the conflict
                number = str(len(rounds))
                manager.update(
                    lambda node, number=number: node["metadata"]["labels"].update({"example.com/n": number}), copy
                )
                address = {"type": "InternalIP", "address": f"10.0.0.{len(rounds) % 250 + 1}"}
                manager.session.patch(f"{scene.node.path}/status", {"status": {"addresses": [address]}}, STRATEGIC)
                rounds.append(number)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            scene.imds.patch_instance(
                {"compute": {"tagsList": [{"name": name, "value": value} for name, value in TAGS]}}
            )
            scene.wait_for(lambda node: labels(node).get(TIER) == "gold", "the new tag")
            for kind in ("Reboot", "Preempt"):
                event = scene.event(kind)
                scene.wait_cordoned()
                if kind == "Reboot":
                    scene.imds.start_event(event)
                    scene.wait_for(lambda node: '"started":true' in annotations(node)[EVENTS], "seen Started")
                scene.over(event)
                scene.wait_released()
            wait_until(lambda: len(rounds) > 20 and writer.is_alive(), "twenty rounds of the writer", scene.agent.tail)
        finally:
            done.set()
            writer.join()
        found = scene.get()
        assert labels(found)["example.com/n"] == rounds[-1]  # we never wrote over it
        assert {"type": "InternalIP", "address": f"10.0.0.{(len(rounds) - 1) % 250 + 1}"} in found["status"][
            "addresses"
        ]
        assert {key: value for key, value in labels(found).items() if DOMAIN in key} == {**stands, TIER: "gold"}
        assert scene.agent.said("cordon.overridden") == scene.agent.said("cordon.cleared") == []
