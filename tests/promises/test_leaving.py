"""An agent that leaves leaves the node as it is, at once; a second one on the host does not even begin."""

import signal

import pytest

from tests.addresses import free_address
from tests.promises.agents import Agent, cordoned, tended, wait_until


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_ends_the_agent_with_0_and_changes_nothing_on_the_node(plane, number):
    with tended(plane) as scene:
        scene.wait_labelled()
        scene.event("Reboot")
        scene.wait_cordoned()
        scene.polled(1)
        before = scene.get()
        assert scene.agent.send(number) == 0
        assert scene.get()["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
        assert cordoned(scene.get())
        assert scene.agent.log[-1]["event"] == "agent.stopped"


def test_a_signal_ends_the_agent_also_while_imds_hangs(plane):
    """Kubelet waits ten seconds; a thread that waits two minutes for the first events must not hold the process."""
    with tended(plane, start=False) as scene:
        scene.fault("hang")
        scene.agent.start()
        wait_until(lambda: len(scene.imds.requests()) >= 2, "both pollers hang", scene.agent.tail)
        scene.agent.process.send_signal(signal.SIGTERM)
        assert scene.agent.process.wait(10) == 0
        scene.agent.wait()
        scene.well()


def test_a_second_agent_on_the_same_port_stops_with_one_line_and_1(plane):
    address = free_address()
    with tended(plane, probe_address=address) as scene:
        scene.wait_labelled()
        kubeconfig = plane.workdir / f"imds-agent-imds-agent-{scene.node.name}.kubeconfig"
        second = Agent(kubeconfig, scene.node.name, scene.imds.url, {}, probe_address=address)
        second.start()
        assert second.wait() == 1
        assert second.log == []
        (line,) = second.noise
        assert address in line
        assert "another agent" in line
        scene.event("Reboot")
        scene.wait_cordoned()  # the first one is not disturbed
