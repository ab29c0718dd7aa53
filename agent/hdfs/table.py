"""The one writer of a table of racks. What stands there stays until something better is known; a failure changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.clients.files import clear_halves, write_whole
from agent.core.rack_table import read_table
from agent.core.racks import read_overrides, table_of, table_text
from agent.told import Told

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from agent.core.racks import RackedHost, RackForm

NOBODY = "no host with a place is known; labels, and agents, need twenty seconds after their start"


class TableWriter:
    """Writes a table when what stands in it would change, and keeps the one before."""

    def __init__(self, path: Path, form: RackForm, own: Iterable[str], overrides: Path | None, log: Any) -> None:
        """Prepare to write; what stands there already counts."""
        self._path, self._form, self._own, self._overrides, self._log = path, form, tuple(own), overrides, log
        self._said: tuple[str, ...] = ()
        self._previous = path.with_name(f"{path.name}.prev")
        for each in (path, self._previous):
            clear_halves(each)
        self.rows = 0  # of the table as it stands

    def write(self, hosts: Iterable[RackedHost], *, whole: bool = True) -> bool:
        """Write what is known now; returns whether anything changed.

        A table never becomes empty by itself: that no node is known is a fault somewhere else.

        Args:
            whole: these are all; else what stands in the table counts, too, for whoever has yet to be heard.

        Raises:
            Told: it cannot be written.
        """
        own, wrong = self._own_rows()
        table = table_of(hosts, self._form, own)
        before = self._text()
        standing = read_table(before, self._form.depth)
        rows = table.rows if whole or standing is None else {**standing[0], **table.rows}
        self._say((*wrong, *table.warnings, *(() if rows else (NOBODY,))))
        text = table_text(rows, self._form, self._own)
        self.rows = len(rows) or self.rows
        if text == before or not rows:
            return False
        if standing is not None:
            write_whole(self._previous, before.encode(), 0o644)
        write_whole(self._path, text.encode(), 0o644)
        self._log.info("hdfs.table_written", rows=len(rows), depth=self._form.depth)
        return True

    def must_stand(self) -> None:
        """Make sure that there is something in the table.

        Raises:
            Told: nobody was known.
        """
        if not self.rows:
            raise Told(f"{self._path}: not written: {NOBODY}")

    def _say(self, warnings: tuple[str, ...]) -> None:
        if warnings != self._said:
            self._said = warnings
            if warnings:
                self._log.warning("hdfs.racks_odd", warnings=list(warnings)[:20])

    def _own_rows(self) -> tuple[Mapping[str, str], tuple[str, ...]]:
        if self._overrides is None:
            return {}, ()
        try:
            text = self._overrides.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Told(f"{self._overrides}: cannot be read: {error}") from error
        found, wrong = read_overrides(text)
        return found, tuple(f"{self._overrides}: {each}" for each in wrong)

    def _text(self) -> str:
        try:
            return self._path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
