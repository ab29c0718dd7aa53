"""This machine as the kernel sees it: the reading of real answers, on this very machine and in networks made for it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from agent.doctor.host import read_host, route_to, table
from tests.cli.running import PATIENCE, ROOT
from tests.not_here import not_here

AZURE = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0100E00A\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t0000E00A\t00000000\t0001\t0\t0\t100\t0000FFFF\t0\t0\t0
eth0\t10813FA8\t0100E00A\t0007\t0\t0\t100\tFFFFFFFF\t0\t0\t0
eth0\tFEA9FEA9\t0100E00A\t0007\t0\t0\t100\tFFFFFFFF\t0\t0\t0
down0\t00000000\t00000000\t0000\t0\t0\t0\t00000000\t0\t0\t0
"""
LOOK = """
import json, sys; sys.path.insert(0, {root!r})
from dataclasses import asdict
from agent.doctor.host import read_host
print(json.dumps(asdict(read_host())))
"""


def test_the_main_table_of_an_azure_vm_is_read():
    found = [(each.network, each.prefix, each.gateway) for each in table(AZURE)]
    assert found == [
        ("0.0.0.0", 0, "10.224.0.1"),
        ("10.224.0.0", 16, None),
        ("168.63.129.16", 32, "10.224.0.1"),
        ("169.254.169.254", 32, "10.224.0.1"),
    ]
    assert table("") == table("Iface\n") == ()


def test_this_machine_is_read():
    host = read_host()
    assert "lo" in {each.name for each in host.interfaces}
    assert ("127.0.0.1", False) in host.interface("lo").addresses
    assert route_to("127.0.0.1").interface == "lo"
    assert route_to("127.0.0.1").source == "127.0.0.1"


def test_another_root_and_an_empty_one_are_read(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://user:hunter2@proxy")
    host = read_host(tmp_path)
    assert (host.table, host.interfaces, host.chassis_tag, host.leases, host.in_pod) == ((), (), None, (), False)
    assert host.proxies == ("http_proxy",)
    assert "hunter2" not in repr(host)
    (tmp_path / "sys/class/dmi/id").mkdir(parents=True)
    (tmp_path / "sys/class/dmi/id/chassis_asset_tag").write_text("7783-7084-3265-9085-8269-3286-77\n")
    (tmp_path / "run/systemd/netif/leases").mkdir(parents=True)
    (tmp_path / "run/systemd/netif/leases/2").write_text("ADDRESS=10.0.0.4\n")
    token = tmp_path / "var/run/secrets/kubernetes.io/serviceaccount/token"
    token.parent.mkdir(parents=True)
    token.write_text("t")
    host = read_host(tmp_path)
    assert host.chassis_tag == "7783-7084-3265-9085-8269-3286-77"
    assert host.leases[0].endswith("leases/2")
    assert host.in_pod


DOCTOR = """
import sys; sys.path.insert(0, {root!r})
from agent.cli import main
main(["doctor", "-o", "json"])
"""


def in_a_network(*commands: str, look: str = LOOK) -> dict:
    """Read the host in a network of its own, made by these commands of `ip`."""
    for program in ("unshare", "ip"):
        if not shutil.which(program):
            not_here(f"{program} is missing (Debian, Ubuntu: apt-get install util-linux iproute2)")
    script = "\n".join(["set -e", *(f"ip {command}" for command in commands), f'exec {sys.executable} -c "$LOOK"'])
    done = subprocess.run(
        ["unshare", "-Urn", "sh", "-c", script],
        env={**os.environ, "LOOK": look.format(root=str(ROOT))},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode != 0 and done.stderr.startswith("unshare:") and "CI" not in os.environ:
        not_here("no user namespaces here (sysctl kernel.unprivileged_userns_clone=1)")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


ETH0 = (
    "link add eth0 type veth peer name far-eth0",
    "link set far-eth0 up",
    "addr add 10.224.0.6/16 dev eth0",
    "link set eth0 up",
    "route add default via 10.224.0.1",
)


def test_the_kernels_choice_is_seen_with_policy_rules_and_all():
    assert in_a_network(*ETH0)["route"] == {
        "interface": "eth0",
        "gateway": "10.224.0.1",
        "source": "10.224.0.6",
        "error": None,
    }
    second = (
        "link add eth1 type veth peer name far-eth1",
        "link set far-eth1 up",
        "addr add 10.9.0.4/16 dev eth1",
        "link set eth1 up",
    )
    ruled = in_a_network(
        *ETH0, *second, "route add default via 10.9.0.1 table 100", "rule add to 169.254.169.254 lookup 100"
    )
    assert ruled["route"]["interface"] == "eth1"
    assert all(each["interface"] == "eth0" for each in ruled["table"] if each["prefix"] == 0)


def test_a_swallowing_network_and_no_way_at_all_are_seen():
    swallowing = in_a_network(
        *ETH0,
        "link add c0 type veth peer name far-c0",
        "link set far-c0 up",
        "addr add 169.254.1.156/16 dev c0",
        "link set c0 up",
    )
    assert swallowing["route"]["interface"] == "c0"
    assert ["169.254.0.0", 16] in [[each["network"], each["prefix"]] for each in swallowing["table"]]
    assert in_a_network()["route"]["error"] == "Network is unreachable"
    for kind in ("blackhole", "unreachable", "prohibit"):
        assert in_a_network(*ETH0, f"route add {kind} 169.254.169.254/32")["route"]["error"]


def test_an_address_for_a_time_is_told_from_one_for_ever():
    leased = in_a_network(*ETH0[:2], "addr add 10.224.0.6/16 dev eth0 valid_lft 3600 preferred_lft 3600", *ETH0[3:])
    by_name = {each["name"]: each["addresses"] for each in leased["interfaces"]}
    assert by_name["eth0"] == [["10.224.0.6", True]]
    by_name = {each["name"]: each["addresses"] for each in in_a_network(*ETH0)["interfaces"]}
    assert by_name["eth0"] == [["10.224.0.6", False]]


def test_packets_that_are_swallowed_are_told_from_a_refusal():
    """The default gateway is nobody, as where a firewall or AKS's IMDS restriction drops them."""
    found = in_a_network(*ETH0, look=DOCTOR)
    by_check = {finding["check"]: finding for finding in found["findings"]}
    assert (by_check["connection"]["verdict"], by_check["connection"]["found"]) in [
        ("bad", "timeout"),
        ("bad", "No route to host"),
    ]
    assert by_check["route"]["verdict"] == "ok"
    assert by_check["document"]["verdict"] == "bad"
