"""Owns a sheet as plain text: aligned columns, wrapped headers, as many columns side by side as fit."""

from collections.abc import Sequence
from textwrap import wrap
from typing import NamedTuple

from repsim.report.sheets import Sheet

WIDTH = 100
GAP = "  "
MIN_HEADER = 14
BEST = "◂"
MARKS = f"*†{BEST}"  # behind a cell: see `wording`


class Column(NamedTuple):
    """Header lines and cell lines, all padded to one width."""

    heads: list[str]
    cells: list[str]
    width: int


def text(sheet: Sheet) -> str:
    """Aligned text of at most 100 columns (unless one column alone is wider): headers wrap, then columns go below."""
    lines = [[_marked(sheet, i, j, one) for j, one in enumerate(line)] for i, line in enumerate(sheet.lines)]
    columns = [_column(head, [line[i] for line in lines], left=i < sheet.keys) for i, head in enumerate(sheet.head)]
    blocks = ["\n".join(_side_by_side(block)) for block in _blocks(columns[: sheet.keys], columns[sheet.keys :])]
    above = [f"{sheet.heading}\n{'═' * len(sheet.heading)}"] if sheet.heading else []
    return "\n\n".join([*above, *blocks, "\n".join(wrap(sheet.caption, WIDTH))]) + "\n"


def _marked(sheet: Sheet, line: int, column: int, cell: str) -> str:
    return cell + BEST if (line, column) in sheet.strong else cell


def _column(head: str, cells: Sequence[str], left: bool) -> Column:
    """A header is wrapped to the width of its cells; marks hang out to the right of aligned numbers."""
    hanging = [len(cell) - len(cell.rstrip(MARKS)) for cell in cells]
    cells = [cell + " " * (max(hanging) - own) for cell, own in zip(cells, hanging, strict=True)]
    heads = wrap(head, max(MIN_HEADER, *map(len, cells))) or [""]
    width = max(map(len, [*heads, *cells]))
    pad = str.ljust if left else str.rjust
    return Column([pad(text, width) for text in heads], [pad(text, width) for text in cells], width)


def _blocks(keys: list[Column], columns: list[Column]) -> list[list[Column]]:
    """As many columns beside the keys as fit the width, then the next ones below, beside the keys again."""
    blocks = [list(keys)]
    for column in columns:
        width = sum(part.width + len(GAP) for part in [*blocks[-1], column]) - len(GAP)
        if width > WIDTH and len(blocks[-1]) > len(keys):
            blocks.append(list(keys))
        blocks[-1].append(column)
    return blocks


def _side_by_side(columns: list[Column]) -> list[str]:
    """Header lines (bottom-aligned), a rule, and the cells."""
    height = max(len(column.heads) for column in columns)
    heads = [[" " * column.width] * (height - len(column.heads)) + column.heads for column in columns]
    rule = GAP.join("─" * column.width for column in columns)
    return [*_joined(heads), rule, *_joined([column.cells for column in columns])]


def _joined(columns: Sequence[Sequence[str]]) -> list[str]:
    return [GAP.join(line).rstrip() for line in zip(*columns, strict=True)]
