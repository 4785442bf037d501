"""Owns the picture of a table against a number: what a rank, an epoch or a size does, one line per column of the table.

The last row key is the number; the keys before it (a layer) make one column of panels each. `plot: panels:` of a sweep puts the
lines into rows of panels, each with a y axis and a name of its own: what is counted in images beside what is a similarity.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, log2, nan
from textwrap import fill
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from repsim.errors import UserError, nearest
from repsim.report import bylayer, strips, style, valueaxis
from repsim.report.plots import FEW, in_picture
from repsim.report.wording import caption, title
from repsim.tablekeys import LAYERS

if TYPE_CHECKING:
    import numpy as np

    from repsim.table import Cell, Key, Table

NONE = "–"  # how a table shows a field that is not set
Panels = Mapping[str, Sequence[str]]
"""y axis → columns of the table that are drawn against it; none: all in one."""
PANELS = 8  # on a page
ABREAST = 5  # side by side
LINES = 12  # of a panel
SPREAD = 0.7  # of the distance between two numbers: how far the points of the lines there stand apart, at most
WIDE = 8  # times the smallest number that the largest is where an axis is logarithmic


def is_number(table: "Table") -> bool:
    """Whether the last row key counts something: each of its labels is a number, or that it is not set, and none is a layer."""
    labels = {row[-1] for row in table.row_keys}
    layer = f"front_{table.row_names[-1]}" in LAYERS or table.row_names[-1] in LAYERS
    return not layer and len(labels - {NONE}) > 1 and all(_number(label) is not None for label in labels - {NONE})


@dataclass(frozen=True)
class Page:
    """What one picture shows: panels by the keys before the number, and the lines of each y axis."""

    across: tuple["Key", ...]
    rows: Mapping[str, Sequence["Key"]]

    @property
    def lines(self) -> set["Key"]:
        """The columns of the table that are drawn."""
        return {col for cols in self.rows.values() for col in cols}


def pages(table: "Table", panels: Panels | None = None) -> dict[str, Page]:
    """At most PANELS panels and LINES lines in each; the name is empty where there is one page alone.

    Raises: UserError for a column that the table has not.
    """
    rows = _rows(table, panels or {})
    parts = max(-(-len(cols) // LINES) for cols in rows.values())
    some = [{axis: part[at] for axis, cols in rows.items() if (part := _parts(cols, parts))[at]} for at in range(parts)]
    sides = strips.split(list(dict.fromkeys(row[:-1] for row in table.row_keys)), PANELS)
    found = [Page(tuple(side), one) for one in some for side in sides]
    return {str(number) if len(found) > 1 else "": page for number, page in enumerate(found, 1)}


def _parts(items: Sequence["Key"], count: int) -> list[Sequence["Key"]]:
    """So many parts of about equal size, of which some may be empty."""
    return [items[len(items) * i // count : len(items) * (i + 1) // count] for i in range(count)]


def picture(table: "Table", panels: Panels | None = None, page: Page | None = None) -> Figure:
    """Mean and 95 % interval of each cell against the last row key, its pairs as dots where they are few.

    What is not set (a layer as it is, among ranks) stands right of the largest number. A hollow marker is short of its runs.

    Raises: UserError for a table that has no such number, or no finished run, and for a column that it has not.
    """
    if not is_number(table):
        what = f"the rows end with {table.row_names[-1]}, which is no number to draw against"
        raise UserError(what, where="plot", do="put the number last, as in table: {rows: [front_layer, rank]}")
    strips.must_hold_a_number(table)
    return _figure(table, panels or {}, page or next(iter(pages(table, panels).values())))


def _rows(table: "Table", panels: Panels) -> dict[str, list["Key"]]:
    """Name of the y axis → columns, of each row of panels."""
    known = {" / ".join(col): col for col in table.col_keys}
    for name in (name for names in panels.values() for name in names):
        if name not in known:
            raise UserError(f"the table has no column '{name}'", where="plot.panels", do=nearest(name, known))
    if panels:
        return {axis: [known[name] for name in names] for axis, names in panels.items()}
    return {valueaxis.label(table): list(table.col_keys)}


def _figure(table: "Table", panels: Panels, page: Page) -> Figure:
    """Panels side by side, and below one another where they are many; those of one y axis share it."""
    blocks = strips.split(page.across, ABREAST)
    rows, across = len(page.rows), max(map(len, blocks))
    width = max(7.0, 2.4 * across + 2.6)
    figure = Figure(figsize=(width, 2.5 * rows * len(blocks) + 1.5), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows * len(blocks), across, squeeze=False)
    for place, block in enumerate(blocks):
        _block(grid[place * rows : (place + 1) * rows], grid[:rows, 0], table, page, block)
    _words(figure, list(grid[:rows, 0]), table, (panels, page), width)
    return figure


def _block(grid: "np.ndarray", first: "np.ndarray", table: "Table", page: Page, block: Sequence["Key"]) -> None:
    """A row of panels for each y axis, all with the scale of the first panel of that axis."""
    places = _places(table)
    for across, leader, (axis, cols) in zip(grid, first, page.rows.items(), strict=True):
        for axes, column in zip(across, block, strict=False):
            if axes is not leader:
                axes.sharey(leader)
            axes.tick_params(labelleft=axes is across[0])
            _panel(axes, table, column, cols, places)
        across[0].set_ylabel(axis)
        for spare in across[len(block) :]:
            spare.remove()
    for axes, column in zip(grid[0], block, strict=False):
        axes.set_title(" / ".join(column), fontsize="medium")
    for axes in grid[-1][: len(block)]:
        axes.set_xlabel(table.row_names[-1].replace("_", " "))


def _panel(axes: Axes, table: "Table", column: "Key", cols: Sequence["Key"], places: Mapping[str, float]) -> None:
    mine = [row for row in table.row_keys if row[:-1] == column]
    step = min(0.08, SPREAD / len(cols))
    for place, col in enumerate(cols):
        shift = step * (place - (len(cols) - 1) / 2)
        cells = {places[row[-1]] + shift: table.cell(row, col) for row in mine}
        _line(axes, table, dict(sorted(cells.items())), list(table.col_keys).index(col), " / ".join(col))
    axes.set_xticks(list(places.values()), [_tick(label, table.row_names[-1]) for label in places], fontsize="small")
    axes.set_xlim(min(places.values()) - 0.6, max(places.values()) + 0.6)
    axes.grid(color="0.9", linewidth=0.6)


def _line(axes: Axes, table: "Table", cells: Mapping[float, "Cell | None"], index: int, label: str) -> None:
    """Mean and interval at each number; nan leaves a gap."""
    colour, marker, dash, *_ = style.look(index)
    means = [cell.mean if cell else nan for cell in cells.values()]
    axes.plot(list(cells), means, color=colour, linestyle=dash, linewidth=1.1, alpha=0.8)
    for x, cell in cells.items():
        if not cell or not cell.n:
            continue
        if 1 < cell.n_pairs <= FEW:
            axes.plot([x] * cell.n_pairs, cell.values, ".", color=colour, markersize=3, alpha=0.4, zorder=1)
        face = "white" if cell.short else colour
        axes.errorbar(
            x,
            cell.mean,
            valueaxis.whisker(table, cell),
            color=colour,
            marker=marker,
            markersize=4.5,
            markerfacecolor=face,
            capsize=2,
            zorder=3,
        )
    axes.plot([], [], color=colour, marker=marker, markersize=4.5, linestyle=dash, label=label)


def _places(table: "Table") -> dict[str, float]:
    """Label → where it stands on x, in order: numbers to scale, or by their logarithm where they span a wide range."""
    labels = {row[-1] for row in table.row_keys}
    numbers = {label: number for label in labels if (number := _number(label)) is not None}
    least, most = min(numbers.values()), max(numbers.values())
    if least > 0 and most >= WIDE * least:
        places = {label: log2(number) for label, number in numbers.items()}
    else:
        places = {label: 10 * (number - least) / (most - least) for label, number in numbers.items()}
    beyond = {NONE: max(places.values()) + max(1.0, 0.2 * (max(places.values()) - min(places.values())))} if NONE in labels else {}
    return dict(sorted({**places, **beyond}.items(), key=lambda one: one[1]))


def _number(label: str) -> float | None:
    try:
        number = float(label)
    except ValueError:
        return None
    return number if isfinite(number) else None


def _tick(label: str, name: str) -> str:
    return "full" if label == NONE and "rank" in name else label


def _words(figure: Figure, axes: Sequence[Axes], table: "Table", drawn: tuple[Panels, Page], width: float) -> None:
    """Title, legends beside their rows, and the caption with n, what the bars are, and what stands on other pages."""
    panels, page = drawn
    rows = page.rows
    cells = [cell for (row, col), cell in table.cells.items() if col in page.lines and row[:-1] in page.across]
    sides = len({row[:-1] for row in table.row_keys}) - len(page.across)
    lines = len({col for cols in _rows(table, panels).values() for col in cols}) - len(page.lines)
    further = [f"{left} further {name}" for left, name in ((lines, "lines"), (sides, "panels side by side")) if left]
    said = f" {' and '.join(further)} stand on the other pages." if further else ""
    what = " and ".join(rows) if len(rows) > 1 else title(table).split(":")[0].split(", in ")[0]
    headline = f"{what[:1].upper()}{what[1:]} against {table.row_names[-1].replace('_', ' ')}, {bylayer.runs_text(cells)}"
    figure.suptitle(fill(headline, int(width * 9)), fontsize="large")
    entries = [one for row in axes for one in zip(*row.get_legend_handles_labels(), strict=True)]
    figure.legend(*zip(*entries, strict=True), loc="outside right center", fontsize="small", frameon=False, handlelength=3)
    figure.supxlabel(fill(caption(table, in_picture(table, cells)) + said, int(width * 15)), fontsize="x-small", x=0.02, ha="left")
