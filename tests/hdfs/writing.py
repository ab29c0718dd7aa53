"""A writer of `dfs.hosts` as a process, to be killed: FILE NAMENODE REFRESH and the number of the host that an event is about."""

import shlex
import sys
from functools import partial
from pathlib import Path

from agent.clients.namenode import NameNode
from agent.hdfs.hosts import HostsFile, HostsWriter
from agent.hdfs.refresh import refresh
from agent.log import set_up
from tests.hdfs.test_hosts import REBOOT, RULES, host


def main(path: str, namenode: str, command: str, number: str) -> None:
    writer = HostsWriter(
        HostsFile(Path(path)),
        RULES,
        namenode=NameNode(namenode),
        refresh=partial(refresh, shlex.split(command)),
        say=None,
        overrides=None,
        log=set_up(level="error", form="json"),
    )
    print("now", flush=True)
    while True:
        writer.turn(tuple(host(each, *((REBOOT,) if str(each) == number else ())) for each in (1, 2, 3)))


main(*sys.argv[1:])
