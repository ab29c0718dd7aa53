"""Where `hdfs-sync` learns of hosts. A source looks in a thread of its own; what it last knew stays until it knows better."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from agent.clients.agents import AgentError, ask_agents
from agent.clients.cluster_errors import ClusterError
from agent.clients.cluster_nodes import list_nodes, watch_nodes
from agent.core.hdfs_nodes import hdfs_host, name_of, told_host
from agent.core.rack_table import canonical
from agent.log import say_fault
from agent.told import Told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from agent.clients.cluster import Cluster
    from agent.clients.cluster_nodes import Change
    from agent.core.hdfs_nodes import HdfsHost

SHORT, LONG = 1.0, 60.0  # seconds: first and longest pause after a failure
ASK = 5.0  # seconds between two rounds of agents; a Preempt gives thirty


class Source(Protocol):
    """Something that knows hosts."""

    def hosts(self) -> tuple[HdfsHost, ...] | None:
        """Return those that are known; None before anything is."""
        ...

    def whole(self) -> bool:
        """Return whether everybody has been heard since we began, so that who is missing is gone."""
        ...

    def age(self) -> float | None:
        """Return for how many seconds nothing was heard; None before anything was."""
        ...

    def silent(self) -> int:
        """Return how many hosts have not told of themselves for longer than an event has their VM."""
        ...

    def start(self, bell: Callable[[], None]) -> None:
        """Begin to look, for as long as the process lives.

        Args:
            bell: rung whenever something may have changed.
        """
        ...


class Nodes:
    """The nodes of a cluster: one list, then a watch that goes on from where the last one ended."""

    def __init__(self, cluster: Cluster, domain: str, log: Any, selector: str | None = None) -> None:
        """Know nothing yet.

        Args:
            selector: of labels, for nodes that are meant; all without it.
        """
        self._cluster, self._domain, self._log, self._selector = cluster, domain, log, selector
        self._hosts: dict[str, HdfsHost] = {}
        self._heard: float | None = None
        self._version: str | None = None
        self._failures = 0

    def hosts(self) -> tuple[HdfsHost, ...] | None:
        """Return the nodes that have a place."""
        return None if self._heard is None else tuple(self._hosts.values())

    def whole(self) -> bool:
        """Return whether they have been listed."""
        return self._heard is not None

    def age(self) -> float | None:
        """Return for how many seconds the API server has been silent; bookmarks come each minute or so."""
        return None if self._heard is None else time.monotonic() - self._heard

    def silent(self) -> int:
        """Return none: the API server tells of all."""
        return 0

    def start(self, bell: Callable[[], None]) -> None:
        """Begin to watch."""
        threading.Thread(target=self._run, args=(bell,), name="nodes", daemon=True).start()

    def look(self) -> str:
        """List all nodes; returns the version that a watch goes on from.

        Raises:
            ClusterError: what was known stays.
        """
        listed = list_nodes(self._cluster, selector=self._selector)
        found = {name_of(node): hdfs_host(node, self._domain, self._hosts.get(name_of(node))) for node in listed.nodes}
        self._hosts = {name: host for name, host in found.items() if host is not None}
        self._version, self._heard = listed.resource_version, time.monotonic()
        return listed.resource_version

    def _run(self, bell: Callable[[], None]) -> None:
        while True:
            try:
                self._follow(bell)
            except ClusterError as error:
                self._failed(error)
            except Exception as error:  # noqa: BLE001 - a net: a thread that died would leave us blind
                say_fault(self._log, "nodes", error)
                self._failed(error)

    def _failed(self, error: Exception) -> None:
        """Begin anew after a while: what was followed may be too old."""
        self._version = None
        self._failures += 1
        if self._failures == 1 or self._failures % 10 == 0:
            self._log.warning("hdfs.source_failed", error=str(error), failures=self._failures)
        time.sleep(min(LONG, SHORT * 2 ** min(self._failures - 1, 6)) * random.uniform(0.5, 1.0))  # noqa: S311

    def _follow(self, bell: Callable[[], None]) -> None:
        version = self._version
        if version is None:
            version = self.look()
            bell()
        if self._failures:
            self._log.info("hdfs.source_recovered", source="kubernetes")
            self._failures = 0
        for change in watch_nodes(self._cluster, version, selector=self._selector):
            self._version = change.resource_version
            self._heard = time.monotonic()
            if change.kind != "BOOKMARK" and self._changed(change):
                bell()

    def _changed(self, change: Change) -> bool:
        """Take a change; returns whether it is one for us: kubelets write their status all the time."""
        name = name_of(change.node)
        before = self._hosts.get(name)
        if change.kind == "DELETED":
            self._hosts = {other: host for other, host in self._hosts.items() if other != name}
            return before is not None
        found = hdfs_host(change.node, self._domain, before)
        if found is None or found == before:
            return False
        self._hosts = {**self._hosts, name: found}
        return True


class Agents:
    """Agents on VMs without Kubernetes, asked one after the other for their facts; the list of them may change."""

    def __init__(self, urls: Callable[[], Iterable[str]], log: Any, *, silent_after: float = 7200.0) -> None:
        """Know nothing yet.

        Args:
            urls: such as `http://10.224.0.4:23170`; raises Told where they cannot be read.
            silent_after: seconds; a VM that is away for an event is back in two hours, or does not come back.
        """
        self._urls, self._log, self._silent_after = urls, log, silent_after
        self._hosts: dict[str, HdfsHost] = {}  # by URL
        self._heard: float | None = None
        self._since: dict[str, float] = {}  # by URL: when it was heard last, or asked first
        self._asked = self._silent = False
        self._told: dict[str, str] = {}

    def hosts(self) -> tuple[HdfsHost, ...] | None:
        """Return the VMs whose place is known."""
        return tuple(self._hosts.values()) if self._asked else None

    def whole(self) -> bool:
        """Return whether the place of each VM that is listed is known."""
        return self._asked and not self._silent

    def age(self) -> float | None:
        """Return for how many seconds all of them have been silent: one alone may be away for its event."""
        return None if self._heard is None else time.monotonic() - self._heard

    def silent(self) -> int:
        """Return how many have been silent for long."""
        now = time.monotonic()
        return sum(now - since > self._silent_after for since in self._since.values())

    def start(self, bell: Callable[[], None]) -> None:
        """Begin to ask."""
        threading.Thread(target=self._run, args=(bell,), name="agents", daemon=True).start()

    def look(self) -> None:
        """Ask all of them once; who does not answer stays as it was.

        Raises:
            Told: it cannot be said whom to ask.
        """
        answers = ask_agents(self._urls())
        now = time.monotonic()
        known: dict[str, HdfsHost] = {}
        for url, answer in answers.items():
            before = self._hosts.get(url)
            if isinstance(answer, AgentError):
                self._tell(url, str(answer))
                found = before
            else:
                self._tell(url, "")
                self._heard = now
                found = told_host(answer, before)
            if found is not None:
                known[url] = found
        self._since = {
            url: self._since.get(url, now) if isinstance(answer, AgentError) else now for url, answer in answers.items()
        }
        self._hosts, self._asked = _each_for_itself(known, answers), True
        self._silent = len(self._hosts) < len(answers)  # last, so that whoever finds it false has all of them

    def _run(self, bell: Callable[[], None]) -> None:
        while True:
            before = self.hosts()
            try:
                self.look()
                self._tell("agents", "")
            except Told as error:
                self._tell("agents", str(error))
            except Exception as error:  # noqa: BLE001 - a net, as above
                say_fault(self._log, "agents", error)
            if self.hosts() != before:
                bell()
            time.sleep(ASK * random.uniform(0.9, 1.1))  # noqa: S311

    def _tell(self, whom: str, error: str) -> None:
        """Tell of one that does not answer, when that begins or its reason changes."""
        before = self._told.get(whom, "")
        self._told[whom] = error
        if error and error != before:
            self._log.warning("hdfs.source_failed", error=error, failures=1)
        elif before and not error:
            self._log.info("hdfs.source_recovered", source=whom)


def _each_for_itself(known: Mapping[str, HdfsHost], urls: Iterable[str]) -> dict[str, HdfsHost]:
    """Leave out names by which more than one agent calls itself, but for the one that is asked by that name.

    Otherwise whoever has one VM could say where all others stand, and that they are about to go.
    """
    asked = {url: canonical(urlsplit(url).hostname or "") for url in urls}
    claims = Counter(name for host in known.values() for name in {canonical(each) for each in host.host.names})
    claims.update(set(asked.values()))
    found: dict[str, HdfsHost] = {}
    for url, host in known.items():
        own = tuple(each for each in host.host.names if (name := canonical(each)) == asked[url] or claims[name] == 1)
        if own:
            found[url] = replace(host, host=replace(host.host, names=own))
    return found


class Fixed:
    """Hosts that were asked for once."""

    def __init__(self, hosts: Iterable[HdfsHost]) -> None:
        """Take them."""
        self._hosts, self._since = tuple(hosts), time.monotonic()

    def hosts(self) -> tuple[HdfsHost, ...] | None:
        """Return them."""
        return self._hosts

    def whole(self) -> bool:
        """Return that they are all."""
        return True

    def age(self) -> float | None:
        """Return for how many seconds they have been known."""
        return time.monotonic() - self._since

    def silent(self) -> int:
        """Return none: nobody is asked again."""
        return 0

    def start(self, bell: Callable[[], None]) -> None:
        """Have nothing to look for."""
