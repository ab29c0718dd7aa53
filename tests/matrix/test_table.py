"""The document has a cell for each fault in each phase, and its words stand for log events that the README knows."""

from tests.matrix.phases import PHASES
from tests.matrix.table import DOCS, END_TO_END, ROOT, ROWS, UNSAID, WORDS, tables

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_each_fault_has_a_row_and_each_phase_a_cell():
    found = tables(DOCS.read_text(encoding="utf-8"))
    assert {partner: set(rows) for partner, rows in found.items()} == {
        partner: {"*always*", *faults} for partner, faults in ROWS.items()
    }
    for rows in found.values():
        for row in rows.values():
            assert list(row) == [*PHASES, END_TO_END]
            assert all(row.values())


def test_what_the_words_stand_for_is_said_by_the_agent():
    names = {name.removesuffix(" as an error") for name in (*WORDS, *UNSAID)}
    assert {name for name in names if f"`{name}`" not in README} == set()
