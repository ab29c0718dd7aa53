"""A cordon asked for while ours stands leaves no trace, so a hold says it: then the node stays cordoned after our event."""

import subprocess
import sys
from contextlib import ExitStack

from tests.controlplane.session import APPLY, MERGE
from tests.promises.agents import HOLD, ROOT, annotations, cordoned, owners, tended, wait_until

UNSCHEDULABLE = ("f:spec", "f:unschedulable")
HANDOVER = "imds-agent-handover"


def imds_agent(scene, *arguments: str) -> str:
    """Run a command with the agent's own rights."""
    kubeconfig = scene.plane.workdir / f"imds-agent-imds-agent-{scene.node.name}.kubeconfig"
    command = [
        sys.executable,
        "-m",
        "agent",
        *arguments,
        f"--kubeconfig={kubeconfig}",
        f"--node-name={scene.node.name}",
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_a_hold_set_by_command_keeps_the_cordon_until_somebody_uncordons(plane):
    with tended(plane) as scene:
        event = scene.event("Reboot")
        scene.wait_cordoned()
        plane.kubectl("cordon", scene.node.name)  # "already cordoned": this is what nobody can see
        imds_agent(scene, "hold", "--reason=disk to be changed")
        assert annotations(scene.get())[HOLD] == "disk to be changed"
        scene.over(event)
        assert cordoned(scene.wait_withdrawn())
        assert owners(scene.get(), *UNSCHEDULABLE) == {HANDOVER}
        assert scene.agent.wait_said("cordon.handed_over")["holds"] == [f"annotation {HOLD}"]

        second = scene.event("Preempt")  # what was handed over stays so over another event
        scene.wait_cordoned()
        scene.over(second)
        assert cordoned(scene.wait_withdrawn())

        said = imds_agent(scene, "hold", "--remove")
        assert f"kubectl uncordon {scene.node.name}" in said
        scene.polled()
        assert cordoned(scene.get())
        plane.kubectl("uncordon", scene.node.name)
        assert not cordoned(scene.get())

        third = scene.event("Preempt")  # no hold any more: given back as ever
        scene.wait_cordoned()
        scene.over(third)
        scene.wait_released()


def test_a_plain_kubectl_cordon_during_ours_cannot_be_seen(plane):
    """Why hold exists, and what the docs must say: if this ever fails, kubectl has changed, and so may we."""
    with tended(plane) as scene:
        scene.wait_labelled()
        event = scene.event("Reboot")
        version = scene.wait_cordoned()["metadata"]["resourceVersion"]
        assert "already cordoned" in plane.kubectl("cordon", scene.node.name)
        assert scene.get()["metadata"]["resourceVersion"] == version
        scene.over(event)
        scene.wait_released()


def taint(key: str):
    def put(scene) -> None:
        wait_until(lambda: tainted(scene, key), f"taint {key}")

    return put


def tainted(scene, key: str) -> bool:
    """Add a taint to those that are there; False where somebody wrote to the node meanwhile."""
    found = scene.get()
    taints = [*found["spec"].get("taints", []), {"key": key, "effect": "NoSchedule"}]
    body = {"metadata": {"resourceVersion": found["metadata"]["resourceVersion"]}, "spec": {"taints": taints}}
    return scene.plane.admin.raw("PATCH", scene.node.path, body, content_type=MERGE, fieldManager="drainer").ok


def note(key: str):
    return lambda scene: scene.plane.kubectl("annotate", "node", scene.node.name, f"{key}=2026-11-22T10:00:00Z")


def applier(scene) -> None:
    body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": scene.node.name}, "spec": {"unschedulable": True}}
    scene.plane.admin.patch(scene.node.path, body, APPLY, fieldManager="node-maintenance", force="true")


DRAINERS = {
    "AKS node auto-drain": taint("remediator.kubernetes.azure.com/unschedulable"),
    "cluster-autoscaler": taint("ToBeDeletedByClusterAutoscaler"),
    "Karpenter": taint("karpenter.sh/disrupted"),
    "kured": note("weave.works/kured-reboot-in-progress"),
    "field manager node-maintenance": applier,
}


def untaint(key: str):
    def take(scene) -> None:
        def tried() -> bool:
            found = scene.get()
            taints = [taint for taint in found["spec"].get("taints", []) if taint["key"] != key]
            body = {
                "metadata": {"resourceVersion": found["metadata"]["resourceVersion"]},
                "spec": {"taints": taints or None},
            }
            return scene.plane.admin.raw("PATCH", scene.node.path, body, content_type=MERGE, fieldManager="drainer").ok

        wait_until(tried, f"no taint {key}")

    return take


def forget(key: str):
    return lambda scene: scene.plane.kubectl("annotate", "node", scene.node.name, f"{key}-")


# What each takes away by itself when it is done or has thought better of it; none of them uncordons what it found cordoned.
PASSING = {
    "AKS node auto-drain": untaint("remediator.kubernetes.azure.com/unschedulable"),
    "cluster-autoscaler": untaint("ToBeDeletedByClusterAutoscaler"),
    "Karpenter": untaint("karpenter.sh/disrupted"),
    "kured": forget("weave.works/kured-reboot-in-progress"),
}


def test_while_another_agent_takes_the_node_down_it_waits_under_our_mark_and_is_given_back_afterwards(plane):
    with ExitStack() as open_scenes:
        scenes = {who: open_scenes.enter_context(tended(plane)) for who in PASSING}
        events = {who: scene.event("Redeploy") for who, scene in scenes.items()}
        for who, scene in scenes.items():
            scene.wait_cordoned()
            DRAINERS[who](scene)
            scene.over(events[who])
        for who, scene in scenes.items():
            assert who in scene.agent.wait_said("node.release_waiting")["because"]
        for who, scene in scenes.items():
            scene.polled(4)
            assert cordoned(scene.get()), who
            assert scene.agent.said("cordon.handed_over") == []
            PASSING[who](scene)
        for scene in scenes.values():
            scene.wait_released()


def test_another_applier_that_wants_the_cordon_gets_it_and_is_named(plane):
    who = "field manager node-maintenance"
    with tended(plane) as scene:
        event = scene.event("Redeploy")
        scene.wait_cordoned()
        DRAINERS[who](scene)
        scene.over(event)
        found = scene.wait_withdrawn()
        assert cordoned(found)
        assert HANDOVER in owners(found, *UNSCHEDULABLE)
        assert who in scene.agent.wait_said("cordon.handed_over")["holds"][0]
