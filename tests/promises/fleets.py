"""Several nodes at once, each with a VM of one emulator and an agent of its own."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from agent.emulator import Emulator
from tests.controlplane.cluster import Cluster
from tests.controlplane.nodes import PROVIDER_ID
from tests.controlplane.session import ApiSession
from tests.promises.agents import Agent, Tended, node_of

DOMAINS = 5  # update domains, as Azure gives a scale set


def vm_of(number: int, group: str, address: str) -> dict[str, str]:
    """Return how one VM differs from the default one; its name is no other fleet's, since they share a cluster."""
    domain, name = str(number % DOMAINS), f"vm-{address.replace('.', '-')}-{number}"
    return {"name": name, "vmId": name, "placementGroupId": group, "platformUpdateDomain": domain}


@contextmanager
def fleet(
    plane: Cluster,
    count: int,
    *,
    group: str = "",
    address: str = "127.0.9",
    compute: Callable[[int], Mapping[str, str]] = lambda _: {},
    labels: Mapping[str, str] | None = None,
    **settings: str,
) -> Iterator[list[Tended]]:
    """Open nodes with a VM and a running agent each, all VMs in one emulator, in one placement group if it has a name.

    Args:
        address: three quarters of their addresses, IMDS's and the nodes' alike.
        compute: how the VM of a number differs further.
        labels: of the nodes.
    """
    vms = [
        {"address": f"{address}.{n + 1}", "instance": {"compute": {**vm_of(n, group, address), **compute(n)}}}
        for n in range(count)
    ]
    with ExitStack() as opened:
        imds = opened.enter_context(Emulator(fleet=vms))
        scenes = []
        for number, (vm, url) in enumerate(imds.urls.items()):
            place = f"{address}.{number + 1}"
            node = opened.enter_context(
                node_of(
                    plane,
                    labels=labels,
                    address=place,
                    provider_id=PROVIDER_ID.format(vm_of(number, group, address)["name"]),
                )
            )
            agent = Agent(plane.agent_kubeconfig(node.name), node.name, url, {}, **settings)
            opened.callback(agent.kill)
            scenes.append(scene := Tended(plane, node, imds, agent, vm=vm))
            scene.admin = opened.enter_context(session_of(plane))
            agent.start()
        yield scenes


def session_of(plane: Cluster) -> ApiSession:
    """Return an admin's session for one thread."""
    return plane.new_session(plane.identity("admin", "system:masters"), agent="admin")
