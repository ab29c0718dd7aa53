"""All checks of `doctor hdfs` in order: Hadoop's configuration, script and table, then what NameNodes make of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.doctor import hdfs_datanodes, hdfs_hosts, hdfs_placement, hdfs_racks, hdfs_table

if TYPE_CHECKING:
    from agent.doctor.finding import Finding
    from agent.doctor.hadoop import Hadoop


def judge(hadoop: Hadoop) -> tuple[Finding, ...]:
    """Return what all checks found."""
    return (
        hdfs_racks.configuration(hadoop),
        hdfs_racks.mapping(hadoop),
        hdfs_racks.script(hadoop),
        hdfs_racks.arguments(hadoop),
        hdfs_table.table(hadoop),
        hdfs_table.unknown_hosts(hadoop),
        hdfs_placement.placement(hadoop),
        hdfs_hosts.hosts_file(hadoop),
        hdfs_placement.domains(hadoop),
        *hdfs_datanodes.asked(hadoop),
    )
