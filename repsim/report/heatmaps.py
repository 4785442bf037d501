"""Owns the picture of matrices of similarity: one panel each, bright is near, and what is not defined is hatched."""

from collections.abc import Mapping, Sequence
from math import isfinite, nan
from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import ScalarFormatter

from repsim.errors import UserError
from repsim.matrix import Matrix
from repsim.report import matrixwords as words
from repsim.report.saving import check_suffix, save

COLOURS = "magma"
COLUMNS = 3  # panels side by side
FEW = 10  # up to so many layers on both sides, the numbers are written into the cells
LEAST = 1e-3  # of the range of colours, to the largest number or 1: round-off is not to be painted
INCHES = 0.24  # per layer
WHITE = (1.0, 1.0, 1.0, 1.0)
Range = tuple[float, float]
"""Values at the two ends of the colours."""


def draw(matrices: Sequence[Matrix], path: Path) -> None:
    """Draw `matrices` to `path`, a panel each: means over pairs of networks, layers of f down and layers of g across.

    Bright is near, of a distance too; panels of one measure have one range of colours. A hatched cell is not defined, or its
    status says that it means nothing; an empty one is not computed, a missing one not asked for. All are listed below.

    Raises: UserError for a suffix other than .png, .svg, .pdf, where nothing is computed, and for a folder that cannot be written.
    """
    check_suffix(path)
    if not any(matrix.means or matrix.troubles for matrix in matrices):
        raise UserError("there is nothing to draw: no comparison has finished", where=str(path), do="see: repsim sweep status")
    save(picture(matrices), path)


def picture(matrices: Sequence[Matrix], ranges: Mapping[str, Range] | None = None) -> Figure:
    """What `draw` saves. `ranges`: of colours, by measure, where they are not those of these matrices."""
    across = min(len(matrices), COLUMNS)
    down = -(-len(matrices) // across)
    wide, high = _panel_size(matrices)
    lines = fill("  ".join(words.below(matrices)), int(across * wide * 17))
    figure = Figure(figsize=(across * wide, down * high + 0.14 * (lines.count("\n") + 3)), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(down, across, squeeze=False)
    ranges = ranges or ranges_of(matrices)
    for axes, matrix in zip(grid.flat, matrices, strict=False):
        _panel(axes, matrix, ranges.get(matrix.measure))
    for axes in grid.flat[len(matrices) :]:
        axes.remove()
    figure.supxlabel(lines, fontsize="x-small", x=0.01, ha="left")
    return figure


def ranges_of(matrices: Sequence[Matrix]) -> dict[str, Range]:
    """Least and largest mean of each measure, a little apart where they are one; none where it has no value."""
    found: dict[str, list[float]] = {}
    for matrix in matrices:
        found.setdefault(matrix.measure, []).extend(matrix.means)
    return {measure: apart(min(means), max(means)) for measure, means in found.items() if means}


def apart(low: float, high: float) -> Range:
    """The two, or a little room about them where they are one: round-off is not to be painted."""
    room = LEAST * max(1.0, abs(low), abs(high))
    return (low, high) if high - low > room else (low - room, high + room)


def palette(nearer_is_more: bool) -> Colormap:
    """Dark to bright as values rise, or as they fall: near is bright."""
    return colormaps[COLOURS if nearer_is_more else f"{COLOURS}_r"]


def _panel_size(matrices: Sequence[Matrix]) -> tuple[float, float]:
    """Inches: room for the layers of the largest matrix and for their names."""
    wide = max(len(matrix.end_layers) for matrix in matrices)
    high = max(len(matrix.front_layers) for matrix in matrices)
    names = 0.075 * max(len(name) for matrix in matrices for name in (*matrix.front_layers, *matrix.end_layers))
    return max(3.6, INCHES * wide + names + 1.6), max(3.0, INCHES * high + names + 1.1)


def _panel(axes: Axes, matrix: Matrix, limits: Range | None) -> None:
    low, high = limits or (0.0, 1.0)
    norm, cmap = Normalize(low, high), palette(matrix.nearer_is_more)
    edges = [[i - 0.5 for i in range(len(layers) + 1)] for layers in (matrix.end_layers, matrix.front_layers)]
    axes.pcolormesh(*edges, _means(matrix), cmap=cmap, norm=norm)
    written = max(len(matrix.front_layers), len(matrix.end_layers)) <= FEW
    for i, front in enumerate(matrix.front_layers):
        for j, end in enumerate(matrix.end_layers):
            if cell := matrix.cells.get((front, end)):
                face = cmap(float(norm(cell.mean))) if isfinite(cell.mean) else WHITE
                text = words.short(cell.mean) if written and isfinite(cell.mean) else ""
                mark(axes, (i, j), text, bool(cell.troubles), face)
    _frame(axes, matrix)
    if limits:
        _bar(axes, matrix, ScalarMappable(norm, cmap))


def _means(matrix: Matrix) -> np.ma.MaskedArray:
    """Front × end; masked where there is no value."""
    rows = [[cell.mean if (cell := matrix.cells.get((f, e))) else nan for e in matrix.end_layers] for f in matrix.front_layers]
    return np.ma.masked_invalid(rows)


def mark(axes: Axes, place: tuple[int, int], text: str, hatched: bool, face: Sequence[float]) -> None:
    """Hatches over the cell at row and column `place` where something is wrong with it, and what is to be written there.

    `face`: what colour it has, red, green, blue first: both are to be seen on it.
    """
    row, column = place
    bright = 0.299 * face[0] + 0.587 * face[1] + 0.114 * face[2] > 0.5
    if hatched:
        edge = "0.4" if bright else "0.8"
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, linewidth=0.0, hatch="////", edgecolor=edge))
    if text:
        axes.text(column, row, text, ha="center", va="center", fontsize=6, color="black" if bright else "white")


def _bar(axes: Axes, matrix: Matrix, colours: ScalarMappable) -> None:
    said = "similarity, more is nearer" if matrix.nearer_is_more else "distance, less is nearer"
    assert isinstance(axes.figure, Figure)
    bar = axes.figure.colorbar(colours, ax=axes, fraction=0.05, pad=0.02, format=ScalarFormatter(useOffset=False))
    bar.set_label(said, fontsize="x-small")
    bar.ax.tick_params(labelsize="x-small")


def _frame(axes: Axes, matrix: Matrix) -> None:
    """First layers at the top and on the left; what is compared, and over how many pairs."""
    axes.set_xlim(-0.5, len(matrix.end_layers) - 0.5)
    axes.set_ylim(len(matrix.front_layers) - 0.5, -0.5)
    axes.set_aspect("equal")
    axes.set_xticks(range(len(matrix.end_layers)), matrix.end_layers, rotation=90, fontsize="x-small")
    axes.set_yticks(range(len(matrix.front_layers)), matrix.front_layers, fontsize="x-small")
    axes.tick_params(length=2)
    axes.set_xlabel(f"layers of {matrix.end}", fontsize="small")
    axes.set_ylabel(f"layers of {matrix.front}", fontsize="small")
    axes.set_title(f"{fill(matrix.name, 40)}\n{words.averaged(matrix)}", fontsize="small")
