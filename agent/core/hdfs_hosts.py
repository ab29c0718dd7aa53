"""What `dfs.hosts` should say: every host with its upgrade domain, and those in maintenance whose VM an event will stop.

A host that the NameNode has live is never left out, since it would be thrown out and its process end; what is not known
now stays as it stood.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from agent.core.dfs_hosts import MEANT, HostEntry, is_over
from agent.core.hdfs_stops import Begun, begun_of, stopping
from agent.core.rack_table import bits_of, canonical, network_of, within
from agent.core.upgrade_domains import Kind, telling_kind, upgrade_domain

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from agent.core.datanodes import DataNode
    from agent.core.dfs_hosts import State
    from agent.core.hdfs_nodes import HdfsHost
    from agent.core.mark import MarkedEvent

_FOR_GOOD = ("Preempt", "Terminate")  # the VM goes: too short to copy all, but nothing new is written there
_MILLISECONDS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class HostsRules:
    """What people decided.

    Attributes:
        kind: None takes the one that tells hosts apart.
        maintain: put hosts into maintenance; off only writes upgrade domains.
        share: percent of all hosts that may leave service in one run; one always may.
        lasts: seconds until maintenance ends by itself where nobody goes on asking for it.
        factor: `dfs.namenode.upgrade.domain.factor`.
    """

    kind: Kind | None = None
    maintain: bool = False
    share: int = 5
    lasts: float = 1800.0
    factor: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class HostsKnown:
    """All that the file is decided from.

    Attributes:
        whole: the hosts are all that there are; else others have yet to be heard.
        datanodes: None where the NameNode did not say.
        standing: what the file says now.
        overrides: people's own entries, which win.
        begun: by address, for each event (by its key) the id of the VM that it was marked for; None where that is not known.
    """

    hosts: tuple[HdfsHost, ...]
    datanodes: tuple[DataNode, ...] | None
    whole: bool = True
    standing: tuple[HostEntry, ...] = ()
    overrides: tuple[HostEntry, ...] = ()
    begun: Begun = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostsPlan:
    """What the file should say, and why.

    Attributes:
        entries: None where nothing must be written now; `blocked` or `warnings` say why.
        addresses: of each host, by its name.
        asked: for which marked events each host should be out of service, by its name.
        entered, left: addresses that leave service with this plan, or come back.
        queued: addresses that must wait, so that not too many leave at once.
        unknown: addresses of live DataNodes that are no host known here.
    """

    kind: Kind
    entries: tuple[HostEntry, ...] | None
    addresses: Mapping[str, str] = field(default_factory=dict)
    asked: Mapping[str, tuple[MarkedEvent, ...]] = field(default_factory=dict)
    begun: Begun = field(default_factory=dict)
    entered: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    queued: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What one host should be, but for the share."""

    entry: HostEntry
    state: State
    before: State
    hurry: bool


def hosts_plan(known: HostsKnown, rules: HostsRules, now: float) -> HostsPlan:
    """Return what `dfs.hosts` should say.

    Args:
        now: seconds since 1970.
    """
    kind = rules.kind or telling_kind(each.host.placement for each in known.hosts)
    strange = _strange(known)
    if (why := _blocked(known, strange)) is not None:
        return HostsPlan(kind=kind, entries=None, begun=known.begun, unknown=strange, warnings=(why,))
    placed = _by_name(known.datanodes or ())
    addresses = {each.name: address for each in known.hosts if (address := _address(each, placed))}
    asked = {
        each.name: stopping(each, known.begun.get(addresses.get(each.name, ""), {}))
        for each in known.hosts
        if rules.maintain
    }
    wishes = _wishes(known, kind, addresses, asked)
    own = _own_entries(known, kind, addresses)
    others, warnings = _others(known, {*wishes, *own}, now)
    fixed = [*own.values(), *others]
    entered, queued = _may_leave(wishes, rules.share, fixed)
    settled = [_settled(wish, rules, now, held=address in queued) for address, wish in wishes.items()]
    entries = sorted([*settled, *fixed], key=lambda each: (bits_of(each.address) or (0, 0), each.port))
    return HostsPlan(
        kind=kind,
        entries=tuple(entries),
        addresses=addresses,
        asked={name: events for name, events in asked.items() if events},
        begun=begun_of(known.hosts, known.begun, addresses, asked),
        entered=tuple(entered),
        left=tuple(address for address, wish in wishes.items() if wish.state == "NORMAL" != wish.before),
        queued=tuple(queued),
        unknown=tuple(address for address in strange if address not in own),
        warnings=(*warnings, *_too_few(entries, kind, rules)),
    )


def unheeded(entries: Iterable[HostEntry], datanodes: Iterable[DataNode]) -> tuple[str, ...]:
    """Return the live DataNodes that the NameNode does not have as the file says, though it was told to read it.

    It says "Refresh nodes successful" whatever it read.
    """
    listed = {each.address: each for each in entries}
    return tuple(
        each.address
        for each in datanodes
        if each.live and (entry := listed.get(each.address)) is not None and not _heeds(each, entry)
    )


def _heeds(datanode: DataNode, entry: HostEntry) -> bool:
    return datanode.upgrade_domain == entry.upgrade_domain and datanode.state in MEANT[entry.state]


def _strange(known: HostsKnown) -> tuple[str, ...]:
    """Return the live DataNodes that are none of the hosts."""
    named = {canonical(name) for each in known.hosts for name in each.host.names}
    return tuple(each.address for each in known.datanodes or () if each.live and not _is(each, named))


def _blocked(known: HostsKnown, strange: tuple[str, ...]) -> str | None:
    """Return why nothing may be written at all."""
    if not known.hosts:
        return "no host with a place is known: dfs.hosts stays as it is"
    if known.datanodes is None:
        return (
            None if known.standing else "the NameNode does not say which DataNodes it has: dfs.hosts is not begun yet"
        )
    networks = [network_of(text) for each in known.hosts for text in each.host.networks]
    pods = [address for address in strange if _within_any(address, networks)]
    if pods:
        return (
            f"{len(pods)} DataNodes have pod addresses ({pods[0]}): a list of hosts would shut out every pod that comes anew;"
            " run DataNodes in the host's network, or leave dfs.hosts out"
        )
    if strange and len(strange) == sum(each.live for each in known.datanodes):
        return f"none of the {len(strange)} live DataNodes ({strange[0]}) is a host that is known here: dfs.hosts stays as it is"
    return None


def _within_any(address: str, networks: Iterable[tuple[int, int, int] | None]) -> bool:
    number = bits_of(address)
    return number is not None and any(network is not None and within(number, network) for network in networks)


def _by_name(datanodes: Iterable[DataNode]) -> dict[str, list[DataNode]]:
    """Return who came to the NameNode, by address and by the name that it has of them: 5,000 hosts ask."""
    found: dict[str, list[DataNode]] = {}
    for each in datanodes:
        if each.seen:
            for name in {each.address, canonical(each.name)}:
                found.setdefault(name, []).append(each)
    return found


def _address(host: HdfsHost, placed: Mapping[str, list[DataNode]]) -> str | None:
    """Return the address that the NameNode has of a host, else its first one."""
    names = [canonical(name) for name in host.host.names]
    known = sorted((each for name in names for each in placed.get(name, ())), key=_order)
    return next(iter([*(each.address for each in known), *(name for name in names if bits_of(name) is not None)]), None)


def _order(datanode: DataNode) -> tuple[bool, str]:
    return not datanode.live, datanode.name


def _is(datanode: DataNode, names: Container[str]) -> bool:
    """Return whether a DataNode is the host of these names, by its address or by the name that the NameNode has of it."""
    return datanode.address in names or canonical(datanode.name) in names


def _wishes(
    known: HostsKnown, kind: Kind, addresses: Mapping[str, str], asked: Mapping[str, tuple[MarkedEvent, ...]]
) -> dict[str, _Wish]:
    standing = {each.address: each for each in known.standing}
    own = {each.address for each in known.overrides}
    wishes: dict[str, _Wish] = {}
    for host in known.hosts:
        address = addresses.get(host.name)
        if address is None or address in own or address in wishes:
            continue
        events = asked.get(host.name, ())
        stood = standing.get(address, HostEntry(address=address))
        wishes[address] = _Wish(
            entry=replace(stood, upgrade_domain=upgrade_domain(host.host.placement, kind)),
            state=_state(events),
            before=stood.state,
            hurry=any(event.type in _FOR_GOOD for event in events),
        )
    return wishes


def _state(events: tuple[MarkedEvent, ...]) -> State:
    if not events:
        return "NORMAL"
    return "DECOMMISSIONED" if any(event.type in _FOR_GOOD for event in events) else "IN_MAINTENANCE"


def _own_entries(known: HostsKnown, kind: Kind, addresses: Mapping[str, str]) -> dict[str, HostEntry]:
    """Return people's own entries; where they name no upgrade domain, with the host's own."""
    placed = {addresses[each.name]: each.host.placement for each in known.hosts if each.name in addresses}
    found: dict[str, HostEntry] = {}
    for own in known.overrides:
        placement = placed.get(own.address)
        domain = upgrade_domain(placement, kind) if placement is not None else None
        found[own.address] = replace(own, upgrade_domain=own.upgrade_domain or domain)
    return found


def _others(known: HostsKnown, named: set[str], now: float) -> tuple[list[HostEntry], list[str]]:
    """Return entries of hosts that we know nothing of: kept while the NameNode has them live, or until it and all have spoken.

    Nobody asks for their maintenance anew, so it ends when its term does.
    """
    standing = {each.address: each for each in known.standing}
    live = {each.address for each in known.datanodes or () if each.live}
    kept = live if known.whole and known.datanodes is not None else live | set(standing)
    entries = [_lapsed(standing.get(address, HostEntry(address=address)), now) for address in sorted(kept - named)]
    strange = sorted(live - named)
    if not strange:
        return entries, []
    shown = ", ".join(strange[:5])
    return entries, [
        f"{len(strange)} live DataNodes are no host that is known here ({shown}): kept in dfs.hosts as they are"
    ]


def _lapsed(entry: HostEntry, now: float) -> HostEntry:
    return replace(entry, state="NORMAL", until=None) if is_over(entry, now * _MILLISECONDS) else entry


def _may_leave(wishes: Mapping[str, _Wish], share: int, fixed: list[HostEntry]) -> tuple[list[str], list[str]]:
    """Return who may leave service now and who must wait: a share of all at once.

    One host always stays, since a list without a NORMAL entry counts as empty.
    """
    leaving = sorted(
        (not wish.hurry, address) for address, wish in wishes.items() if wish.state != "NORMAL" == wish.before
    )
    order = [address for _, address in leaving]
    serving = [wish for wish in wishes.values() if wish.state == "NORMAL"]
    serving_too = [entry for entry in fixed if entry.state == "NORMAL"]
    spare = len(serving) + len(serving_too) + len(order) - 1
    room = max(0, min(max(1, (len(wishes) + len(fixed)) * share // 100), spare))
    return order[:room], order[room:]


def _settled(wish: _Wish, rules: HostsRules, now: float, *, held: bool) -> HostEntry:
    if held or wish.state == "NORMAL":
        return replace(wish.entry, state="NORMAL", until=None)
    if wish.state == "DECOMMISSIONED":
        return replace(wish.entry, state="DECOMMISSIONED", until=None)
    clock, lasts = int(now * _MILLISECONDS), int(rules.lasts * _MILLISECONDS)
    until = wish.entry.until if wish.before == "IN_MAINTENANCE" else None
    if until is None or not clock + lasts // 2 <= until <= clock + lasts:  # half a term ahead, it is asked for anew
        until = clock + lasts
    return replace(wish.entry, state="IN_MAINTENANCE", until=until)


def _too_few(entries: Iterable[HostEntry], kind: Kind, rules: HostsRules) -> list[str]:
    found = {each.upgrade_domain for each in entries if each.upgrade_domain is not None}
    if not found or len(found) >= rules.factor:
        return []
    lacking = f"{len(found)} upgrade domains ({kind}) for a factor of {rules.factor}"
    advice = f"set dfs.namenode.upgrade.domain.factor to {len(found)}"
    return [f"{lacking}: with BlockPlacementPolicyWithUpgradeDomain files stay short of replicas for ever; {advice}"]
