"""Labels below our prefixes are ours, whoever put them there; everything else is never touched."""

from tests.controlplane.session import MERGE
from tests.promises.agents import DOMAIN, INSTANCE, annotations, labels, node_of, ours, owners, tended

RACK, SIZE = f"topology.{DOMAIN}/rack", f"vm.{DOMAIN}/size"
FOREIGN = {
    "example.com/team": "storage",
    "topology.kubernetes.io/zone": "somewhere-9",
    f"{DOMAIN}.example.com/x": "1",
    f"another.{DOMAIN}/x": "1",
    "topology": "flat",
}


def settled(scene) -> None:
    """Wait until the facts may be changed on the node, and that has been done."""
    scene.asked("/metadata/instance", 4)
    scene.polled(1)


def test_labels_that_kubelet_registered_under_our_keys_are_taken_over_and_stay(plane):
    registered = {RACK: "westeurope-1-fd0", SIZE: "Standard_Old", f"tag.{DOMAIN}/role": "Worker"}
    with node_of(plane, labels=registered) as node, tended(plane, node=node) as scene:
        found = scene.wait_for(lambda node: labels(node).get(SIZE) == "Standard_D4s_v3", "the true size")
        assert labels(found)[RACK] == "westeurope-1-fd0"
        scene.wait_for(lambda node: labels(node)[f"tag.{DOMAIN}/role"] == "WebRole", "the true tag")
        conflicts = scene.agent.said("labels.conflict_found")
        assert any("kubelet" in manager for entry in conflicts for manager in entry["managers"].values())
        settled(scene)
        assert {"kubelet", "imds-agent-facts"} <= owners(scene.get(), "f:metadata", "f:labels", f"f:{RACK}")


def test_leftovers_below_our_prefixes_go_and_foreign_labels_taints_and_annotations_stay(plane):
    leftovers = {f"topology.{DOMAIN}/old": "1", f"vm.{DOMAIN}/old": "1", f"tag.{DOMAIN}/old": "1"}
    taints = [{"key": "example.com/dedicated", "value": "gpu", "effect": "NoSchedule"}]
    with node_of(plane, labels={**leftovers, **FOREIGN}, taints=taints) as node, tended(plane, node=node) as scene:
        plane.kubectl("annotate", "node", node.name, "example.com/note=keep", "kured.dev/x=1")
        found = scene.wait_for(lambda node: not leftovers.keys() & labels(node).keys(), "leftovers gone")
        event = scene.event("Reboot")
        scene.wait_cordoned()
        scene.over(event)
        scene.wait_released()
        found = scene.get()
        assert FOREIGN.items() <= labels(found).items()
        assert found["spec"]["taints"] == taints
        assert annotations(found)["example.com/note"] == "keep"
        assert not any(
            who.startswith("imds-agent")
            for key in FOREIGN
            for who in owners(found, "f:metadata", "f:labels", f"f:{key}")
        )
        scene.agent.wait_said("leftovers.removed")
        assert sorted(scene.agent.said("leftovers.removed")[0]["labels"]) == [
            f"topology.{DOMAIN}/old",
            f"vm.{DOMAIN}/old",
        ]


def test_what_others_change_below_our_prefixes_is_put_right_with_one_write_and_said(plane):
    with tended(plane) as scene:
        scene.wait_labelled()
        settled(scene)
        body = {
            "metadata": {"labels": {RACK: "elsewhere", f"tag.{DOMAIN}/role": None}, "annotations": {INSTANCE: None}}
        }
        plane.admin.patch(scene.node.path, body, MERGE, fieldManager="somebody")
        scene.wait_for(lambda node: labels(node)[RACK] == "westeurope-1-fd0", "the true rack")
        found = scene.wait_for(lambda node: labels(node).get(f"tag.{DOMAIN}/role") == "WebRole", "the tag back")
        assert INSTANCE in annotations(found)
        assert scene.agent.wait_said("labels.conflict_found")["managers"].popitem()[1] == "somebody"
        version = scene.get()["metadata"]["resourceVersion"]
        scene.asked("/metadata/instance", 2)
        assert scene.get()["metadata"]["resourceVersion"] == version


def test_a_node_that_was_labelled_for_another_vm_is_labelled_anew_at_once(plane):
    with tended(plane) as scene:
        scene.wait_labelled()
        settled(scene)
        scene.agent.kill()
        other = {
            "vmId": "11111111-2222-3333-4444-555555555555",
            "zone": "",
            "platformFaultDomain": "2",
            "tagsList": [],
            "tags": "",
        }
        scene.imds.patch_instance({"compute": other})
        scene.agent.start()
        found = scene.wait_for(lambda node: labels(node)[RACK] == "westeurope-fd2", "the other VM's rack")
        assert f"topology.{DOMAIN}/zone" not in labels(found)
        scene.wait_for(lambda node: not any(key.startswith("tag.") for key in ours(node)), "no tag of the former VM")
