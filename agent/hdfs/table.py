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

    def write(self, hosts: Iterable[RackedHost]) -> bool:
        """Write what is known now; returns whether anything changed.

        A table never becomes empty by itself: that no node is known is a fault somewhere else.

        Raises:
            Told: it cannot be written.
        """
        rows, wrong = self._own_rows()
        table = table_of(hosts, self._form, rows)
        self._say((*wrong, *table.warnings))
        before = self._text()
        text = table_text(table.rows, self._form, self._own)
        self.rows = len(table.rows) or self.rows
        if text == before or not table.rows:
            return False
        if read_table(before, self._form.depth) is not None:
            write_whole(self._previous, before.encode(), 0o644)
        write_whole(self._path, text.encode(), 0o644)
        self._log.info("hdfs.table_written", rows=len(table.rows), depth=self._form.depth)
        return True

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
