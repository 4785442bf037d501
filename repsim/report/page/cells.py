"""Owns how a cell of a gathered table is read and put into words: the text in a table, and the label of a drawn point."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from repsim.report.page.numbers import FIELDS, Entry


class Cell(NamedTuple):
    """One cell by name; `index` is its place among the cells of its table."""

    index: int
    mean: float | None
    std: float | None
    low: float | None
    high: float | None
    n: int
    expected: int
    diverged: int
    undefined: int
    doubtful: int

    @property
    def half(self) -> float | None:
        """Half-width of the interval."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

    @property
    def short(self) -> bool:
        """Whether runs are missing, or diverged."""
        return self.n + self.undefined < self.expected


Cells = Mapping[tuple[int, int], Cell]


def by_place(table: Entry) -> Cells:
    """The cells of a table by row and column."""
    take = slice(2, 2 + len(Cell._fields) - 1)
    assert FIELDS[take] == Cell._fields[1:]
    return {(cell[0], cell[1]): Cell(index, *cell[take]) for index, cell in enumerate(table["cells"])}


def label(key: Sequence[str]) -> str:
    """The key of a row or a column in one line."""
    return " / ".join(key)


def number(value: float | None, points: bool) -> str:
    """Two decimals for accuracy points, else four significant digits; never "-0.00"; "–" for none."""
    if value is None:
        return "–"
    text = f"{value:.2f}" if points else f"{value:.4g}"
    return (text.removeprefix("-") if float(text) == 0 else text).replace("-", "−")


def spread(cell: Cell, table: Entry) -> str:
    """What stands behind a mean: ± half of its interval or its std, of a bootstrap both ends in brackets."""
    kind, points = table["definition"]["spread"], in_points(table)
    if kind == "bootstrap" and cell.low is not None:
        return f"[{number(cell.low, points)}, {number(cell.high, points)}]"
    return f"± {number(cell.std if kind == 'std' else cell.half, points)}"


def in_points(table: Entry) -> bool:
    """Whether values are accuracy points."""
    return bool(table["unit"])


def counts(cell: Cell) -> str:
    """9/12, 3 diverged."""
    without = "".join(f", {n} {why}" for n, why in ((cell.diverged, "diverged"), (cell.undefined, "undefined")) if n)
    return f"{cell.n}/{cell.expected}{without}{'†' if cell.doubtful else ''}{'*' if cell.short else ''}"


def said(cell: Cell, table: Entry) -> str:
    """48.23 ± 11.30 (6/6)."""
    if cell.mean is None:
        return f"– ({counts(cell)})"
    return f"{number(cell.mean, in_points(table))} {spread(cell, table)} ({counts(cell)})"


def value_name(table: Entry) -> str:
    """The number of a table with its unit, for an axis."""
    name = str(table["value"]).replace("_", " ")
    return f"{name} ({table['unit']})" if table["unit"] else name
