"""Weakness 20 of peers: liveness fails when others are down, so kubelet restarts every agent in the middle of the outage.

Ours says whether its own loops still try; readiness, not liveness, tells of missing first answers.
"""

import socket

import requests

from tests.addresses import free_address
from tests.controlplane.plane import reserved_port
from tests.promises.agents import tended


def status(scene, path: str) -> int:
    return requests.get(f"{scene.probes}{path}", timeout=5).status_code


def test_liveness_stays_good_while_imds_and_api_server_are_both_away(own_plane):
    with tended(own_plane, probe_address=free_address()) as scene:
        scene.wait_labelled()
        scene.agent.wait_said("policy.enforced")
        own_plane.stop_apiserver()
        scene.fault("reset")
        scene.agent.wait_said("cluster.unavailable")
        scene.agent.wait_said("imds.failed")
        for _ in range(3):
            scene.polled(1)
            assert status(scene, "/healthz") == 200
        assert status(scene, "/readyz") == 200  # it has been ready: an outage is no reason to call it away


def test_an_agent_that_starts_in_the_outage_is_alive_but_not_ready_and_works_when_it_ends(own_plane):
    with tended(own_plane, start=False, probe_address=free_address()) as scene:
        scene.fault("status", status=503)
        own_plane.stop_apiserver()
        scene.agent.start()
        scene.agent.wait_said("imds.failed")
        scene.polled(1)
        assert status(scene, "/healthz") == 200
        assert status(scene, "/readyz") == 503
        assert scene.agent.running
        own_plane.start_apiserver()
        scene.well()
        scene.wait_labelled()
        assert status(scene, "/readyz") == 200


def test_an_agent_whose_api_server_swallows_packets_is_alive(own_plane):
    """A port that is bound but not listened on refuses; a full backlog swallows: the connection never comes about."""
    with tended(own_plane, start=False, probe_address=free_address()) as scene, reserved_port() as silent:
        silent.listen(0)
        with socket.socket() as filling, socket.socket() as second:
            for one in (filling, second):
                one.setblocking(False)
                one.connect_ex(silent.getsockname())
            kubeconfig = own_plane.workdir / f"{scene.node.name}.swallowed"
            original = own_plane.agent_kubeconfig(scene.node.name).read_text()
            kubeconfig.write_text(original.replace(str(own_plane.api_port), str(silent.getsockname()[1])))
            scene.agent.options.append(f"--kubeconfig={kubeconfig}")
            scene.agent.start()
            assert "no answer" in scene.agent.wait_said("cluster.unavailable")["error"]
            assert status(scene, "/healthz") == 200
