"""Owns a table as a sheet of texts: heading, header, lines, which of them are marked, and the caption; every format draws that."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from repsim.report.versus import comparison_caption, header, line_texts
from repsim.report.wording import Marks, caption, cell_text, heading

if TYPE_CHECKING:
    from repsim.table import Table


@dataclass(frozen=True)
class Sheet:
    """Texts that are not escaped yet.

    Attributes:
        heading: which page it is; nothing where there is one.
        head: names of the columns, the first `keys` of them of row keys.
        lines: cells by row.
        strong: (line, column) of cells that are marked as best of their row.
        caption: what is shown.
    """

    heading: str
    head: Sequence[str]
    keys: int
    lines: Sequence[Sequence[str]]
    strong: frozenset[tuple[int, int]]
    caption: str


def sheets(table: "Table", marks: Marks) -> list[Sheet]:
    """The table itself, and the comparison of two of its columns where it has one."""
    keys = len(table.row_names)
    head = [*table.row_names, *(" / ".join(col) for col in table.col_keys)]
    lines = [[*row, *(cell_text(table.cell(row, col), table) for col in table.col_keys)] for row in table.row_keys]
    places = [(i, keys + j, (row, col)) for i, row in enumerate(table.row_keys) for j, col in enumerate(table.col_keys)]
    strong = frozenset((i, j) for i, j, place in places if place in table.best)
    return [Sheet(heading(table), head, keys, lines, strong, caption(table, marks)), *_comparison(table)]


def _comparison(table: "Table") -> list[Sheet]:
    found = table.comparison
    if found is None:
        return []
    above = " · ".join(filter(None, [heading(table), f"{found.a} against {found.b}"]))
    lines = [line_texts(line, table) for line in found.lines]
    return [Sheet(above, header(table), len(table.row_names), lines, frozenset(), comparison_caption(table))]
