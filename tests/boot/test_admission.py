"""A node that registers with our labels, under kubelet's own credentials, before a real API server with NodeRestriction."""

import base64
import json
import threading
import uuid
from contextlib import closing, contextmanager, suppress

import pytest
import requests
import urllib3

from agent.emulator import Emulator
from tests.boot.systemd_env import read_environment
from tests.boot.vm import DEFAULT, first_boot, kubeadm_vm
from tests.cli.users import User
from tests.controlplane.session import ApiError
from tests.promises.agents import DOMAIN, Agent, Tended, labels, ours
from tests.promises.neighbours import taint_keys

STARTUP = f"{DOMAIN}/startup"
OWN = {f"{DOMAIN}/pool": "blue", "example.com/team": "x"}
ODD_TAGS = [
    {"name": name, "value": value}
    for name, value in [("a/b c", "R&D"), ("é", "ü"), ("k8s.io/role", "x,y=z"), ("n" * 512, "v" * 256), ("empty", "")]
]


def told_to_kubelet(tmp_path, imds) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Run first boot and return labels and taints as kubelet reads them from its flags."""
    first_boot(kubeadm_vm(tmp_path, content=None), imds.url, "--startup-taint", "--allow-labels=example.com/")
    words = read_environment((tmp_path / DEFAULT).read_text())["KUBELET_EXTRA_ARGS"].split()
    flags = dict(word.split("=", 1) for word in words)
    assert flags.keys() == {"--node-labels", "--register-with-taints"}
    taints = []
    for each in flags["--register-with-taints"].split(","):
        key, _, effect = each.rpartition(":")
        name, _, value = key.partition("=")
        taints.append({"key": name, "value": value, "effect": effect})
    return dict(pair.split("=", 1) for pair in flags["--node-labels"].split(",")), taints


class Watch(threading.Thread):
    """Follows a node and notes its labels in each state that it ever had."""

    def __init__(self, plane, path: str, since: str) -> None:
        super().__init__(daemon=True)
        self.session = plane.new_session(plane.identity("admin", "system:masters"))
        name = path.rpartition("/")[2]
        query = {"watch": "1", "fieldSelector": f"metadata.name={name}", "resourceVersion": since}
        url = f"{self.session.url}/api/v1/nodes"
        self.answer = self.session.http.get(url, params=query, stream=True, timeout=(30, None))
        self.seen: list[dict[str, str]] = []
        self.last = ""

    def run(self) -> None:
        with suppress(requests.RequestException, urllib3.exceptions.HTTPError, OSError, AttributeError):  # closed
            for line in self.answer.iter_lines(chunk_size=None):
                node = json.loads(line)["object"]
                self.seen.append(labels(node))
                self.last = node["metadata"]["resourceVersion"]

    def close(self) -> None:
        self.answer.raw.shutdown()  # wakes the thread, which reads for ever
        self.join()
        self.answer.close()
        self.session.close()


@contextmanager
def registered(plane, imds, tmp_path):
    """Register a node as kubelet does with what first boot told it."""
    told, taints = told_to_kubelet(tmp_path, imds)
    node = plane.register_node(f"node-{uuid.uuid4().hex[:8]}", labels=told, taints=taints)
    try:
        yield node, told
    finally:
        node.close()
        node.delete()


def tend(plane, node, imds) -> Tended:
    """Let an agent tend the node until it is settled: from then on it would also take labels away."""
    agent = Agent(plane.agent_kubeconfig(node.name), node.name, imds.url, {}, startup_taint=STARTUP)
    scene = Tended(plane, node, imds, agent)
    try:
        agent.start()
        scene.wait_labelled()
        scene.wait_for(lambda found: STARTUP not in taint_keys(found), "open for pods")
        scene.asked("/metadata/instance", 5)
    finally:
        agent.kill()
    return scene


@pytest.fixture
def imds():
    with Emulator(rate_limit=None) as found:
        own = b"#imds-agent\n" + json.dumps({"labels": OWN}).encode()
        found.patch_instance({"compute": {"userData": base64.b64encode(own).decode(), "tagsList": ODD_TAGS}})
        yield found


def test_a_node_registers_with_all_our_labels_the_agent_takes_them_over_and_withdraw_takes_them_off(
    plane, imds, tmp_path
):
    with registered(plane, imds, tmp_path) as (node, told):
        first = node.get()
        assert told.items() <= labels(first).items()
        assert len([key for key in told if key.startswith("tag.")]) >= 4
        assert STARTUP in taint_keys(first)
        with closing(Watch(plane, node.path, first["metadata"]["resourceVersion"])) as watch:
            watch.start()
            scene = tend(plane, node, imds)
            scene.wait_for(
                lambda found: watch.last == found["metadata"]["resourceVersion"], "the watch has seen the last state"
            )
        assert len(watch.seen) > 2
        assert [state for state in watch.seen if not told.items() <= state.items()] == []
        withdrawn = User(plane, node, imds, plane.agent_kubeconfig(node.name))
        assert withdrawn.run("withdraw") == f"node {node.name}: withdrawn\n"
        assert ours(node.get()) == {f"{DOMAIN}/pool": "blue"}  # the user's own, not the agent's
        assert OWN.items() <= labels(node.get()).items()


def test_the_same_api_server_does_refuse_what_a_kubelet_may_not_set(plane):
    with pytest.raises(ApiError, match="is not allowed"):
        plane.register_node(f"node-{uuid.uuid4().hex[:8]}", labels={"node-restriction.kubernetes.io/x": "y"})
