"""The one writer of `dfs.hosts`: writes it whole, has the NameNode read it, and sees whether it did."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from agent.clients.cluster_errors import ClusterError
from agent.clients.files import clear_halves, write_whole
from agent.clients.namenode import NameNodeError
from agent.core.dfs_hosts import hosts_text, read_hosts
from agent.core.document import DocumentError, read_json
from agent.core.hdfs_hosts import HostsKnown, hosts_plan, unheeded
from agent.core.hdfs_said import read_said
from agent.core.hdfs_stops import words
from agent.hdfs.refresh import RefreshFailed
from agent.told import Told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from agent.clients.namenode import NameNode, NameNodeView
    from agent.core.dfs_hosts import HostEntry
    from agent.core.hdfs_hosts import HostsPlan, HostsRules
    from agent.core.hdfs_nodes import HdfsHost
    from agent.core.hdfs_stops import Begun

BUSY, QUIET = 5.0, 60.0  # seconds between looks at the NameNode while something is under way, and else
RUN = 10.0  # seconds between two runs in which hosts leave service
AGAIN = 30.0  # seconds after which a refresh that failed, or had no effect, is tried again
SETTLED = 660.0  # seconds after a NameNode's start; a DataNode is dead to it after ten minutes and a half


class HostsFile:
    """`dfs.hosts`, and beside it for which VM each event was marked: Hadoop suffers no field of ours in its own."""

    def __init__(self, path: Path) -> None:
        """Write nothing yet."""
        self.path, self._memory = path, path.with_name(f"{path.name}.events")
        self._previous = path.with_name(f"{path.name}.prev")
        for each in (path, self._memory, self._previous):
            clear_halves(each)

    def read(self) -> tuple[HostEntry, ...]:
        """Return what it says; nothing where it is not there.

        Raises:
            DocumentError: Hadoop would take it for an empty list.
        """
        text = self._text(self.path)
        return read_hosts(text) if text is not None else ()

    def write(self, entries: Iterable[HostEntry]) -> None:
        """Write it, after having read it back as Hadoop would.

        Raises:
            Told: it cannot be written; it stands as before.
        """
        kept = tuple(entries)
        text = hosts_text(kept)
        if read_hosts(text) != kept:
            raise Told(f"{self.path}: would not read back as it was meant; not written")
        if (before := self._text(self.path)) is not None:
            write_whole(self._previous, before.encode(), 0o644)
        write_whole(self.path, text.encode(), 0o644)

    def begun(self) -> Begun:
        """Return what is remembered; nothing where it cannot be read: then it is as if all events were new."""
        try:
            root = read_json(self._text(self._memory) or "{}")
            return {
                address: {key: root.at(address).at(key).text() for key in root.at(address).members()}
                for address in root.members()
            }
        except DocumentError:
            return {}

    def remember(self, begun: Begun) -> None:
        """Write down what is to be remembered.

        Raises:
            Told: it cannot be written.
        """
        write_whole(self._memory, json.dumps(begun, sort_keys=True).encode() + b"\n", 0o644)

    def _text(self, path: Path) -> str | None:
        try:
            return path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Told(f"{path}: cannot be read: {error.strerror}") from error


class HostsWriter:
    """Keeps `dfs.hosts` and the NameNode as hosts and marks say."""

    def __init__(
        self,
        file: HostsFile,
        rules: HostsRules,
        *,
        namenode: NameNode | None,
        refresh: Callable[[], None] | None,
        say: Callable[[HdfsHost, str | None], None] | None,
        overrides: Path | None,
        log: Any,
        clock: Callable[[], float] = time.time,
        instant: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with a refresh: whoever wrote the file last may have died before its own.

        Args:
            refresh: raises RefreshFailed; None where somebody else refreshes.
            say: says a text on a host's node, or takes it back; None where nothing is said.
            overrides: a file of entries in the form of `dfs.hosts`, which win.
            clock: seconds since 1970; instant: monotonic seconds.
        """
        self._file, self._rules, self._namenode, self._refresh, self._say = file, rules, namenode, refresh, say
        self._overrides, self._log, self._clock, self._instant = overrides, log, clock, instant
        self._due = True
        self._refreshed = self._left = float("-inf")
        self._not_before = 0.0  # a command that fails starts a JVM each time
        self._told: dict[str, object] = {}
        self.plan: HostsPlan | None = None
        self.view: NameNodeView | None = None
        self.missed: tuple[str, ...] = ()  # live DataNodes that the NameNode had otherwise after the last refresh

    @property
    def refresh_failing(self) -> bool:
        """Whether the last refresh failed."""
        return "hdfs.refresh_failed" in self._told

    def turn(self, hosts: tuple[HdfsHost, ...], *, whole: bool = True) -> float:
        """Do what is due; returns in how many seconds to look again.

        Args:
            whole: these are all; else entries stay of whoever has yet to be heard.

        Raises:
            Told: a file cannot be read or written.
        """
        self.view = self._look()
        known = self._known(hosts, whole=whole)
        plan = self.plan = hosts_plan(known, self._rules, self._clock())
        self._once("hdfs.hosts_odd", plan.warnings, warnings=list(plan.warnings)[:20])
        pause = self._write(known, plan)
        self._bring_home(known, plan)
        self._speak(known, plan)
        return min(pause, BUSY if self._due or plan.asked or plan.queued else QUIET)

    def _look(self) -> NameNodeView | None:
        if self._namenode is None:
            return None
        try:
            view = self._namenode.view()
        except NameNodeError as error:
            self._once("hdfs.namenode_silent", str(error), error=str(error))
            return None
        if self._told.pop("hdfs.namenode_silent", None):
            self._log.info("hdfs.namenode_answers")
        return view

    def _known(self, hosts: tuple[HdfsHost, ...], *, whole: bool) -> HostsKnown:
        return HostsKnown(
            hosts=hosts,
            whole=whole,
            datanodes=self.view.datanodes if self.view is not None else None,
            standing=self._standing(),
            overrides=self._own(),
            begun=self._file.begun(),
        )

    def _standing(self) -> tuple[HostEntry, ...]:
        try:
            return self._file.read()
        except DocumentError as error:  # for Hadoop it is empty as well
            self._once("hdfs.hosts_broken", str(error), path=str(self._file.path), error=str(error))
            return ()

    def _own(self) -> tuple[HostEntry, ...]:
        if self._overrides is None:
            return ()
        try:
            return read_hosts(self._overrides.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, DocumentError) as error:
            raise Told(f"{self._overrides}: cannot be used: {error}") from error

    def _write(self, known: HostsKnown, plan: HostsPlan) -> float:
        if plan.entries is None:
            return QUIET
        wait = self._left + RUN - self._instant()
        if plan.entered and wait > 0:
            return wait
        if plan.begun != known.begun:
            self._file.remember(plan.begun)
        if plan.entries != known.standing or not self._file.path.exists():
            self._file.write(plan.entries)
            self._due, self._not_before = True, 0.0
            self._left = self._instant() if plan.entered else self._left
            self._log.info(
                "hdfs.hosts_written",
                hosts=len(plan.entries),
                kind=plan.kind,
                out=list(plan.entered),
                back=list(plan.left),
                queued=len(plan.queued),
            )
        return QUIET

    def _bring_home(self, known: HostsKnown, plan: HostsPlan) -> None:
        """Have the NameNode read the file, as long as it does not have its hosts as the file says."""
        if self._refresh is None or plan.entries is None:
            self._due = False
            return
        if not self._due and known.datanodes is not None and self._instant() - self._refreshed >= AGAIN:
            missed = self.missed = unheeded(plan.entries, known.datanodes)
            self._once("hdfs.refresh_without_effect", missed, count=len(missed), addresses=list(missed)[:20])
            self._due = bool(missed)
        if self._due and self._instant() >= self._not_before:
            self._refreshed = self._instant()
            try:
                self._refresh()
            except RefreshFailed as error:
                self._not_before = self._instant() + AGAIN
                self._once("hdfs.refresh_failed", str(error), error=str(error))
                return
            self._told.pop("hdfs.refresh_failed", None)
            self._due = False
            self._log.info("hdfs.refreshed", seconds=round(self._instant() - self._refreshed, 3))

    def _speak(self, known: HostsKnown, plan: HostsPlan) -> None:
        """Say on each node how far its DataNode has come; a standby hears of it, and only the active one decides."""
        say = self._say
        if say is None or self.view is None or not self.view.active or self.view.safe_mode:
            return
        settled = self._clock() - self.view.started >= SETTLED
        texts = words(known.hosts, self.view.datanodes, plan.addresses, plan.asked, settled=settled)
        for host in known.hosts:
            if host.name in texts:
                self._say_on(say, host, texts[host.name])

    def _say_on(self, say: Callable[[HdfsHost, str | None], None], host: HdfsHost, text: str | None) -> None:
        try:
            say(host, text)
        except ClusterError as error:
            self._once("hdfs.word_failed", str(error), about=host.name, node=host.name, error=str(error))
            return
        self._told.pop(f"hdfs.word_failed {host.name}", None)
        said = read_said(text)
        state, events = (said.state, list(said.events)) if said is not None else ("in-service", [])
        self._log.info("hdfs.datanode_state", node=host.name, state=state, event_id=events)

    def _once(self, event: str, what: object, *, about: str = "", **facts: object) -> None:
        """Tell of something that is wrong, when it begins or changes.

        Args:
            what: nothing where it is well again.
            about: whom; each is told of by itself.
        """
        key = f"{event} {about}".strip()
        if self._told.get(key) != what:
            self._told[key] = what
            if what:
                self._log.warning(event, **facts)
