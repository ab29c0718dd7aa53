"""Does the NameNode have the racks and hosts that the files say? Values in, findings out.

A NameNode asks for a rack once and keeps the answer until it restarts (tried with Hadoop 3.5.0): a refresh of nodes changes none.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from agent.core.dfs_hosts import MEANT, is_over
from agent.doctor.finding import Finding
from agent.doctor.hdfs_hosts import entries_of, named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.clients.namenode import NameNodeView
    from agent.core.datanodes import DataNode
    from agent.core.dfs_hosts import HostEntry
    from agent.doctor.hadoop import Asked, Hadoop, Truth

NOT_ASKED = "give --namenode, such as http://127.0.0.1:9870; of a pair both, since each has its own racks"
CHECKS = ("racks of datanodes", "unknown datanodes", "hosts file in force")
_REFRESH = "hdfs dfsadmin -refreshNodes"


def asked(hadoop: Hadoop) -> Iterator[Finding]:
    """Judge what each NameNode says."""
    if not hadoop.namenodes:
        for check in ("namenode", *CHECKS):
            yield Finding(check=check, verdict="unknown", looked_at="no NameNode", found=NOT_ASKED)
    for each in hadoop.namenodes:
        for finding in _of(hadoop, each):
            several = len(hadoop.namenodes) > 1
            yield replace(finding, found=f"{each.url}: {finding.found}") if several else finding


def _of(hadoop: Hadoop, each: Asked) -> Iterator[Finding]:
    yield answered(each)
    if each.view is None:
        for check in CHECKS:
            yield Finding(check=check, verdict="unknown", looked_at=each.url, found="the NameNode did not answer")
        return
    yield racks(hadoop.truth, each.view, each.url)
    yield unknown(hadoop.truth, each.view, each.url)
    yield in_force(entries_of(hadoop), each.view, each.url, hadoop.now)


def answered(each: Asked) -> Finding:
    """Find out whether a NameNode answers, and which of a pair it is."""
    said = partial(Finding, check="namenode", looked_at=each.url)
    if each.view is None:
        return said(
            verdict="bad",
            found=each.problem,
            advice="Name its web address (dfs.namenode.http-address), reachable from here",
        )
    live = len(_live(each.view))
    found = (
        f"{'active' if each.view.active else 'standby'}, {live} live DataNodes, {len(each.view.datanodes) - live} dead"
    )
    if not live:
        return said(
            verdict="bad",
            found=found,
            advice="None registers: racks of two depths, refused racks, or a hosts file without them",
        )
    if each.view.safe_mode:
        advice = "It writes nothing: it waits for DataNodes, or a person told it so (hdfs dfsadmin -safemode get)"
        return said(verdict="warn", found=f"{found}, in safe mode", advice=advice)
    return said(verdict="ok", found=found)


def _live(view: NameNodeView) -> list[DataNode]:
    return [node for node in view.datanodes if node.live]


def racks(truth: Truth | None, view: NameNodeView, url: str) -> Finding:
    """Find DataNodes in a rack that is not, or no longer, theirs."""
    said, nodes = partial(Finding, check="racks of datanodes", looked_at=f"{url}, and the table"), _live(view)
    if truth is None:
        return said(verdict="unknown", found="no racks are known here")
    right = truth.racks(node.address for node in nodes)
    stale = [f"{_name(node)} in {node.rack}, not {right[node.address]}" for node in nodes if _is_stale(node, right)]
    if stale:
        found = f"{_counted(len(stale))} in a stale rack: {named(stale)}"
        advice = f"Restart this NameNode: it keeps the first answer until then, and {_REFRESH} changes no rack"
        return said(verdict="bad", found=found, advice=advice)
    known = sum(path is not None for path in right.values())
    return said(verdict="ok", found=f"{known} as the table says")


def _is_stale(node: DataNode, right: dict[str, str | None]) -> bool:
    path = right[node.address]
    return path is not None and node.rack != path


def unknown(truth: Truth | None, view: NameNodeView, url: str) -> Finding:
    """Find DataNodes that the table does not know, and so are in the rack of the unknown."""
    said, nodes = partial(Finding, check="unknown datanodes", looked_at=f"{url}, and the table"), _live(view)
    if truth is None:
        return said(verdict="unknown", found="no racks are known here")
    right = truth.racks(node.address for node in nodes)
    strangers = [f"{_name(node)} in {node.rack}" for node in nodes if right[node.address] is None]
    if strangers:
        advice = "Label their nodes, or give hdfs-sync rows with --overrides; then restart the NameNode"
        return said(
            verdict="bad", found=f"{_counted(len(strangers))} not in the table: {named(strangers)}", advice=advice
        )
    return said(verdict="ok", found="none")


def in_force(entries: tuple[HostEntry, ...] | None, view: NameNodeView, url: str, now: int) -> Finding:
    """Compare upgrade domains and states with those of `dfs.hosts`.

    Args:
        now: milliseconds since 1970.
    """
    said, nodes = partial(Finding, check="hosts file in force", looked_at=f"{url}, and dfs.hosts"), _live(view)
    had = [_name(node) for node in nodes if node.upgrade_domain]
    if entries is None and had:
        advice = f"The next {_REFRESH} reads what is here instead, and may take them away: see hosts file"
        return said(verdict="warn", found=f"upgrade domains, and no such file here: {named(had)}", advice=advice)
    if entries is None:
        return said(verdict="unknown", found="no JSON of hosts is read")
    listed = {(entry.address, entry.port): entry for entry in entries}
    pairs = [(node, listed.get((node.address, node.port)) or listed.get((node.address, 0))) for node in nodes]
    missing = [_name(node) for node, entry in pairs if entry is None]
    if missing and any(entry.state == "NORMAL" for entry in entries):
        advice = f"The next {_REFRESH} throws them out, and they do not come back by themselves: write them in first"
        return said(verdict="bad", found=f"{_counted(len(missing))} not in the file: {named(missing)}", advice=advice)
    other = [text for node, entry in pairs if entry for text in _differences(node, entry, now)]
    if other:
        return said(
            verdict="bad",
            found=named(other),
            advice=f"{_REFRESH}, and look again: it is well said even where nothing was read",
        )
    return said(verdict="ok", found=f"{len(nodes) - len(missing)} as the file says")


def _differences(node: DataNode, entry: HostEntry, now: int) -> Iterable[str]:
    if node.upgrade_domain != entry.upgrade_domain:
        yield f"{_name(node)} in upgrade domain {node.upgrade_domain or 'none'}, not {entry.upgrade_domain or 'none'}"
    state = "NORMAL" if is_over(entry, now) else entry.state
    if node.state not in MEANT[state]:
        yield f"{_name(node)} {node.state}, not {state}"


def _name(node: DataNode) -> str:
    return node.address if node.name in ("", node.address) else f"{node.name} ({node.address})"


def _counted(count: int) -> str:
    return f"{count} DataNode{'' if count == 1 else 's'}"
