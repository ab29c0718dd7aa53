"""`hdfs-sync`: one loop that keeps the table of racks, and `dfs.hosts`, as a source says. It outlives every failure."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from agent.log import say_fault
from agent.told import Told

if TYPE_CHECKING:
    from agent.hdfs.hosts import HostsWriter
    from agent.hdfs.metrics import SyncMetrics
    from agent.hdfs.sources import Source
    from agent.hdfs.table import TableWriter

SOONEST = 1.0  # seconds between two turns: a pool that scales up brings many nodes at once
LONGEST = 60.0  # seconds between two turns without news
AFTER_FAILURE = 10.0  # seconds: a disk may be full for a moment


class Sync:
    """Writes when there is news."""

    def __init__(
        self, source: Source, table: TableWriter, hosts: HostsWriter | None, metrics: SyncMetrics, log: Any
    ) -> None:
        """Know nothing yet."""
        self._source, self._table, self._hosts, self.metrics, self._log = source, table, hosts, metrics, log
        self._bell = threading.Event()
        self._failed = ""
        self.turned = time.monotonic()  # the last turn, whatever became of it
        self.written = False
        self._right = time.monotonic()  # when the files last said what they should
        metrics.follow(lambda: time.monotonic() - self._right)

    def once(self) -> None:
        """Write what the source knows now.

        Raises:
            Told: the files are as they were, or some of them.
        """
        whole, known = self._source.whole(), self._source.hosts() or ()
        self._table.write((each.host for each in known), whole=whole)
        self._table.must_stand()
        if self._hosts is not None:
            self._hosts.turn(known, whole=whole)
        self.metrics.turned(self._source, self._table, self._hosts)

    def run(self) -> None:
        """Follow the source for ever."""
        self._source.start(self._bell.set)
        pause = LONGEST
        while True:
            self._bell.wait(pause)
            self._bell.clear()
            pause = self._turn()
            time.sleep(SOONEST)

    def _turn(self) -> float:
        pause = LONGEST
        try:
            whole, known = (
                self._source.whole(),
                self._source.hosts(),
            )  # in this order: the other thread may look in between
            if known is not None:
                self._table.write((each.host for each in known), whole=whole)
                self.written = bool(self._table.rows)
                if self._hosts is not None:
                    pause = self._hosts.turn(known, whole=whole)
                if self.written:
                    self._right = time.monotonic()
            self._failed = ""
        except Told as error:
            pause = AFTER_FAILURE
            if str(error) != self._failed:
                self._failed = str(error)
                self._log.error("hdfs.write_failed", error=str(error))
        except Exception as error:  # noqa: BLE001 - a net: what one node or DataNode says must not cost all others
            pause = AFTER_FAILURE
            say_fault(self._log, "hdfs", error)
        self.metrics.turned(self._source, self._table, self._hosts)
        self.turned = time.monotonic()
        return pause
