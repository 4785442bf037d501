"""Owns the picture of a table as bars by layer: a bar per column in each group, its 95 % interval as a whisker."""

from collections.abc import Sequence
from math import nan
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from repsim.report import bylayer, strips
from repsim.report.bylayer import Drawn, Whisker
from repsim.report.strips import Page
from repsim.report.style import Look
from repsim.report.wording import Marks

if TYPE_CHECKING:
    from repsim.table import Cell, Table

ROOM, GAP = 0.13, 0.2  # inches: for a bar, and between layers


def pages(table: "Table") -> list[Page]:
    """The pages of `table` as bars."""
    return strips.pages(table, ROOM, GAP)


def picture(table: "Table", page: Page | None = None) -> Figure:
    """Layers along x, one bar per column of the table with its 95 % interval; `page`: the first where none is named.

    A bar with a dashed outline is short of its expected runs; where there is no number a small × stands at 0.

    Raises: UserError for a table of which no run has finished.
    """
    lacking = "; ×: no number" if any(not cell.n for cell in table.cells.values()) else ""
    marks = Marks(lacking, bare="No whisker", short="Dashed outline")
    return bylayer.picture(table, page or pages(table)[0], _series, marks, "bar")


def _series(axes: Axes, cells: Sequence[Drawn], place: tuple[float, float], look: Look, label: str) -> None:
    shift, room = place
    for i, drawn in enumerate(cells):
        if drawn and not drawn[0].n:
            axes.plot(i + shift, 0, "x", color="0.3", markersize=4, zorder=3)
        elif drawn:
            _bar(axes, drawn, (i + shift, 0.92 * room), look)
    axes.bar(0, nan, color=look.face, edgecolor=look.ink, hatch=look.hatch, linewidth=0, label=label)  # in the legend alone


def _bar(axes: Axes, drawn: tuple["Cell", Whisker], place: tuple[float, float], look: Look) -> None:
    """The face and its hatch, then the outline: matplotlib draws both hatch and outline in one colour."""
    (cell, whisker), (x, width) = drawn, place
    axes.bar(x, cell.mean, width, color=look.face, edgecolor=look.ink, hatch=look.hatch, linewidth=0)
    outline = (
        {"edgecolor": "black", "linestyle": "--", "linewidth": 1.1} if cell.short else {"edgecolor": look.colour, "linewidth": 0.8}
    )
    axes.bar(x, cell.mean, width, fill=False, **outline)
    if whisker is not None:
        axes.errorbar(x, cell.mean, yerr=whisker, fmt="none", ecolor="black", elinewidth=0.9, capsize=1.8, capthick=0.9, zorder=3)
    if cell.doubtful:
        axes.annotate("†", (x, max(cell.mean, 0.0)), (0, 2), textcoords="offset points", fontsize="x-small", ha="center")
