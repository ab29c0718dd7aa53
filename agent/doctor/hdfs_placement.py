"""Do block placement and upgrade domains fit the racks? Values in, findings out, tried with Hadoop 3.5.0."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

from agent.core.document import DocumentError
from agent.doctor.finding import Finding
from agent.doctor.hadoop import HOSTS
from agent.doctor.hdfs_hosts import BLOCKS, entries_of, named, short
from agent.doctor.hdfs_racks import FACTOR, POLICY, REPLICATION
from agent.doctor.hdfs_table import hosts_of

if TYPE_CHECKING:
    from agent.core.dfs_hosts import HostEntry
    from agent.doctor.hadoop import Hadoop

DEFAULT, SPREAD = f"{BLOCKS}BlockPlacementPolicyDefault", f"{BLOCKS}BlockPlacementPolicyRackFaultTolerant"
BY_DOMAIN, GROUPED = f"{BLOCKS}BlockPlacementPolicyWithUpgradeDomain", f"{BLOCKS}BlockPlacementPolicyWithNodeGroup"
SPACIOUS = f"{BLOCKS}AvailableSpaceBlockPlacementPolicy"
SPACIOUS_SPREAD = f"{BLOCKS}AvailableSpaceRackFaultTolerantBlockPlacementPolicy"
_ZONE = re.compile(r"/[^/]*-[0-9]+")  # westeurope-1, as this project writes a zone
_BY_ZONE = "upgrade domains that are the zones, and BlockPlacementPolicyWithUpgradeDomain"


def placement(hadoop: Hadoop) -> Finding:
    """Compare the policy of block placement with the racks that there are."""
    policy, truth = hadoop.conf.text(POLICY, DEFAULT), hadoop.truth
    said = partial(Finding, check="block placement", looked_at=f"{POLICY}, and the racks")
    if policy not in (DEFAULT, SPREAD, BY_DOMAIN, GROUPED, SPACIOUS, SPACIOUS_SPREAD):
        return said(verdict="unknown", found=f"{policy}, which is not known here")
    if truth is None or not hosts_of(truth):
        return said(verdict="unknown", found=f"{short(policy)}; no racks are known")
    racks, whose = _racks(hadoop)
    found = f"{short(policy)}, {len(racks)} racks {whose}"
    advice = _unfit(policy, racks)
    return said(verdict="warn" if advice else "ok", found=found, advice=advice)


def _racks(hadoop: Hadoop) -> tuple[set[str], str]:
    """Return the racks that hold DataNodes, or, where no NameNode says which those are, all of the table."""
    truth = hadoop.truth
    if truth is None:
        return set(), "known"
    views = [asked.view for asked in hadoop.namenodes if asked.view]
    addresses = {node.address for view in views for node in view.datanodes if node.live}
    found = {path for path in truth.racks(addresses).values() if path}
    return (found, "with DataNodes") if found else (set(hosts_of(truth).values()), "in the table")


def _unfit(policy: str, racks: set[str]) -> str:
    """Return what to do about a policy that these racks make no use of; "" for nothing."""
    tops = {rack.split("/")[1] for rack in racks}
    if policy == BY_DOMAIN:
        return ""
    if len(racks) == 1:
        return "All in one rack: no policy can spread replicas. Take another --form, or upgrade domains"
    if 1 < len(tops) < len(racks):
        return f"Two racks of one zone are two racks for it, so three replicas may be in two zones: {_BY_ZONE}"
    if policy == GROUPED:
        return f"Three replicas are in two racks: {short(SPREAD)} puts them into three"
    if len(tops) > 2 and policy in (DEFAULT, SPACIOUS) and all(_ZONE.fullmatch(f"/{top}") for top in tops):
        return f"It puts three replicas into two zones: {short(SPREAD)} puts them into three"
    return ""


def domains(hadoop: Hadoop) -> Finding:
    """Compare the number of upgrade domains with the factor that the policy asks for."""
    policy, entries = hadoop.conf.text(POLICY, DEFAULT), entries_of(hadoop)
    said = partial(Finding, check="upgrade domains", looked_at=f"{FACTOR}, and {HOSTS}")
    listed = [entry for entry in entries or () if entry.state != "DECOMMISSIONED"]
    known = {entry.upgrade_domain for entry in listed if entry.upgrade_domain}
    without = [entry.address for entry in listed if not entry.upgrade_domain]
    if policy != BY_DOMAIN:
        return said(verdict="ok", found=f"{len(known)}, which {short(policy)} does not ask for")
    if not known:
        return said(
            verdict="bad", found="none", advice="Each DataNode is one of its own then: the policy has no effect"
        )
    try:
        factor = hadoop.conf.number(FACTOR, hadoop.conf.number(REPLICATION, 3))
    except DocumentError as error:
        return said(verdict="bad", found=str(error), advice="No NameNode starts with it: write a number")
    found = f"{len(known)}, and a factor of {factor}"
    if len(known) + len(without) < factor:
        advice = f"Blocks stay under-replicated for ever: set {FACTOR}={len(known)}"
        return said(verdict="bad", found=found, advice=advice)
    if without:
        advice = f"Each of them counts as a domain of its own: {named(without)}"
        return said(verdict="warn", found=f"{found}; {len(without)} hosts without", advice=advice)
    across = _across_zones(hadoop, listed)
    if across:
        advice = "Replicas are in three domains, and perhaps in two zones: take the zones as upgrade domains"
        return said(verdict="warn", found=f"{found}; across zones: {named(across)}", advice=advice)
    return said(verdict="ok", found=found)


def _across_zones(hadoop: Hadoop, entries: list[HostEntry]) -> list[str]:
    """Return the upgrade domains with hosts in several zones, as far as racks begin with zones."""
    racks = hadoop.truth.racks(entry.address for entry in entries) if hadoop.truth else {}
    zones: defaultdict[str, set[str]] = defaultdict(set)
    for entry in entries:
        zone = _ZONE.match(racks.get(entry.address) or "")
        if zone and entry.upgrade_domain:
            zones[entry.upgrade_domain].add(zone[0])
    return sorted(domain for domain, found in zones.items() if len(found) > 1)
