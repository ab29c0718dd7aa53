"""Prometheus itself scrapes an agent and hdfs-sync: each query of the dashboard has series, each rule can be evaluated."""

import subprocess
import sys

import pytest

from tests.addresses import free_address
from tests.monitoring.server import job, serving
from tests.monitoring.written import alerts, queries
from tests.promises.agents import ROOT, tended, wait_until

pytestmark = pytest.mark.slow

HDFS_SYNC = (sys.executable, "-m", "agent", "hdfs-sync", "--own=10.0.0.0/8")
# dfs.hosts is kept beside a NameNode only, and there is none here.
NEEDS_NAMENODE = {"Hosts in dfs.hosts A"}


@pytest.fixture(scope="module")
def server(plane, prometheus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prometheus")
    at = free_address()
    with tended(plane, probe_address=free_address()) as scene:
        scene.agent.wait_said("policy.enforced")
        sync = subprocess.Popen(
            [*HDFS_SYNC, f"--kubeconfig={plane.admin_kubeconfig}", f"--table={folder / 'racks'}", f"--probes={at}"],
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
        )
        agent = job("imds-agent", scene.probes.removeprefix("http://"), node=scene.node.name)
        try:
            with serving(prometheus, folder, agent, job("hdfs-sync", at)) as server:
                wait_until(lambda: len(server.ask("up == 1")) == 2, "both are scraped")
                scene.event("Reboot")
                scene.wait_cordoned()
                wait_until(lambda: server.ask('imds_agent_plan{plan="cordon"} == 1'), "the cordon is scraped")
                wait_until(lambda: server.ask("rate(process_cpu_seconds_total[1m])"), "enough for a rate")
                yield server
        finally:
            sync.terminate()
            sync.wait()


@pytest.mark.parametrize("name", sorted(set(queries()) - NEEDS_NAMENODE))
def test_a_query_of_the_dashboard_has_series(server, name):
    wait_until(lambda: server.ask(queries()[name]), f"series of {queries()[name]}")


@pytest.mark.parametrize("name", sorted(NEEDS_NAMENODE))
def test_a_query_about_a_namenode_is_understood(server, name):
    assert server.ask(queries()[name]) == []


def test_every_rule_is_evaluated_and_nothing_but_the_event_is_said(server):
    wait_until(lambda: all(rule["health"] == "ok" for rule in server.rules()), "all rules evaluated")
    assert {rule["name"] for rule in server.rules()} == set(alerts())
    # Pending, not firing: the event's cordon counts its six hours.
    wait_until(
        lambda: busy(server) == {"ImdsAgentCordonHeldLong": "pending"}, "one pending alert", lambda: str(busy(server))
    )


def busy(server) -> dict[str, str]:
    """Return the alerts that are pending or firing."""
    return {rule["name"]: rule["state"] for rule in server.rules() if rule["state"] != "inactive"}
