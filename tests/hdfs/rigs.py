"""A NameNode's settings, and the script with its table, as the tests share them."""

from collections.abc import Mapping
from pathlib import Path

from agent.core.racks import RackForm, read_form, table_text
from agent.hdfs.script import script, usual_python

AUTO = read_form("auto")

MANAGEMENT = "org.apache.hadoop.hdfs.server.blockmanagement"


def hosts_site(hosts: Path) -> Mapping[str, object]:
    """Return what hdfs-site.xml says where `dfs.hosts` is JSON."""
    return {
        "dfs.namenode.hosts.provider.classname": f"{MANAGEMENT}.CombinedHostFileManager",
        "dfs.hosts": hosts,
    }


def put(folder: Path, rows: Mapping[str, str], form: RackForm = AUTO) -> None:
    """Replace the table."""
    part = folder / "racks.new"
    part.write_text(table_text(rows, form, ["127.0.1.0/24"]))
    part.replace(folder / "racks")


def installed(folder: Path, rows: Mapping[str, str], *, form: RackForm = AUTO, strict: bool = False) -> Path:
    """Install the script with a table."""
    put(folder, rows, form)
    path = folder / "hdfs-rack"
    path.write_text(script(folder / "racks", form.depth, strict=strict, python=usual_python()))
    path.chmod(0o755)
    return path
