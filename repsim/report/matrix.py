"""Owns the picture of a table as heat maps: the last row key down, the last column key across, a panel for all keys before them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from repsim.report import bylayer, heatmaps, strips, valueaxis
from repsim.report.wording import Marks, caption

if TYPE_CHECKING:
    from repsim.table import Cell, Key, Table

SIGNED = "RdBu_r"
CENTRED = ("penalty", "rounding_loss")  # 0 is neither gain nor loss
BELOW = 0.05  # share of the largest value that lies below 0 where the colours diverge
FEW = 13  # up to so many on both sides, the numbers are written into the cells
LARGE, SMALL, SIDE = 0.42, 0.24, 9.0  # inches: a cell with a number, one without, a panel at most
NAME = 0.12  # inches that a name on an axis needs
WIDE, HIGH, PANELS = 14.0, 24.0, 12  # inches of a picture, panels of a page
LETTER = 0.08  # inches of one in the name of a panel
MARKS = Marks(" as colour", bare="No interval", short="*", doubtful="Hatched with a number", spread=False)


@dataclass(frozen=True)
class Panel:
    """One heat map: the table's rows and columns that agree in all keys but the last."""

    name: str
    rows: tuple["Key", ...]
    cols: tuple["Key", ...]


def pages(table: "Table") -> dict[str, list[Panel]]:
    """Panels by page; the name is empty where there is one page alone. Raises UserError where no run has finished."""
    strips.must_hold_a_number(table)
    parts = strips.split(found := _panels(table), _most(found))
    return {str(number) if len(parts) > 1 else "": part for number, part in enumerate(parts, 1)}


def picture(table: "Table", page: Sequence[Panel] | None = None) -> Figure:
    """Cell means as colours, as numbers too where they are few; panels of all pages have one range of colours.

    A hatched cell is expected and has no number, or one that may mean nothing; a blank one is not asked for.

    Raises: UserError where no run has finished.
    """
    page = page or pages(table)[""]
    size = _cell(page)
    wide, high = _panel_size(page, size)
    across = max(1, min(len(page), int(WIDE / wide)))
    down = -(-len(page) // across)
    figure = Figure(figsize=(max(5.0, across * wide + 1.0), down * high + 1.5), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(down, across, squeeze=False)
    colours = colours_of(table)
    for axes, panel in zip(grid.flat, page, strict=False):
        _panel(axes, table, panel, colours, size)
    for axes in grid.flat[len(page) :]:
        axes.remove()
    used = list(grid.flat[: len(page)])
    figure.colorbar(colours, ax=used, fraction=0.04, pad=0.02, aspect=30).set_label(valueaxis.label(table), fontsize="small")
    _words(figure, table, page, max(5.0, across * wide + 1.0))
    return figure


def colours_of(table: "Table") -> ScalarMappable:
    """Dark to bright; blue, white, red about 0 where 0 is neither gain nor loss, and there is some of both."""
    means = [cell.mean for cell in table.cells.values() if cell.n]
    low, high = min(means), max(means)
    if any(name in table.definition.value for name in CENTRED) and low < -BELOW * max(map(abs, means)):
        most = max(map(abs, means))
        return ScalarMappable(Normalize(-most, most), colormaps[SIGNED])
    return ScalarMappable(Normalize(*heatmaps.apart(low, high)), heatmaps.palette(True))


def _panels(table: "Table") -> list[Panel]:
    found = []
    for down in dict.fromkeys(row[:-1] for row in table.row_keys):
        for across in dict.fromkeys(col[:-1] for col in table.col_keys):
            rows = tuple(row for row in table.row_keys if row[:-1] == down)
            cols = tuple(col for col in table.col_keys if col[:-1] == across)
            if any(table.cell(row, col) for row in rows for col in cols):
                found.append(Panel(" / ".join(down + across), rows, cols))
    return found


def _cell(page: Sequence[Panel]) -> float:
    """Inches of a cell's side."""
    longest = max(max(len(panel.rows), len(panel.cols)) for panel in page)
    return LARGE if longest <= FEW else max(SIDE / longest, 0.03) if longest * SMALL > SIDE else SMALL


def _most(panels: Sequence[Panel]) -> int:
    """Panels of a page: of large ones only as many as make no picture that is much higher than a screen."""
    wide, high = _panel_size(panels, _cell(panels))
    return min(PANELS, max(1, int(WIDE / wide)) * max(1, int(HIGH / high)))


def _panel_size(page: Sequence[Panel], size: float) -> tuple[float, float]:
    """Inches: room for the cells and for their names."""
    down = 0.08 * max(len(row[-1]) for panel in page for row in panel.rows)
    below = 0.08 * max(len(col[-1]) for panel in page for col in panel.cols)
    wide, high = max(len(panel.cols) for panel in page), max(len(panel.rows) for panel in page)
    return max(2.6, size * wide + down + 0.6), max(2.0, size * high + below + 0.8)


def _panel(axes: Axes, table: "Table", panel: Panel, colours: ScalarMappable, size: float) -> None:
    cells = {(i, j): table.cell(row, col) for i, row in enumerate(panel.rows) for j, col in enumerate(panel.cols)}
    means = np.full((len(panel.rows), len(panel.cols)), nan)
    for place, cell in cells.items():
        means[place] = cell.mean if cell else nan
    edges = [[i - 0.5 for i in range(count + 1)] for count in means.shape]
    assert isinstance(colours.norm, Normalize)
    axes.pcolormesh(edges[1], edges[0], np.ma.masked_invalid(means), cmap=colours.cmap, norm=colours.norm)
    for place, cell in cells.items():
        if cell:
            _mark(axes, place, cell, table, colours, max(means.shape) <= FEW)
    _frame(axes, table, panel, size)


def _mark(axes: Axes, place: tuple[int, int], cell: "Cell", table: "Table", colours: ScalarMappable, written: bool) -> None:
    """What a cell shows beside its colour: the number or a negative one's sign, a star where it is short, hatches."""
    face = tuple(colours.to_rgba(np.asarray(cell.mean))) if isfinite(cell.mean) else heatmaps.WHITE
    signed = colours.get_cmap().name == SIGNED and cell.mean < 0
    text = _number(cell.mean, table) if written else "−" if signed else ""
    star = "*" if cell.short else ""
    heatmaps.mark(axes, place, text + star if cell.n else "", not cell.n or cell.doubtful > 0, face)


def _number(value: float, table: "Table") -> str:
    text = f"{value:.1f}" if table.definition.in_points else f"{value:.2g}"
    return (text.removeprefix("-") if float(text) == 0 else text).replace("-", "−")


def _frame(axes: Axes, table: "Table", panel: Panel, size: float) -> None:
    """First names at the top and on the left; of many, as many as there is room for."""
    every = max(1, int(-(-NAME // size)))
    axes.set_xlim(-0.5, len(panel.cols) - 0.5)
    axes.set_ylim(len(panel.rows) - 0.5, -0.5)
    axes.set_aspect("equal")
    axes.set_xticks(range(0, len(panel.cols), every), [col[-1] for col in panel.cols[::every]], rotation=90, fontsize="x-small")
    axes.set_yticks(range(0, len(panel.rows), every), [row[-1] for row in panel.rows[::every]], fontsize="x-small")
    axes.tick_params(length=2)
    axes.set_xlabel(table.col_names[-1].replace("_", " "), fontsize="small")
    axes.set_ylabel(table.row_names[-1].replace("_", " "), fontsize="small")
    axes.set_title(fill(panel.name, int(max(2.0, size * len(panel.cols)) / LETTER)), fontsize="small")


def _words(figure: Figure, table: "Table", page: Sequence[Panel], width: float) -> None:
    cells = [cell for panel in page for row in panel.rows for col in panel.cols if (cell := table.cell(row, col))]
    names = f"{table.row_names[-1]} and {table.col_names[-1]}".replace("_", " ")
    figure.suptitle(
        fill(f"{bylayer.short_title(table)} by {names}, {bylayer.runs_text(cells, 'cell')}", int(width * 9)), fontsize="large"
    )
    said = [caption(table, MARKS)]
    said += ["Hatched: expected, and without a number."] if any(not cell.n for cell in cells) else []
    said += ["Blank: not asked for."] if len(cells) < sum(len(panel.rows) * len(panel.cols) for panel in page) else []
    left = len(_panels(table)) - len(page)
    said += [f"{left} further panels stand on the other pages."] if left else []
    figure.supxlabel(fill(" ".join(said), int(width * 15)), fontsize="x-small", x=0.02, ha="left")
