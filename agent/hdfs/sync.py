"""`hdfs-sync`: the one writer of a table of racks. What it last knew stays until it knows better; a failure changes nothing."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from agent.clients.cluster_errors import ClusterError
from agent.clients.cluster_nodes import list_nodes, watch_nodes
from agent.clients.files import write_whole
from agent.core.hdfs_nodes import name_of, racked_node
from agent.core.rack_table import read_table
from agent.core.racks import read_overrides, table_of, table_text
from agent.told import Told

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from agent.clients.cluster import Cluster
    from agent.core.racks import RackedHost, RackForm

SOONEST = 1.0  # seconds between two writes: a pool that scales up brings many nodes at once
SHORT, LONG = 1.0, 60.0  # seconds: first and longest pause after a failure


class TableWriter:
    """Writes a table when what stands in it would change, and keeps the one before."""

    def __init__(self, path: Path, form: RackForm, own: Iterable[str], overrides: Path | None, log: Any) -> None:
        """Prepare to write; what stands there already counts."""
        self._path, self._form, self._own, self._overrides, self._log = path, form, tuple(own), overrides, log
        self._said: tuple[str, ...] = ()

    def write(self, hosts: Iterable[RackedHost]) -> bool:
        """Write what is known now; returns whether anything changed.

        A table never becomes empty by itself: that no node is known is a fault somewhere else.

        Raises:
            Told: it cannot be written.
        """
        rows, wrong = self._own_rows()
        table = table_of(hosts, self._form, rows)
        self._say((*wrong, *table.warnings))
        before = self._text()
        text = table_text(table.rows, self._form, self._own)
        if text == before or not table.rows:
            return False
        if read_table(before, self._form.depth) is not None:
            write_whole(self._path.with_name(f"{self._path.name}.prev"), before.encode(), 0o644)
        write_whole(self._path, text.encode(), 0o644)
        self._log.info("hdfs.table_written", rows=len(table.rows), depth=self._form.depth)
        return True

    def _say(self, warnings: tuple[str, ...]) -> None:
        if warnings != self._said:
            self._said = warnings
            if warnings:
                self._log.warning("hdfs.racks_odd", warnings=list(warnings)[:20])

    def _own_rows(self) -> tuple[Mapping[str, str], tuple[str, ...]]:
        if self._overrides is None:
            return {}, ()
        try:
            text = self._overrides.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Told(f"{self._overrides}: cannot be read: {error}") from error
        found, wrong = read_overrides(text)
        return found, tuple(f"{self._overrides}: {each}" for each in wrong)

    def _text(self) -> str:
        try:
            return self._path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""


class NodeSync:
    """Keeps the table as the cluster's nodes say it."""

    def __init__(self, cluster: Cluster, writer: TableWriter, domain: str, log: Any) -> None:
        """Know nothing yet."""
        self._cluster, self._writer, self._domain, self._log = cluster, writer, domain, log
        self._hosts: dict[str, RackedHost] = {}
        self._failures = 0

    def once(self) -> bool:
        """List all nodes and write; returns whether anything changed.

        Raises:
            ClusterError, Told: the table is as it was.
        """
        self._take(list_nodes(self._cluster).nodes)
        return self._writer.write(self._hosts.values())

    def run(self) -> None:
        """List, write, watch and write again, for ever."""
        while True:
            try:
                self._follow()
                self._failures = 0
            except (ClusterError, Told) as error:
                self._failures += 1
                if self._failures == 1 or self._failures % 10 == 0:
                    self._log.warning("hdfs.source_failed", error=str(error), failures=self._failures)
                time.sleep(min(LONG, SHORT * 2 ** min(self._failures - 1, 6)) * random.uniform(0.5, 1.0))  # noqa: S311

    def _follow(self) -> None:
        listed = list_nodes(self._cluster)
        self._take(listed.nodes)
        self._writer.write(self._hosts.values())
        if self._failures:
            self._log.info("hdfs.source_recovered")
            self._failures = 0
        written = time.monotonic()
        for change in watch_nodes(self._cluster, listed.resource_version):
            if change.kind == "DELETED":
                self._hosts.pop(name_of(change.node), None)
            elif change.kind != "BOOKMARK":
                self._take([change.node], anew=False)
            if time.monotonic() - written >= SOONEST or change.kind != "BOOKMARK":
                self._writer.write(self._hosts.values())
                written = time.monotonic()

    def _take(self, nodes: Iterable[Mapping[str, Any]], *, anew: bool = True) -> None:
        found = {name_of(node): racked_node(node, self._domain) for node in nodes}
        known = {} if anew else self._hosts
        for name, host in found.items():
            if host is not None:
                known[name] = host
            elif name in self._hosts:  # labels that are gone for a moment: a VM does not move
                known[name] = self._hosts[name]
        self._hosts = known
