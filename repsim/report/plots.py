"""Owns the picture of a table as points by layer: one line per column, the interval of each cell, its pairs where they are few."""

from collections.abc import Iterable, Sequence
from math import nan
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from repsim.report import bylayer, strips
from repsim.report.bylayer import Drawn
from repsim.report.strips import Page
from repsim.report.style import Look
from repsim.report.wording import Marks

if TYPE_CHECKING:
    from repsim.table import Cell, Table

FEW = 12  # up to so many pairs, each pair is drawn
ROOM, GAP = 0.085, 0.05  # inches: for a point, and between layers


def pages(table: "Table") -> list[Page]:
    """The pages of `table` as points."""
    return strips.pages(table, ROOM, GAP)


def picture(table: "Table", page: Page | None = None) -> Figure:
    """Layers along x, one line per column of the table, 95 % intervals, pairs where few; `page`: the first where none is named.

    The last row key is x; the keys before it (an architecture) make panels of their own. A hollow marker is short of its
    expected runs; a cell without a value is a gap.

    Raises: UserError for a table of which no run has finished.
    """
    page = page or pages(table)[0]
    return bylayer.picture(table, page, _series, in_picture(table, table.cells.values()))


def _series(axes: Axes, cells: Sequence[Drawn], place: tuple[float, float], look: Look, label: str) -> None:
    """One line: mean and interval at `place` (shift, room) of each layer, its pairs faint beside; nan leaves a gap."""
    shift, room = place
    mark = {"color": look.colour, "marker": look.marker, "markersize": 5}
    means = [drawn[0].mean if drawn else nan for drawn in cells]
    axes.plot([i + shift for i in range(len(cells))], means, color=look.colour, linestyle=look.dash, linewidth=0.9, alpha=0.6)
    for i, drawn in enumerate(cells):
        if not drawn or not drawn[0].n:
            continue
        cell, whisker = drawn
        if 1 < cell.n_pairs <= FEW:
            beside = [i + shift + 0.3 * room] * cell.n_pairs
            axes.plot(beside, cell.values, ".", color=look.colour, markersize=3, alpha=0.4, zorder=1)
        face = "white" if cell.short else look.colour
        axes.errorbar(i + shift, cell.mean, yerr=whisker, **mark, markerfacecolor=face, elinewidth=1.2, capsize=2.5, zorder=3)
        if cell.doubtful:
            axes.annotate("†", (i + shift, cell.mean), (3, 3), textcoords="offset points", fontsize="x-small")
    axes.plot([], [], **mark, linestyle=look.dash, label=label)


def in_picture(table: "Table", cells: Iterable["Cell"]) -> Marks:
    """How a picture of `cells` shows n: what is averaged, pairs of networks or networks, is drawn as dots where it is few."""
    dotted = any(1 < cell.n_pairs <= FEW for cell in cells)
    count = f"; dots: {table.unit_of_mean}s, where at most {FEW}" if dotted else ""
    return Marks(count, bare="No bar", short="Hollow")
