"""Is the table of racks whole, and what becomes of hosts that are not in it? Values in, findings out."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from agent.core.rack_table import VERSION, fallback, right_path
from agent.doctor.finding import Finding
from agent.doctor.hadoop import depth_of
from agent.doctor.hdfs_racks import REJECT

if TYPE_CHECKING:
    from agent.doctor.hadoop import Hadoop, Truth

_REJECTED = f"with {REJECT}=true it is refused, comes back every five seconds, and is right once the table knows it"


def table(hadoop: Hadoop) -> Finding:
    """Find out whether the table is whole and of one depth, and what is in it."""
    file, truth = hadoop.table, hadoop.truth
    if file is None:
        return Finding(check="rack table", verdict="unknown", looked_at="the script", found="no table of ours is named")
    said = partial(Finding, check="rack table", looked_at=file.path)
    if hadoop.by_table and file.body is not None and not file.text.startswith(VERSION):
        return said(verdict="unknown", found="a table of others")
    if truth is None:
        advice = "No host is known: let hdfs-sync write it, with the --form that the script was installed with"
        return said(verdict="bad", found=_not_whole(hadoop), advice=advice)
    if truth.previous:
        advice = "Who writes it must replace it in one step, and leave the one before as .prev, as hdfs-sync does"
        return said(verdict="warn", found=f"{_not_whole(hadoop)}; the one before it: {_counted(truth)}", advice=advice)
    wrong = sorted(path for path in set(truth.rows.values()) if not right_path(path, truth.depth))
    if wrong:
        advice = f"Hadoop takes one depth alone; our script gives such hosts the rack {fallback(truth.depth)}"
        return said(verdict="bad", found=f"not of depth {truth.depth}: {', '.join(wrong[:5])}", advice=advice)
    if not hosts_of(truth):
        return said(verdict="bad", found=_counted(truth), advice="Nobody writes it, or no node has the labels yet")
    return said(verdict="ok", found=f"{_counted(truth)}, written {_ago(file.age)}")


def hosts_of(truth: Truth) -> dict[str, str]:
    """Return the rows of hosts, without those of their pods' networks."""
    return {key: path for key, path in truth.rows.items() if "/" not in key}


def _counted(truth: Truth) -> str:
    hosts = len(hosts_of(truth))
    return f"{hosts} names of hosts and {len(truth.rows) - hosts} networks, depth {truth.depth}"


def _not_whole(hadoop: Hadoop) -> str:
    file, installed = hadoop.table, hadoop.installed
    if file is None or file.body is None:
        return f"cannot be read: {file.problem if file else 'no file'}"
    depth = depth_of(file.text)
    if installed and depth and depth != installed.depth:
        return f"is of depth {depth}, the script of {installed.depth}"
    return "is not whole"


def _ago(seconds: float) -> str:
    for size, name in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {name} ago"
    return "just now"


def unknown_hosts(hadoop: Hadoop) -> Finding:
    """Judge what a DataNode gets that registers before the table knows it."""
    reject = hadoop.conf.flag(REJECT, default=False)
    said = partial(
        Finding, check="unknown hosts", looked_at=f"{REJECT}={str(reject).lower()}, and the script's settings"
    )
    if hadoop.by_table:
        return _by_table(hadoop)
    if hadoop.installed is None:
        return said(verdict="unknown", found="no script of ours")
    depth = hadoop.installed.depth
    if not hadoop.installed.strict:
        found = f"{fallback(depth)}, until the NameNode restarts"
        return said(verdict="ok", found=found)
    if not reject and depth > 1:
        advice = f"Hadoop's own /default-rack shuts out all others, or is shut out: {_REJECTED}"
        return said(verdict="bad", found=f"/default-rack among racks of depth {depth}", advice=advice)
    if not reject:
        return said(verdict="warn", found="/default-rack, until it registers again", advice=f"Set it: {_REJECTED}")
    if hadoop.truth is not None and not hadoop.truth.own:
        advice = "The script leaves open only hosts of our own networks: give hdfs-sync --own NETWORK"
        return said(verdict="warn", found=f"{fallback(depth)}: the table names no network of ours", advice=advice)
    return said(verdict="ok", found="refused, and comes back")


def _by_table(hadoop: Hadoop) -> Finding:
    said = partial(Finding, check="unknown hosts", looked_at="TableMapping")
    if hadoop.truth is not None and hadoop.truth.depth > 1:
        advice = "The first of another depth shuts out all others: take the script, or racks of depth 1"
        return said(verdict="bad", found=f"/default-rack among racks of depth {hadoop.truth.depth}", advice=advice)
    return said(verdict="ok", found="/default-rack, until the NameNode restarts")
