"""Settings of a NameNode that the tests share."""

from collections.abc import Mapping
from pathlib import Path

MANAGEMENT = "org.apache.hadoop.hdfs.server.blockmanagement"


def hosts_site(hosts: Path) -> Mapping[str, object]:
    """Return what hdfs-site.xml says where `dfs.hosts` is JSON."""
    return {
        "dfs.namenode.hosts.provider.classname": f"{MANAGEMENT}.CombinedHostFileManager",
        "dfs.hosts": hosts,
    }
