"""Owns the pictures of a table: one file, made without touching matplotlib's global state."""

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from math import isfinite, log10, nan
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from repsim.errors import UserError
from repsim.report.wording import Marks, caption, title

if TYPE_CHECKING:
    from repsim.table import Cell, Key, Table

# Okabe & Ito 2008, without their yellow, which is lost on white; told apart by marker and dash where printed in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX*<>h"
DASHES = ("-", "--", "-.", ":")
FEW = 12  # up to so many pairs, each pair is drawn
SUFFIXES = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
COLUMNS = 2  # panels side by side


def penalty_by_layer(table: "Table", path: Path) -> None:
    """Draw `table` to `path`: layers along x, one line per column of the table, 95 % intervals, pairs where few.

    The last row key is x; the keys before it (an architecture) make one panel each. A hollow marker is short of its
    expected runs; a cell without a value is a gap.

    Raises: UserError for a suffix other than .png, .svg, .pdf, for an empty table, and for a folder that cannot be written.
    """
    check_suffix(path)
    if not any(cell.n for cell in table.cells.values()):
        raise UserError("there is nothing to draw: no run has finished", where=str(path), do="see: repsim sweep status")
    save(_figure(table), path)


def check_suffix(path: Path) -> None:
    """Raise UserError for a file that cannot be drawn."""
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"cannot draw a '{path.suffix}' file", where=str(path), do=f"use one of {', '.join(SUFFIXES)}")


def _figure(table: "Table") -> Figure:
    panels = list(dict.fromkeys(row[:-1] for row in table.row_keys))
    across = min(len(panels), COLUMNS)
    down = -(-len(panels) // across)
    width = across * _panel_width(table, panels) + 1.8
    figure = Figure(figsize=(width, 3.6 * down + 1.2), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(down, across, sharey=True, squeeze=False)
    for axes, panel in zip(grid.flat, panels, strict=False):
        _panel(axes, table, panel)
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    scale = _scale(grid[0, 0], table)
    for axes in grid[:, 0]:
        axes.set_ylabel(_value_label(table, scale))
    _words(figure, grid[0, 0], table, width)
    return figure


def _panel_width(table: "Table", panels: Sequence["Key"]) -> float:
    """Inches: room for each point of the longest panel, within reason."""
    layers = max(sum(row[:-1] == panel for row in table.row_keys) for panel in panels)
    return min(max(4.8, 1.2 + 0.16 * layers * len(table.col_keys)), 10 if len(panels) == 1 else 6.5)


def _panel(axes: Axes, table: "Table", panel: "Key") -> None:
    rows = [row for row in table.row_keys if row[:-1] == panel]
    step = 0.75 / len(table.col_keys)
    for i, col in enumerate(table.col_keys):
        shift = step * (i + 0.5) - 0.375
        _series(axes, [table.cell(row, col) for row in rows], (shift, step), i, " / ".join(col))
    axes.axhline(0, color="0.4", linewidth=0.8, zorder=0)
    axes.grid(axis="y", color="0.9", linewidth=0.6)
    for edge in range(1, len(rows)):
        axes.axvline(edge - 0.5, color="0.9", linewidth=0.6, zorder=0)
    axes.set_title(" / ".join(panel), fontsize="medium")
    _layer_ticks(axes, [row[-1] for row in rows])
    axes.set_xlabel(table.row_names[-1].replace("_", " "))


def _layer_ticks(axes: Axes, labels: Sequence[str]) -> None:
    """Names below their layer; slanted where they would run into each other."""
    slanted = sum(map(len, labels)) > 45
    axes.set_xticks(range(len(labels)), labels)
    if slanted:
        axes.tick_params(axis="x", rotation=40)
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.set_xlim(-0.5, len(labels) - 0.5)


def _series(axes: Axes, cells: Sequence["Cell | None"], place: tuple[float, float], index: int, label: str) -> None:
    """One line: mean and interval at `place` (shift, room) of each layer, its pairs faint beside; nan leaves a gap."""
    shift, room = place
    look = {"color": COLOURS[index % len(COLOURS)], "marker": MARKERS[index % len(MARKERS)], "markersize": 5}
    dash = DASHES[index % len(DASHES)]
    means = [cell.mean if cell else nan for cell in cells]
    axes.plot([i + shift for i in range(len(cells))], means, color=look["color"], linestyle=dash, linewidth=0.9, alpha=0.6)
    for i, cell in enumerate(cells):
        if not cell or not cell.n:
            continue
        if 1 < cell.n_pairs <= FEW:
            beside = [i + shift + 0.3 * room] * cell.n_pairs
            axes.plot(beside, cell.values, ".", color=look["color"], markersize=3, alpha=0.4, zorder=1)
        half = cell.half if isfinite(cell.half) else None
        face = "white" if cell.short else look["color"]
        axes.errorbar(i + shift, cell.mean, yerr=half, **look, markerfacecolor=face, elinewidth=1.2, capsize=2.5, zorder=3)
        if cell.doubtful:
            axes.annotate("†", (i + shift, cell.mean), (3, 3), textcoords="offset points", fontsize="x-small")
    axes.plot([], [], **look, linestyle=dash, label=label)


def _scale(axes: Axes, table: "Table") -> str:
    """A logarithm beyond ±linear where one case dwarfs the others; in words, or nothing for a linear axis.

    A random stitcher may lose 70 points where the others lose 1: on a linear axis two fifths or more of the cells would lie
    within a twentieth of the height. A symmetric logarithm keeps every value, zero and negative ones included, on one axis
    that can be read off; a broken axis hides the distance, and an inset has no place of its own.
    """
    cells = [cell for cell in table.cells.values() if cell.n]
    sizes = sorted(abs(cell.mean) for cell in cells)
    drawn = [value for cell in cells for value in (cell.low, cell.high, *cell.values) if isfinite(value)]
    largest = max(map(abs, drawn))
    linear = _round_up(max(2 * sizes[int(0.4 * (len(sizes) - 1))], 1.0 if table.definition.in_points else largest / 1000))
    if largest <= 10 * linear:
        return ""
    axes.set_yscale("symlog", linthresh=linear, linscale=2)
    axes.yaxis.set_major_locator(FixedLocator(_ticks(linear, largest)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
    low, high = min(0.0, *drawn), max(0.0, *drawn)
    axes.set_ylim(low * 1.3 - 0.2 * linear, high * 1.3 + 0.2 * linear)
    return f"logarithmic beyond ±{linear:g}"


def _round_up(value: float) -> float:
    """The next of …, 0.5, 1, 2, 5, 10, …"""
    if value <= 0:
        return 1.0
    power = 10.0 ** int(log10(value) // 1)
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-12))


def _ticks(linear: float, largest: float) -> list[float]:
    """Both signs: fourths (fifths of 5) of the linear part, then 1, 2, 5 of every power of ten."""
    parts = 5 if f"{linear:e}".startswith("5") else 4
    above = [linear * i / parts for i in range(1, parts + 1)]
    while above[-1] < largest:
        above.append(_round_up(above[-1] * 1.5))
    return [-value for value in reversed(above)] + [0.0] + above


def _value_label(table: "Table", scale: str) -> str:
    name = table.definition.value.replace("_", " ")
    notes = ", ".join(filter(None, [table.unit, scale]))
    return f"{name} ({notes})" if notes else name


def _words(figure: Figure, axes: Axes, table: "Table", width: float) -> None:
    """Title, legend and caption; the caption holds n and what the bars are."""
    headline = f"{title(table).split(':')[0]} by {table.row_names[-1].replace('_', ' ')}, {runs_text(table.cells.values())}"
    figure.suptitle(fill(headline, int(width * 9)), fontsize="large")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center", fontsize="small", frameon=False, handlelength=3)
    figure.supxlabel(
        fill(caption(table, in_picture(table, table.cells.values())), int(width * 15)), fontsize="x-small", x=0.02, ha="left"
    )


def in_picture(table: "Table", cells: Iterable["Cell"]) -> Marks:
    """How a picture of `cells` shows n: what is averaged, pairs of networks or networks, is drawn as dots where it is few."""
    dotted = any(1 < cell.n_pairs <= FEW for cell in cells)
    count = f"; dots: {table.unit_of_mean}s, where at most {FEW}" if dotted else ""
    return Marks(count, bare="No bar", short="Hollow")


def runs_text(cells: Iterable["Cell"]) -> str:
    """ "n = 12 of 12 runs per point", or the range of n."""
    cells = list(cells)
    n, expected = {cell.n for cell in cells}, {cell.expected for cell in cells}
    span = [str(min(values)) if len(values) == 1 else f"{min(values)}–{max(values)}" for values in (n, expected)]
    return f"n = {span[0]} of {span[1]} runs per point"


def save(figure: Figure, path: Path) -> None:
    """Written beside under a dot-name, then renamed: a reader never sees half a picture."""
    draft = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    kind = path.suffix.lower()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(draft, format=kind[1:], dpi=150, metadata=SUFFIXES[kind], bbox_inches="tight", pad_inches=0.1)
        draft.replace(path)
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror}", where=str(path), do="choose another folder") from None
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
