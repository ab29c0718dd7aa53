"""A Hadoop configuration and what it points at, as they stand here. Read only, and no program is run."""

from __future__ import annotations

import stat
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from agent.clients.namenode import NameNode, NameNodeError
from agent.core.document import DocumentError
from agent.core.hadoop_conf import ConfFile, HadoopConf, merged, read_conf
from agent.core.rack_table import answers, fallback, read_table
from agent.hdfs.script import Installed, read_script

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agent.clients.namenode import NameNodeView

SITES = ("core-site.xml", "hdfs-site.xml")  # in the order in which they count
LARGEST = 16 * 1024 * 1024  # bytes of a file: as the rack script reads
PATIENCE = 10.0  # seconds for each step of a NameNode's answer
SCRIPT, TABLE = "net.topology.script.file.name", "net.topology.table.file.name"
MAPPING = "net.topology.node.switch.mapping.impl"
BY_SCRIPT, BY_TABLE = "org.apache.hadoop.net.ScriptBasedMapping", "org.apache.hadoop.net.TableMapping"
HOSTS = "dfs.hosts"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenFile:
    """A file that was looked at.

    Attributes:
        body: None where it could not be read.
        problem: why.
        runs: somebody may execute it.
        age: seconds since it was written.
    """

    path: str
    body: bytes | None = None
    problem: str | None = None
    runs: bool = False
    age: float = 0.0

    @property
    def text(self) -> str:
        """What stands in it, with a sign in place of what is no UTF-8; "" for a file that could not be read."""
        return (self.body or b"").decode("utf-8", errors="replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A configuration file: what stands in it, or why that is not known."""

    path: str
    conf: ConfFile = ConfFile()
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a NameNode said, or why it said nothing."""

    url: str
    view: NameNodeView | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """The racks as they should be.

    Attributes:
        texts: the table and the one before it.
        previous: the one before it counts, since the table is not whole.
        exact: Hadoop reads the table itself, so that networks of pods do not count.
    """

    rows: Mapping[str, str]
    own: tuple[str, ...]
    depth: int
    texts: tuple[str, ...]
    previous: bool = False
    exact: bool = False

    def racks(self, addresses: Iterable[str]) -> dict[str, str | None]:
        """Return the rack of each address; None for what is not in the table."""
        names = list(addresses)
        if self.exact:
            return {name: self.rows.get(name) for name in names}
        found = answers(names, list(self.texts), self.depth, False) or []
        unknown = fallback(self.depth)
        return {name: None if path == unknown else path for name, path in zip(names, found, strict=True)}


@dataclass(frozen=True, kw_only=True)
class Hadoop:
    """All that was looked at.

    Attributes:
        script, table, before, hosts: None where the configuration names none.
        interpreter: what the script begins with.
        now: milliseconds since 1970, as `dfs.hosts` counts.
    """

    sites: tuple[Site, ...]
    script: SeenFile | None = None
    interpreter: SeenFile | None = None
    table: SeenFile | None = None
    before: SeenFile | None = None
    hosts: SeenFile | None = None
    namenodes: tuple[Asked, ...] = ()
    now: int = 0

    @cached_property
    def conf(self) -> HadoopConf:
        """What the files say together."""
        return merged(each.conf for each in self.sites)

    @cached_property
    def installed(self) -> Installed | None:
        """Our script's settings; None where the script is not ours, or not asked."""
        return read_script(self.script.text) if self.script and not self.by_table else None

    @property
    def by_table(self) -> bool:
        """Whether Hadoop reads the table itself."""
        return self.conf.text(MAPPING, BY_SCRIPT) == BY_TABLE

    @cached_property
    def truth(self) -> Truth | None:
        """The racks as the table has them; None where there is no whole table that we can read."""
        seen = [each for each in (self.table, self.before) if each is not None]
        texts = tuple(each.text for each in seen)
        for number, text in enumerate(texts):
            depth = self.installed.depth if self.installed else depth_of(text)
            read = read_table(text, depth)
            if read is not None:
                rows, own = read
                kept = {"previous": number > 0, "exact": self.by_table}
                return Truth(rows=rows, own=tuple(own), depth=depth, texts=texts, **kept)
        return None


def depth_of(text: str) -> int:
    """Return the depth that a table's header says; 0 where it says none."""
    _, _, said = text.partition("\n")[0].partition(" depth=")
    word = said.split(" ")[0]
    return int(word) if word.isascii() and word.isdigit() else 0


def look(folder: Path, namenodes: Iterable[str]) -> Hadoop:
    """Look at everything once."""
    sites = tuple(_site(folder / name) for name in SITES)
    first = Hadoop(sites=sites)
    script = _named(first.conf.raw(SCRIPT))
    by_script = Hadoop(sites=sites, script=script)
    table = by_script.installed.table if by_script.installed else (first.conf.raw(TABLE) if first.by_table else None)
    shebang = script.text.partition("\n")[0][2:].split() if script and script.text.startswith("#!") else []
    return Hadoop(
        sites=sites,
        script=script,
        interpreter=_named(shebang[0]) if shebang else None,
        table=_named(table),
        before=_named(f"{table}.prev") if table and by_script.installed else None,
        hosts=_named(first.conf.raw(HOSTS)),
        namenodes=tuple(_asked(url) for url in namenodes),
        now=time.time_ns() // 1_000_000,
    )


def _named(path: str | None) -> SeenFile | None:
    return seen(Path(path)) if path else None


def seen(path: Path) -> SeenFile:
    """Look at a file; a device or a pipe, which might never end, is not read."""
    runs = False
    try:
        about = path.stat()
        runs = stat.S_ISREG(about.st_mode) and bool(about.st_mode & 0o111)
        if not stat.S_ISREG(about.st_mode):
            return SeenFile(path=str(path), problem="is no file")
        with path.open("rb") as file:
            body = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in a path
        return SeenFile(path=str(path), problem=getattr(error, "strerror", None) or str(error), runs=runs)
    if len(body) > LARGEST:
        return SeenFile(path=str(path), problem=f"is larger than {LARGEST} bytes", runs=runs)
    return SeenFile(path=str(path), body=body, runs=runs, age=max(0.0, time.time() - about.st_mtime))


def _site(path: Path) -> Site:
    found = seen(path)
    if found.body is None:
        return Site(path=str(path), problem=found.problem)
    try:
        return Site(path=str(path), conf=read_conf(found.body))
    except DocumentError as error:
        return Site(path=str(path), problem=str(error))


def _asked(url: str) -> Asked:
    try:
        return Asked(url=url, view=NameNode(url, timeout=PATIENCE).view())
    except NameNodeError as error:
        return Asked(url=url, problem=str(error))
