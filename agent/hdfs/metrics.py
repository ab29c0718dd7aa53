"""What `hdfs-sync` measures."""

from __future__ import annotations

from collections import Counter as Count
from typing import TYPE_CHECKING, get_args

from prometheus_client import CollectorRegistry, Gauge

from agent.core.dfs_hosts import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.hdfs.hosts import HostsWriter
    from agent.hdfs.sources import Source
    from agent.hdfs.table import TableWriter


class SyncMetrics:
    """Gauges in a registry of their own."""

    def __init__(self) -> None:
        """Begin with nothing known."""
        self.registry = CollectorRegistry()
        self._age = self._gauge(
            "source_age_seconds", "Since the source of hosts was last heard; what it said then still counts."
        )
        self._silent = self._gauge("agents_silent", "Agents (--from agents) that have not answered for two hours.")
        self._rows = self._gauge("table_rows", "Rows of the table of racks.")
        self._hosts = self._gauge("hosts", "Hosts in dfs.hosts by state.", "state")
        self._queued = self._gauge("hosts_queued", "Hosts that wait to leave service, so that not too many do at once.")
        self._domains = self._gauge("upgrade_domains", "Distinct upgrade domains in dfs.hosts.")
        self._namenode = self._gauge("namenode_up", "Whether the NameNode beside us answered the last time.")
        self._live = self._gauge("datanodes_live", "DataNodes that the NameNode has live.")
        self._unknown = self._gauge("datanodes_unknown", "Live DataNodes that are no host known here.")
        self._unheeded = self._gauge(
            "hosts_unheeded", "Live DataNodes that the NameNode has otherwise than dfs.hosts says, after a refresh."
        )
        self._failing = self._gauge("refresh_failing", "1 while the command that refreshes the NameNode fails.")
        self._written = self._gauge(
            "written_age_seconds", "Since the files were last seen to say what they should; at first since the start."
        )

    def _gauge(self, name: str, about: str, *labels: str) -> Gauge:
        return Gauge(f"imds_agent_hdfs_{name}", about, labels, registry=self.registry)

    def follow(self, written_age: Callable[[], float]) -> None:
        """Ask at each scrape for how many seconds the files may say something else than they should.

        A loop that hangs cannot make them look fresh.
        """
        self._written.set_function(written_age)

    def turned(self, source: Source, table: TableWriter, hosts: HostsWriter | None) -> None:
        """Take down what a turn left."""
        self._age.set_function(lambda: age if (age := source.age()) is not None else float("nan"))
        self._silent.set(source.silent())
        self._rows.set(table.rows)
        if hosts is None:
            return
        entries = (hosts.plan.entries or ()) if hosts.plan is not None else ()
        counts = Count(each.state for each in entries)
        for state in get_args(State):
            self._hosts.labels(state).set(counts[state])
        self._queued.set(len(hosts.plan.queued) if hosts.plan is not None else 0)
        self._domains.set(len({each.upgrade_domain for each in entries} - {None}))
        self._namenode.set(hosts.view is not None)
        self._live.set(sum(each.live for each in hosts.view.datanodes) if hosts.view is not None else 0)
        self._unknown.set(len(hosts.plan.unknown) if hosts.plan is not None else 0)
        self._unheeded.set(len(hosts.missed))
        self._failing.set(hosts.refresh_failing)
