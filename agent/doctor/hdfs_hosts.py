"""Which hosts may be DataNodes, and in which upgrade domains? Values in, findings out, tried with Hadoop 3.5.0."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from agent.core.dfs_hosts import is_over, read_hosts
from agent.core.document import DocumentError
from agent.doctor.finding import Finding
from agent.doctor.hadoop import HOSTS
from agent.doctor.hdfs_racks import PROVIDER

if TYPE_CHECKING:
    from agent.core.dfs_hosts import HostEntry
    from agent.doctor.hadoop import Hadoop

BLOCKS = "org.apache.hadoop.hdfs.server.blockmanagement."
COMBINED, PLAIN = f"{BLOCKS}CombinedHostFileManager", f"{BLOCKS}HostFileManager"
EXCLUDE = "dfs.hosts.exclude"


def short(name: str) -> str:
    """Return the name of a class without its package."""
    return name.rpartition(".")[2]


def hosts_file(hadoop: Hadoop) -> Finding:
    """Find out what Hadoop makes of `dfs.hosts`; it says "Refresh nodes successful" whatever it is."""
    path, provider, file = hadoop.conf.raw(HOSTS) or "", hadoop.conf.text(PROVIDER, PLAIN), hadoop.hosts
    said = partial(Finding, check="hosts file", looked_at=path.strip() or HOSTS)
    if file is None:
        found = f"none, for {short(provider)}: any host may be a DataNode"
        advice = (
            f"No upgrade domains either: name the JSON file as {HOSTS} in hdfs-site.xml" if provider == COMBINED else ""
        )
        return said(verdict="warn" if advice else "ok", found=found, advice=advice)
    if provider not in (COMBINED, PLAIN):
        return said(verdict="unknown", found=f"{provider}, which is not known here")
    if path != path.strip() or not path.startswith("/"):
        advice = "Hadoop keeps blanks, and looks from where it was started: write an absolute path without"
        return said(verdict="bad", found="no absolute path, or blanks around it", advice=advice)
    if file.body is None:
        advice = "A NameNode that starts takes this for an empty list: any host may register"
        return said(verdict="bad", found=str(file.problem), advice=advice)
    is_json = file.text.lstrip().startswith(("[", "{"))
    if provider == PLAIN and not is_json:
        return said(verdict="ok", found=f"{len(file.text.split())} words, for {short(PLAIN)}")
    if provider == PLAIN:
        advice = f"It takes JSON for names of hosts: set {PROVIDER}={COMBINED} and restart the NameNode"
        return said(verdict="bad", found=f"JSON, for {short(PLAIN)}", advice=advice)
    if file.text.lstrip().startswith("{"):
        return said(verdict="unknown", found="objects one after another, Hadoop's old form, which is not read here")
    return _json_hosts(hadoop, said)


def _json_hosts(hadoop: Hadoop, said: partial[Finding]) -> Finding:
    try:
        entries = read_hosts(hadoop.hosts.text if hadoop.hosts else "")
    except DocumentError as error:
        advice = (
            "What Hadoop cannot read is an empty list for it: maintenance ends, upgrade domains go. Names must resolve"
        )
        verdict = "warn" if error.path.endswith(".hostName") else "bad"
        return said(verdict=verdict, found=str(error), advice=advice)
    normal = sum(entry.state == "NORMAL" for entry in entries)
    found = f"{len(entries)} hosts, {normal} of them NORMAL"
    if not normal:
        advice = "Without a NORMAL entry the list counts as empty: any host may register, with no upgrade domain"
        return said(verdict="bad", found=found, advice=advice)
    over = [each.address for each in entries if is_over(each, hadoop.now)]
    if over:
        found = f"maintenance of {named(over)} is over"
        return said(verdict="warn", found=found, advice="The entry has no effect: write NORMAL")
    if hadoop.conf.text(EXCLUDE):
        advice = f"{short(COMBINED)} does not read it: use adminState"
        return said(verdict="warn", found=f"{found}; {EXCLUDE} is set", advice=advice)
    return said(verdict="ok", found=found)


def entries_of(hadoop: Hadoop) -> tuple[HostEntry, ...] | None:
    """Return the entries of `dfs.hosts`; None where Hadoop reads no JSON, or it is not right."""
    if hadoop.hosts is None or hadoop.conf.text(PROVIDER, PLAIN) != COMBINED:
        return None
    try:
        return read_hosts(hadoop.hosts.text)
    except DocumentError:
        return None


def named(names: list[str]) -> str:
    """Return the first five, and how many more there are."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
