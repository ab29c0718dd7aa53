"""The whole chain, once: IMDS, agents, labels, racks and upgrade domains of a NameNode; an event, maintenance, approval, back."""

import json
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.clients.namenode import NameNode
from agent.core.datanodes import IN_MAINTENANCE, IN_SERVICE, DataNode
from tests.cli.running import ROOT, command, environment
from tests.controlplane.kubeconfig import write_kubeconfig
from tests.hdfs.hadoop import lab, refresh_command
from tests.hdfs.rigs import MANAGEMENT, hosts_site, installed
from tests.promises.agents import DOMAIN, annotations, wait_until
from tests.promises.fleets import fleet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.usefixtures("hadoop_here")]

COUNT = 6
NETWORK = "127.0.1"
POLICY = f"dfs.block.replicator.classname={MANAGEMENT}.BlockPlacementPolicyWithUpgradeDomain"
ZONES = {f"{NETWORK}.{n + 1}": f"westeurope-{n % 3 + 1}" for n in range(COUNT)}


@contextmanager
def syncing(plane, folder, label, *more) -> Iterator[Path]:
    """Run `hdfs-sync` with the rights that we ship; yields its log."""
    plane.kubectl("create", "namespace", "hdfs", check=False)
    plane.kubectl("apply", "-k", str(ROOT / "manifests" / "hdfs-sync" / "maintenance"))
    held = folder / "token"
    held.write_text(str(plane.kubectl("create", "token", "hdfs-sync", "-n", "hdfs")).strip())
    config = write_kubeconfig(folder / "config", plane.url, plane.ca_file, {"tokenFile": str(held)})
    log = folder / "sync.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            command("hdfs-sync", f"--kubeconfig={config}", "--log-format=json", f"--table={folder / 'racks'}",
                    f"--dfs-hosts={folder / 'hosts.json'}", f"--selector={label}", *more),
            cwd="/", env=environment(), stderr=stream,
        )  # fmt: skip
    try:
        yield log
    finally:
        process.terminate()
        assert process.wait(30) == 0


def datanodes(namenode: NameNode) -> dict[str, DataNode]:
    return {each.address: each for each in namenode.view().datanodes if each.live}


def state(namenode: NameNode, address: str) -> str | None:
    """Return what a live DataNode is in; None while it is not live, as after a restart until its first heartbeat."""
    found = datanodes(namenode).get(address)
    return found.state if found else None


def test_from_imds_to_a_datanode_that_steps_aside_before_its_vm_goes(plane, tmp_path):
    label = f"hdfs=h{time.time_ns()}"
    settings = {"approval": "own-user-events", "approval_waits_for": "hdfs", "release_after": "2s"}
    script = installed(tmp_path, {}, strict=True)
    with (
        fleet(
            plane, COUNT, address=NETWORK, compute=lambda n: {"zone": str(n % 3 + 1), "platformUpdateDomain": "0"},
            labels=dict([label.split("=")]), **settings,
        ) as scenes,
        lab(tmp_path, hosts_site(tmp_path / "hosts.json")) as hadoop,
    ):  # fmt: skip
        for scene in scenes:
            scene.wait_labelled()
        _, rpc, http = hadoop.ask(
            "namenode", tmp_path, script, "true", POLICY, "dfs.namenode.decommission.interval=1"
        ).split()
        namenode = NameNode(f"http://127.0.0.1:{http}")
        refresh = shlex.join(refresh_command(tmp_path, rpc))
        with syncing(
            plane, tmp_path, label, "--own=127.0.1.0/24", f"--namenode=http://127.0.0.1:{http}", f"--refresh={refresh}",
            "--maintenance",
        ) as log:  # fmt: skip
            wait_until(
                lambda: (tmp_path / "racks").exists() and "# end 12" in (tmp_path / "racks").read_text(), "racks"
            )
            for address in ZONES:
                hadoop.ask("datanode", address)
            placed = wait_until(
                lambda: (
                    (found := datanodes(namenode)).keys() == ZONES.keys()
                    and all(each.upgrade_domain for each in found.values())
                    and found
                ),
                "six DataNodes with upgrade domains",
                log.read_text,
            )
            assert {key: each.upgrade_domain for key, each in placed.items()} == ZONES
            assert {key: each.rack for key, each in placed.items()} == {key: f"/{zone}" for key, zone in ZONES.items()}
            assert hadoop.ask("write", 12, 3).split() == ["3"] * 12  # the stock policy puts them on two

            going, address = scenes[1], f"{NETWORK}.2"
            event = going.event("Reboot", EventSource="User", NotBeforeSeconds=3000)
            going.wait_cordoned()
            wait_until(lambda: state(namenode, address) == IN_MAINTENANCE, "in maintenance", log.read_text)
            going.wait_for(
                lambda node: (
                    json.loads(annotations(node).get(f"{DOMAIN}/hdfs", "{}"))
                    == {"v": 1, "state": "in-maintenance", "events": [event]}
                ),
                "said on the node",
            )
            wait_until(lambda: going.agent.said("event.approved"), "approved", going.agent.tail)
            assert hadoop.ask("write-more", 6, 3).split() == ["3"] * 6  # the other DataNode of its zone
            assert address not in hadoop.ask("places", "/more-")

            hadoop.ask("stop", address)  # the VM reboots
            going.over(event)
            going.wait_released()
            hadoop.ask("datanode", address)
            wait_until(lambda: state(namenode, address) == IN_SERVICE, "in service again", log.read_text)
            going.wait_for(lambda node: f"{DOMAIN}/hdfs" not in annotations(node), "nothing said any more")
