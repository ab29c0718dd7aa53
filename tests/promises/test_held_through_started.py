"""Weakness 12 of peers: the node becomes schedulable when the event starts, that is, while it reboots."""

from tests.promises.agents import cordoned, tended


def test_the_cordon_is_held_while_the_vm_reboots_and_until_the_node_is_ready(plane):
    with tended(plane) as scene:
        event = scene.event("Reboot")
        scene.wait_cordoned()
        scene.imds.start_event(event)
        scene.long_enough()
        assert cordoned(scene.get())
        scene.agent.kill()  # the VM goes down
        scene.node.set_ready(False)
        scene.node.reboot()
        scene.agent.start()
        scene.long_enough()
        assert cordoned(scene.get())
        scene.over(event)
        assert scene.agent.wait_said("node.release_waiting")["because"] == "the node is not Ready"
        scene.polled()
        assert cordoned(scene.get())
        scene.node.set_ready(True)
        scene.wait_released()
