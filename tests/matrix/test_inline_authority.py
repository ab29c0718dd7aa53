"""An authority that stands in the kubeconfig itself, as on a host without kubelet's mounts, may change as well."""

from agent.clients.cluster import Access, Cluster
from tests.controlplane.cluster import Cluster as Plane
from tests.controlplane.nodes import NodeActor
from tests.matrix.way import Way


def test_a_new_authority_in_the_kubeconfig_is_learned_without_a_restart(plane: Plane, node: NodeActor) -> None:
    way = Way(plane, node.name, inline=True)
    cluster = Cluster(Access(kubeconfig=way.kubeconfig))
    try:
        cluster.node(node.name)
        way.replace_authority()
        way.trust(way.authority)
        assert cluster.node(node.name)["metadata"]["name"] == node.name
    finally:
        cluster.close()
        way.close()
