"""Hadoop configurations, as files in a folder of a test and as values."""

import json
import os
from dataclasses import replace
from pathlib import Path

from agent.clients.namenode import NameNodeView
from agent.core.datanodes import IN_SERVICE, DataNode
from agent.core.racks import read_form, table_text
from agent.doctor.hadoop import Asked, Hadoop, look
from agent.doctor.hdfs import judge
from agent.hdfs.script import script, usual_python

BLOCKS = "org.apache.hadoop.hdfs.server.blockmanagement."
SCRIPT, REJECT = "net.topology.script.file.name", "dfs.namenode.reject-unresolved-dn-topology-mapping"
COMBINED = {"dfs.namenode.hosts.provider.classname": f"{BLOCKS}CombinedHostFileManager"}
BY_DOMAIN = {"dfs.block.replicator.classname": f"{BLOCKS}BlockPlacementPolicyWithUpgradeDomain"}
SPREAD = {"dfs.block.replicator.classname": f"{BLOCKS}BlockPlacementPolicyRackFaultTolerant"}
ZONES = {f"10.224.0.{n}": f"/westeurope-{(n - 1) % 3 + 1}" for n in range(1, 7)}
URL = "http://nn:9870"


class Folder:
    """A folder with Hadoop's two files, our script, its table and a list of hosts: well, unless a test spoils something."""

    def __init__(self, path: Path) -> None:
        self.path, self.conf = path, path / "conf"
        self.script, self.table, self.hosts = path / "hdfs-rack", path / "racks", path / "dfs.hosts.json"
        self.conf.mkdir()
        self.core()
        self.site(**SPREAD)
        self.put(ZONES)
        self.install()

    def core(self, **values: object) -> None:
        write_site(self.conf / "core-site.xml", {SCRIPT: self.script, **values})

    def site(self, **values: object) -> None:
        write_site(self.conf / "hdfs-site.xml", values)

    def put(self, rows, form="auto", own=("10.224.0.0/16",)) -> None:
        self.table.write_text(table_text(rows, read_form(form), own))

    def install(self, *, depth=1, strict=False, python=None) -> None:
        self.script.write_text(script(self.table, depth, strict=strict, python=python or usual_python()))
        self.script.chmod(0o755)

    def list(self, *entries, text=None) -> None:
        self.hosts.write_text(json.dumps(entries) if text is None else text)

    def look(self, *views) -> Hadoop:
        asked = tuple(Asked(url=URL, view=view) for view in views)
        return replace(look(self.conf, ()), namenodes=asked)

    def found(self, *views):
        return {finding.check: finding for finding in judge(self.look(*views))}

    def age(self, seconds: float) -> None:
        then = self.table.stat().st_mtime - seconds
        os.utime(self.table, (then, then))


def write_site(path: Path, values) -> None:
    rows = "".join(
        f"<property><name>{name.replace('__', '.')}</name><value>{value}</value></property>"
        for name, value in values.items()
    )
    path.write_text(f"<configuration>{rows}</configuration>")


def entry(address: str, domain: str | None = None, state: str = "NORMAL", **more) -> dict:
    return {"hostName": address, "adminState": state, **({"upgradeDomain": domain} if domain else {}), **more}


def node(address: str, rack: str, *, domain=None, state=IN_SERVICE, live=True, name="") -> DataNode:
    return DataNode(
        address=address, port=9866, name=name or address, rack=rack, state=state, upgrade_domain=domain, live=live
    )


def view(*nodes: DataNode, active=True, safe_mode=False) -> NameNodeView:
    return NameNodeView(active=active, started=0.0, safe_mode=safe_mode, datanodes=nodes)
