"""`hdfs-sync`: keeps the table of racks, and `dfs.hosts` where asked to, for a NameNode beside it."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.clients.namenode import NameNode
from agent.commands.racks import DEADLINE, read_form_or_tell
from agent.core.hdfs_hosts import HostsRules
from agent.core.hdfs_nodes import HdfsHost
from agent.core.health import Health
from agent.core.rack_table import network_of
from agent.core.racks import host_of
from agent.daemon.partners import access, imds_client
from agent.daemon.probes import Probes
from agent.daemon.watch import Stopped, heed_signals
from agent.hdfs.hosts import HostsFile, HostsWriter
from agent.hdfs.metrics import SyncMetrics
from agent.hdfs.refresh import read_command, refresh
from agent.hdfs.sources import Agents, Fixed, Nodes
from agent.hdfs.sync import Sync
from agent.hdfs.table import TableWriter
from agent.log import set_up
from agent.told import Told

if TYPE_CHECKING:
    import argparse

    from agent.clients.cluster import Cluster
    from agent.core.instance import Instance
    from agent.core.racks import RackedHost
    from agent.hdfs.sources import Source
    from agent.settings import Settings

# A term shorter than a minute could end between two looks; Hadoop itself takes any factor above 0.
BOUNDS = (("share", 1, 100), ("factor", 1, 100), ("maintenance-lasts", 60, 86_400))
STUCK = 300.0  # seconds without a turn: a refresh has one minute, an answer of the NameNode some seconds


def hdfs_sync(settings: Settings, arguments: argparse.Namespace) -> int:
    """Write once, or follow the source until stopped."""
    log = set_up(level=settings.log_level, form=settings.log_format)
    _check(arguments)
    overrides = Path(arguments.overrides) if arguments.overrides else None
    form = read_form_or_tell(arguments.form)
    table = TableWriter(Path(arguments.table), form, arguments.own or (), overrides, log)
    cluster = _cluster(settings) if arguments.source == "kubernetes" else None
    hosts = _hosts(settings, arguments, cluster, log)
    source = _source(settings, arguments, cluster, log)
    sync = Sync(source, table, hosts, SyncMetrics(), log)
    if arguments.once or arguments.source == "imds":
        if isinstance(source, (Nodes, Agents)):
            source.look()
        sync.once()
        return 0
    heed_signals()
    with contextlib.suppress(Stopped), _probes(arguments.probes, sync):
        sync.run()
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """Refuse what does not fit together, and what could take every DataNode out of service.

    Raises:
        Told: flag, expected, found.
    """
    for each in arguments.own or ():
        if network_of(each) is None:
            raise Told(f"--own: expected a network such as 10.224.0.0/16, found {each[:60]!r}")
    if (arguments.source == "agents") != (arguments.agents is not None):
        raise Told("--from agents and --agents FILE: expected both, or neither")
    if arguments.dfs_hosts is None:
        _check_alone(arguments)
    elif arguments.namenode is None:
        raise Told("--dfs-hosts needs --namenode URL: a live DataNode that is not listed would be thrown out")
    if arguments.maintenance and not arguments.refresh:
        raise Told("--maintenance needs --refresh COMMAND, such as 'hdfs dfsadmin -refreshNodes'")
    for flag, least, most in BOUNDS:
        found = getattr(arguments, flag.replace("-", "_"))
        if not least <= found <= most:
            raise Told(f"--{flag}: expected {least} to {most}, found {found}")


def _check_alone(arguments: argparse.Namespace) -> None:
    for flag in ("refresh", "namenode", "maintenance", "hosts_overrides", "upgrade_domain"):
        if getattr(arguments, flag):
            raise Told(f"--{flag.replace('_', '-')} needs --dfs-hosts FILE")


def _cluster(settings: Settings) -> Cluster:
    from agent.clients.cluster import Cluster  # noqa: PLC0415 - 0.4 s that a VM without Kubernetes need not pay

    return Cluster(access(settings))


def _source(settings: Settings, arguments: argparse.Namespace, cluster: Cluster | None, log: Any) -> Source:
    if cluster is not None:
        return Nodes(cluster, settings.domain, log, arguments.selector)
    if arguments.source == "agents":
        return Agents(lambda: read_urls(Path(arguments.agents)), log)
    with imds_client(settings) as client:
        return Fixed([own_host(client.instance(deadline=DEADLINE).value)])


def read_urls(path: Path) -> tuple[str, ...]:
    """Read a list of agents: a URL a line, `#` for remarks.

    Raises:
        Told: it cannot be read, or names nobody.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Told(f"{path}: cannot be read: {error}") from error
    found = tuple(word for line in lines if (word := line.partition("#")[0].strip()))
    if not found:
        raise Told(f"{path}: expected a URL a line, such as http://10.224.0.4:23170, found none")
    return found


def _hosts(settings: Settings, arguments: argparse.Namespace, cluster: Cluster | None, log: Any) -> HostsWriter | None:
    if arguments.dfs_hosts is None:
        return None
    rules = HostsRules(
        kind=None if arguments.upgrade_domain in (None, "auto") else arguments.upgrade_domain,
        maintain=arguments.maintenance,
        share=arguments.share,
        lasts=arguments.maintenance_lasts,
        factor=arguments.factor,
    )
    command = _command(arguments.refresh) if arguments.refresh else None
    return HostsWriter(
        HostsFile(Path(arguments.dfs_hosts)),
        rules,
        namenode=NameNode(arguments.namenode),
        refresh=(lambda: refresh(command)) if command else None,
        say=_sayer(cluster, settings.domain) if cluster is not None and arguments.maintenance else None,
        overrides=Path(arguments.hosts_overrides) if arguments.hosts_overrides else None,
        log=log,
    )


def _sayer(cluster: Cluster, domain: str) -> Any:
    from agent.clients.cluster_nodes import say_hdfs  # noqa: PLC0415 - as above

    return lambda host, text: say_hdfs(cluster, host.name, host.uid, f"{domain}/hdfs", text)


def _command(text: str) -> tuple[str, ...]:
    try:
        return read_command(text)
    except ValueError as error:
        raise Told(f"--refresh: {error}") from error


def _probes(address: str | None, sync: Sync) -> contextlib.AbstractContextManager[object]:
    if address is None:
        return contextlib.nullcontext()

    def verdict() -> Health:
        still = time.monotonic() - sync.turned
        stuck = (f"no turn for {still:.0f} s",) if still > STUCK else ()
        return Health(stuck=stuck, not_ready=() if sync.written else ("table: not written yet",))

    return contextlib.closing(Probes(address, verdict=verdict, registry=sync.metrics.registry))


def own_host(instance: Instance) -> HdfsHost:
    """Return this VM as a host."""
    return HdfsHost(name=instance.name or "", host=racked(instance), vm_id=instance.vm_id)


def racked(instance: Instance) -> RackedHost:
    """Return where this VM stands: all its addresses, and its names."""
    found = host_of(instance)
    if found is None:
        raise Told("IMDS names neither an address nor a name of this VM")
    return found
