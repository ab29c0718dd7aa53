"""`hdfs-sync`: keeps the table of racks for a NameNode beside it."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from agent.commands.racks import DEADLINE, read_form_or_tell
from agent.core.rack_table import network_of
from agent.core.racks import RackedHost
from agent.daemon.partners import access, imds_client
from agent.hdfs.sync import NodeSync, TableWriter
from agent.log import set_up
from agent.told import Told

if TYPE_CHECKING:
    import argparse
    from types import FrameType

    from agent.core.instance import Instance
    from agent.settings import Settings


class Stopped(BaseException):
    """A signal asked us to leave; the table stays."""


def hdfs_sync(settings: Settings, arguments: argparse.Namespace) -> int:
    """Write the table once, or follow the cluster until stopped."""
    log = set_up(level=settings.log_level, form=settings.log_format)
    for each in arguments.own or ():
        if network_of(each) is None:
            raise Told(f"--own: expected a network such as 10.224.0.0/16, found {each[:60]!r}")
    overrides = Path(arguments.overrides) if arguments.overrides else None
    form = read_form_or_tell(arguments.form)
    writer = TableWriter(Path(arguments.table), form, arguments.own or (), overrides, log)
    if arguments.source == "imds":
        with imds_client(settings) as client:
            writer.write([racked(client.instance(deadline=DEADLINE).value)])
        return 0
    from agent.clients.cluster import Cluster  # noqa: PLC0415 - 0.4 s that a VM without Kubernetes need not pay

    sync = NodeSync(Cluster(access(settings)), writer, settings.domain, log)
    if arguments.once:
        sync.once()
        return 0
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    with contextlib.suppress(Stopped):
        sync.run()
    return 0


def racked(instance: Instance) -> RackedHost:
    """Return this VM as a host: all its addresses, and its names."""
    addresses = [address.private for each in instance.network for address in each.ipv4]
    addresses += [address for each in instance.network for address in each.ipv6]
    names = [*addresses, instance.os_profile.computer_name, instance.name]
    found = tuple(dict.fromkeys(name for name in names if name))
    if not found:
        raise Told("IMDS names neither an address nor a name of this VM")
    return RackedHost(names=found, placement=instance.placement)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise Stopped
