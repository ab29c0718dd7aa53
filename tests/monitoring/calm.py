"""What happens every week and wakes nobody: a rolling update, an event, a node that is scaled in, and others."""

import re

from tests.monitoring.scenes import (
    LASTS,
    NODES,
    OTHER_STATE,
    SET,
    STATE,
    THERE,
    WANTED,
    agent,
    cluster_state,
    healthy,
    mark,
    of,
    pod_info,
    pod_ready,
    same,
    series,
    target,
    vm_up,
)

Scene = dict[str, str]


def until(minute: int, values: str) -> str:
    """Return a series' values up to a minute, where it ends."""
    return re.sub(r"x\d+$", f"x{minute}", values) + " stale"


def since(minute: int, values: str) -> str:
    """Return a series' values from a minute on."""
    return f"_x{minute} {values}"


def replaced(node: str, at: int, ready: int) -> Scene:
    """Return an agent whose pod goes at a minute, and one that is ready at another."""
    old, new = f'pod="imds-agent-{node}"', f'pod="imds-agent-{node}-new"'
    found = {name: until(at, values) for name, values in agent(node).items()}
    found |= {name.replace(old, new): since(at + 1, values) for name, values in agent(node).items()}
    found |= {pod_info(node, node): until(at, same(1)), pod_ready(node): until(at, same(1))}
    pod = f"{node}-new"
    return found | {
        pod_info(node, pod): since(at + 1, same(1)),
        pod_ready(pod): f"_x{at + 1} 0x{ready - at} 1x{LASTS}",
    }


def rolling_update() -> Scene:
    """One node after the other gets another agent, which is ready after five minutes, for a quarter of an hour in all."""
    scene = healthy()
    for number, node in enumerate(NODES):
        scene |= replaced(node, 10 + 6 * number, 15 + 6 * number)
    wanted = {series(THERE, {**STATE, **SET}): f"3x10 2 3x4 2 3x4 2 3x{LASTS}"}
    return scene | wanted


def event_with_its_vm() -> Scene:
    """A VM is cordoned, is away for forty minutes, and comes back with an agent that gives it back."""
    scene = healthy()
    down = {name: f"{until(10, values)} _x40 {values}" for name, values in agent("n1").items()}
    down |= {of("plan", "n1", plan="cordon"): f"0x5 1x5 stale _x40 1x10 0x{LASTS}"}
    down |= {series("up", target("n1")): f"1x10 0x40 1x{LASTS}"}
    return scene | down | {vm_up("n1"): f"1x11 0x41 1x{LASTS}", pod_ready("n1"): f"1x11 0x42 1x{LASTS}"}


def scaled_in() -> Scene:
    """A VM is deleted; its node, and the agent's pod with it, some minutes later."""
    scene = healthy()
    gone = {name: until(10, values) for name, values in agent("n1").items()}
    gone |= {series("up", target("n1")): "1x10 0x5 stale"}
    for name in (vm_up("n1"), pod_ready("n1")):
        gone[name] = "1x11 0x4 stale"
    gone |= {name: until(15, same(1)) for name in (pod_info("n1", "n1"), mark("n1"))}
    return scene | gone | {series(what, {**STATE, **SET}): f"3x15 2x{LASTS}" for what in (WANTED, THERE)}


def api_server_upgraded() -> Scene:
    """Nobody reads a node for twenty minutes."""
    return healthy() | {
        of("answer_age_seconds", node, partner="node"): f"300x10 360+60x20 {same(300)}" for node in NODES
    }


def state_metrics_updated() -> Scene:
    """For a few minutes there are two kube-state-metrics."""
    old, new = cluster_state() | {mark("n1"): same(1)}, cluster_state(OTHER_STATE)
    scene = healthy() | {name: until(20, values) for name, values in old.items()}
    return scene | {name: since(15, values) for name, values in new.items()}


def always_growing() -> Scene:
    """Each minute a node is added, and its agent is ready two minutes later: some agent is never ready."""
    scene = healthy()
    for minute in range(60):
        pod = f"new{minute}"
        scene[pod_info(pod, pod)] = since(minute, same(1))
        scene[pod_ready(pod)] = since(minute, f"0x2 1x{LASTS}")
    return scene


CALM = (rolling_update, event_with_its_vm, scaled_in, api_server_upgraded, state_metrics_updated, always_growing)
