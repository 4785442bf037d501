"""Owns the frame of pictures by layer: strips with one value axis, the names below, legend, title and caption."""

from collections.abc import Callable, Iterable, Sequence
from textwrap import fill
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from repsim.report import style, valueaxis
from repsim.report.strips import Page, Strip
from repsim.report.style import Look
from repsim.report.wording import Marks, caption, title

if TYPE_CHECKING:
    from repsim.table import Cell, Key, Table

Whisker = list[list[float]] | None
Drawn = tuple["Cell", Whisker] | None
Series = Callable[[Axes, Sequence[Drawn], tuple[float, float], Look, str], None]
"""Draws the cells of one column at `place` (shift, room) of each layer, 0, 1, …, and one entry of the legend."""
ENTRY, LETTER = 0.19, 0.075  # inches: height of an entry of a legend, width of a letter in it
SLANT, TURN = 0.11, 0.22  # inches per letter that a name needs lying; per layer that slanted names need


def picture(table: "Table", page: Page, series: Series, marks: Marks, point: str = "point") -> Figure:
    """A strip of layers per row of panels; the same range of values in all, on every page."""
    across = page.across
    down = -(-len(page.strips) // across)
    columns, beside = legend(page.cols, 2.4 * down if down > 1 else 3.6)
    width = max(4.8, across * (1.0 + max(strip.inches for strip in page.strips))) + beside
    high = 2.9 if down == 1 else 2.1
    figure = Figure(figsize=(width, high * down + 1.5), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(down, across, sharey=True, squeeze=False)
    for axes, strip in zip(grid.flat, page.strips, strict=False):
        _strip(axes, table, page, strip, series)
    for axes in grid.flat[len(page.strips) :]:
        axes.remove()
    scale = valueaxis.scale(grid[0, 0], table)
    for axes in grid[:, 0]:
        axes.set_ylabel(valueaxis.label(table, scale if down == 1 else ""), fontsize=None if down == 1 else "small")
    said = " ".join(filter(None, [page.left_out, f"Values {scale}." if scale and down > 1 else ""]))
    for axes in grid.flat[max(0, len(page.strips) - across) : len(page.strips)]:
        axes.set_xlabel(table.row_names[-1].replace("_", " "))
    _caption(figure, table, marks, said, width)
    _head(figure, table, page, (width, columns), point)
    return figure


def legend(cols: Sequence["Key"], inches: float) -> tuple[int, float]:
    """Columns of the legend beside panels of that height, and its width."""
    columns = max(1, -(-len(cols) // max(1, int(inches / ENTRY))))
    letters = max(len(" / ".join(col)) for col in cols)
    return columns, columns * (0.65 + LETTER * letters)


def _strip(axes: Axes, table: "Table", page: Page, strip: Strip, series: Series) -> None:
    step = 0.84 / len(page.cols)
    for i, col in enumerate(page.cols):
        shift = step * (i + 0.5) - 0.42
        look = style.look(list(table.col_keys).index(col))
        cells = [(cell, valueaxis.whisker(table, cell)) if (cell := table.cell(row, col)) else None for row in strip.rows]
        series(axes, cells, (shift, step), look, " / ".join(col))
    axes.axhline(0, color="0.4", linewidth=0.8, zorder=2.5)
    axes.grid(axis="y", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    for edge in range(1, len(strip.rows)):
        axes.axvline(edge - 0.5, color="0.9", linewidth=0.6, zorder=0)
    axes.set_title(" / ".join(strip.panel), fontsize="medium")
    layer_ticks(axes, [row[-1] for row in strip.rows], max(3.8, strip.inches))


def layer_ticks(axes: Axes, labels: Sequence[str], inches: float) -> None:
    """Names below their layer; slanted where they would run into each other, upright where even that is too little room."""
    axes.set_xticks(range(len(labels)), labels)
    axes.set_xlim(-0.5, len(labels) - 0.5)
    if max(map(len, labels)) * SLANT <= inches / len(labels):
        return
    upright = inches / len(labels) < TURN
    axes.tick_params(axis="x", rotation=90 if upright else 40, labelsize="x-small" if upright else "small")
    for label in axes.get_xticklabels():
        label.set(ha="center" if upright else "right", rotation_mode="default" if upright else "anchor")


def _head(figure: Figure, table: "Table", page: Page, sizes: tuple[float, int], point: str) -> None:
    """Title and legend."""
    width, columns = sizes
    shown = {row for strip in page.strips for row in strip.rows}
    cells = [cell for (row, col), cell in table.cells.items() if row in shown and col in page.cols]
    said = f"{short_title(table)} by {table.row_names[-1].replace('_', ' ')}, {runs_text(cells, point)}"
    figure.suptitle(fill(said, int(width * 9)), fontsize="large")
    entries = figure.axes[0].get_legend_handles_labels()
    figure.legend(*entries, loc="outside right center", fontsize="small", frameon=False, handlelength=3, ncols=columns)


def _caption(figure: Figure, table: "Table", marks: Marks, said: str, width: float) -> None:
    figure.supxlabel(fill(f"{caption(table, marks)} {said}".strip(), int(width * 15)), fontsize="x-small", x=0.02, ha="left")


def short_title(table: "Table") -> str:
    """What the numbers are, without formula and unit, which stand in the caption; of a page, of which."""
    of = f" ({' / '.join(table.page)})" if table.page else ""
    return title(table).split(":")[0].split(", in ")[0] + of


def runs_text(cells: Iterable["Cell"], point: str = "point") -> str:
    """ "n = 12 of 12 runs per point", or the range of n."""
    cells = list(cells)
    n, expected = {cell.n for cell in cells}, {cell.expected for cell in cells}
    span = [str(min(values)) if len(values) == 1 else f"{min(values)}–{max(values)}" for values in (n, expected)]
    return f"n = {span[0]} of {span[1]} runs per {point}"
