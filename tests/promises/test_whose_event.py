"""Weaknesses 23 and 25 of peers: node names taken for VM names, decimal for base 36, siblings' events for one's own."""

import uuid

from tests.promises.agents import EVENTS, annotations, cordoned, node_of, tended

SCALE_SET = "aks-pool1-12345678-vmss"


def test_an_event_concerns_the_vm_that_its_resources_name_and_no_other(plane):
    with tended(plane, instance={"compute": {"name": f"{SCALE_SET}_1"}}) as scene:
        before = scene.wait_labelled()
        strangers = [f"{SCALE_SET}_12", f"{SCALE_SET}_", SCALE_SET, f"x{SCALE_SET}_1", f"{SCALE_SET}_1.local", "_", "1"]
        scene.event("Preempt", Resources=strangers)
        scene.event("Reboot", Resources=[])
        scene.event("Reboot", Resources=[scene.node.name])
        scene.polled()
        assert EVENTS not in annotations(scene.get())
        assert scene.get()["spec"] == before["spec"]
        scene.event("Reboot", Resources=[f"{SCALE_SET}_12", f"{SCALE_SET}_1".upper()])
        scene.wait_cordoned()


def test_instance_eleven_is_node_00000b_and_never_node_000011(plane):
    """The node's name counts in base 36 and IMDS in decimal, so only IMDS's name is compared."""
    vm = {"compute": {"name": f"{SCALE_SET}_11", "osProfile": {"computerName": f"{SCALE_SET}00000b"}}}
    unique = uuid.uuid4().hex[:6]
    node = plane.register_node(f"{SCALE_SET}-{unique}00000b")
    with tended(plane, node=node, instance=vm) as scene:
        scene.wait_labelled()
        scene.event("Preempt", Resources=[node.name, f"{SCALE_SET}_b", f"{SCALE_SET}_00000b", f"{SCALE_SET}_1"])
        scene.polled()
        assert not cordoned(scene.get())
        scene.event("Preempt", Resources=[f"{SCALE_SET}_11"])
        scene.wait_cordoned()
    node.close()
    node.delete()


def test_the_previews_underscore_before_names_is_understood(plane):
    with node_of(plane) as node, tended(plane, node=node, instance={"compute": {"name": "vm-7"}}) as scene:
        scene.event("Reboot", Resources=["_vm-7"])
        scene.wait_cordoned()


def test_a_node_without_a_provider_id_is_tended_all_the_same(plane):
    """Weakness 20: a peer crashes on fresh nodes whose providerID is still empty."""
    with node_of(plane, provider_id="") as node, tended(plane, node=node) as scene:
        assert not scene.get()["spec"].get("providerID")
        scene.event("Reboot")
        scene.wait_cordoned()
