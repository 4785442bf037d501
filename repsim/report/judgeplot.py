"""Owns the picture of a judgement: what was judged down, tests across, bright is good."""

from math import isfinite
from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from repsim.errors import UserError
from repsim.judging.suite import Judgement
from repsim.report.judgement import ABOUT, grid_of
from repsim.report.saving import check_suffix, save

COLOURS, DARK = "viridis", 0.55  # below, numbers are written in white
INCHES = 0.8, 0.23  # of a cell


def draw(judgement: Judgement, path: Path) -> None:
    """Draw `judgement` to `path`; the best mean place stands first. Raises UserError for a suffix or folder that will not do."""
    check_suffix(path)
    columns, names = grid_of(judgement)
    if not columns:
        raise UserError("there is nothing to draw: nothing is scored", where=str(path), do="say --run")
    values = np.array([[judgement[name, column].value for column in columns] for name in names])
    figure = Figure(figsize=(3.2 + INCHES[0] * len(columns), 2.2 + INCHES[1] * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    colours = colormaps[COLOURS].with_extremes(bad="0.92")
    axes.imshow(np.ma.masked_invalid(np.clip(values, 0, 1)), cmap=colours, vmin=0, vmax=1, aspect="auto")
    _words(axes, names, [column.head for column in columns])
    _numbers(axes, values)
    figure.supxlabel(fill(ABOUT.replace("± half-width of its 95 % interval ", ""), 130), fontsize="x-small", x=0.02, ha="left")
    save(figure, path)


def _words(axes: Axes, names: list[str], heads: list[str]) -> None:
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_xticks(range(len(heads)), heads, fontsize=7, rotation=40, ha="left", rotation_mode="anchor")
    axes.xaxis.tick_top()
    axes.tick_params(length=0)


def _numbers(axes: Axes, values: np.ndarray) -> None:
    for (row, column), value in np.ndenumerate(values):
        if isfinite(value):
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=6, color="w" if value < DARK else "k")
