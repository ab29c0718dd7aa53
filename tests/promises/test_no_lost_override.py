"""What somebody does between our look and our write is never lost: a mark that stands is changed only as it was seen."""

import io

import pytest

from agent.clients.cluster import Access
from agent.clients.cluster import Cluster as Clients
from agent.clients.cluster_errors import ClusterConflict
from agent.core.actions import ApplyMark
from agent.core.known import Rules
from agent.core.mark import Mark, MarkedEvent
from agent.core.node import read_node
from agent.daemon.acts import Acts
from agent.daemon.metrics import Metrics
from agent.log import set_up
from tests.controlplane.cluster import Cluster
from tests.controlplane.nodes import NodeActor

MARK = Mark(events=(MarkedEvent(id="A", type="Reboot", do="cordon"),))
STARTED = Mark(events=(MarkedEvent(id="A", type="Reboot", do="cordon", started=True),))


@pytest.fixture
def agent(plane: Cluster, node: NodeActor):
    clients = Clients(Access(kubeconfig=plane.agent_kubeconfig(node.name)))
    acts = Acts(clients, set_up(level="info", form="json", stream=io.StringIO()), Metrics(), Rules())
    yield clients, acts
    clients.close()


def test_an_uncordon_between_look_and_write_is_not_overwritten(plane: Cluster, node: NodeActor, agent) -> None:
    clients, acts = agent
    acts.carry_out(ApplyMark(mark=MARK, cordon=True), read_node(clients.node(node.name)))
    seen = read_node(clients.node(node.name))
    plane.kubectl("uncordon", node.name)
    with pytest.raises(ClusterConflict):
        acts.carry_out(ApplyMark(mark=STARTED, cordon=True), seen)
    assert not node.get()["spec"].get("unschedulable")


def test_a_hold_between_look_and_release_keeps_the_cordon(plane: Cluster, node: NodeActor, agent) -> None:
    clients, acts = agent
    seen = acts.carry_out(ApplyMark(mark=MARK, cordon=True), read_node(clients.node(node.name)))
    plane.kubectl("annotate", "node", node.name, "imds-agent.github.io/hold=by hand")
    with pytest.raises(ClusterConflict):
        acts.carry_out(ApplyMark(mark=None, cordon=False), seen)
    assert node.get()["spec"]["unschedulable"] is True


def test_the_first_cordon_does_not_mind_a_heartbeat_in_between(node: NodeActor, agent) -> None:
    clients, acts = agent
    seen = read_node(clients.node(node.name))
    node.set_ready(False)
    acts.carry_out(ApplyMark(mark=MARK, cordon=True), seen)
    assert node.get()["spec"]["unschedulable"] is True
