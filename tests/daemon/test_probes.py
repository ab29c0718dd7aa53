"""Probes over HTTP: two verdicts, the metrics, and a port that keeps a second agent off the host."""

import socket
import threading
from contextlib import contextmanager

import pytest
import requests
from prometheus_client import CollectorRegistry

from agent.core.health import Health
from agent.daemon.listening import AddressTaken, Server
from agent.daemon.metrics import Metrics
from agent.daemon.probes import Probes
from tests.promises.agents import wait_until

WELL = Health(stuck=(), not_ready=())


@contextmanager
def probes(address: str = "127.0.0.1:0", health: Health = WELL, registry: CollectorRegistry | None = None):
    found = Probes(address, verdict=lambda: health, registry=registry or CollectorRegistry())
    try:
        yield found
    finally:
        found.close()


def get(found: Probes, path: str, host: str = "127.0.0.1") -> requests.Response:
    return requests.get(f"http://{host}:{found.port}{path}", timeout=10, headers={"Connection": "close"})


def test_a_healthy_and_ready_agent_answers_200():
    with probes() as found:
        for path in ("/healthz", "/readyz", "/healthz?verbose", "/readyz?x=1"):
            answer = get(found, path)
            assert (answer.status_code, answer.text) == (200, "ok\n")


def test_waiting_for_the_first_answers_is_healthy_but_not_ready():
    with probes(health=Health(stuck=(), not_ready=("imds: no good answer yet", "node: …"))) as found:
        assert get(found, "/healthz").status_code == 200
        answer = get(found, "/readyz")
        assert (answer.status_code, answer.text) == (503, "imds: no good answer yet\nnode: …\n")


def test_a_stuck_loop_is_neither_healthy_nor_ready_and_is_named():
    with probes(health=Health(stuck=("loop: stuck",), not_ready=("node: no",))) as found:
        assert (get(found, "/healthz").status_code, get(found, "/healthz").text) == (503, "loop: stuck\n")
        assert get(found, "/readyz").text == "loop: stuck\nnode: no\n"


def test_metrics_are_served_as_prometheus_reads_them():
    with probes(registry=Metrics().registry) as found:
        answer = get(found, "/metrics")
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        assert 'imds_agent_plan{plan="cordon"} 0.0' in answer.text


@pytest.mark.parametrize("path", ["/", "/nope", "/healthz/x", "/metrics2"])
def test_any_other_path_is_not_found_and_the_answer_names_the_three(path):
    with probes() as found:
        answer = get(found, path)
        assert (answer.status_code, answer.text) == (404, "/healthz /readyz /metrics\n")


def test_nothing_can_be_posted():
    with probes() as found:
        answer = requests.post(f"http://127.0.0.1:{found.port}/healthz", timeout=10, headers={"Connection": "close"})
        assert answer.status_code == 501


def test_a_prober_that_hangs_up_disturbs_nobody(capfd):
    with probes() as found:
        for piece in (b"", b"GET /heal", b"\x16\x03\x01\x00\n\n\n"):
            with socket.create_connection(("127.0.0.1", found.port), timeout=10) as prober:
                prober.sendall(piece)
        assert get(found, "/healthz").status_code == 200
    assert capfd.readouterr() == ("", "")


def test_whoever_holds_connections_open_keeps_no_prober_out_and_costs_no_more_than_some_threads():
    with probes() as found:
        before = threading.active_count()
        held = [socket.create_connection(("127.0.0.1", found.port)) for _ in range(200)]
        try:
            for each in held[-Server.AT_ONCE :]:
                each.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
            assert get(found, "/healthz").status_code == 200
            wait_until(lambda: threading.active_count() <= before + Server.AT_ONCE, "the threads of the others end")
        finally:
            for each in held:
                each.close()


def test_a_second_agent_on_the_host_is_told_in_one_line():
    with probes() as first, pytest.raises(AddressTaken) as refused, probes(f"127.0.0.1:{first.port}"):
        pass
    assert str(refused.value).startswith(f"127.0.0.1:{first.port} cannot be listened on (Address already in use)")
    assert str(refused.value).endswith("does another agent run on this host?")


def test_a_port_on_all_addresses_keeps_a_second_agent_off_as_well():
    with probes(":0") as first, pytest.raises(AddressTaken), probes(f"127.0.0.1:{first.port}"):
        pass


def test_a_port_that_was_given_back_can_be_taken_at_once():
    with probes() as first:
        get(first, "/healthz")
    with probes(f"127.0.0.1:{first.port}") as second:
        assert get(second, "/healthz").status_code == 200


@pytest.mark.parametrize("address", ["no-such-host.invalid:0", "192.0.2.1:0"])
def test_an_address_that_is_not_this_hosts_is_not_blamed_on_another_agent(address):
    with pytest.raises(AddressTaken) as refused, probes(address):
        pass
    assert str(refused.value).startswith(f"{address} cannot be listened on (")
    assert "another agent" not in str(refused.value)


@pytest.mark.parametrize("address", ["[::1]:0", "[::]:0"])
def test_an_ipv6_address_works(address):
    with probes(address) as found:
        assert get(found, "/healthz", host="[::1]").status_code == 200
        with pytest.raises(AddressTaken, match="another agent"), probes(f"[::1]:{found.port}"):
            pass


def test_a_name_works():
    with probes("localhost:0") as found:
        assert requests.get(f"http://localhost:{found.port}/healthz", timeout=10).status_code == 200
