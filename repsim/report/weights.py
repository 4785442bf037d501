"""Owns the picture of the maps of saved stitchers: W before and after training, signed colours, and its singular values beside."""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from repsim.errors import UserError
from repsim.report import strips

SIGNED = "RdBu_r"
ITEMS = 5  # of a page
PERMUTING = ("permutation", "wreath", "birkhoff")
"""Families whose W is a permutation, or on the way to one."""
PANEL = 2.7  # inches


@dataclass(frozen=True)
class Item:
    """One saved stitcher: diag(scales) · W before training and as scored, (q, p); `facts`: what its row says of it, in words."""

    title: str
    family: str
    start: np.ndarray
    end: np.ndarray
    facts: str = ""


def pages(items: Sequence[Item]) -> dict[str, list[Item]]:
    """Stitchers by page; the name is empty where there is one page alone. Raises UserError where there is none."""
    if not items:
        raise UserError("there is nothing to draw: no stitcher is saved", where="plot", do="say save: true in the sweep")
    parts = strips.split(items, ITEMS)
    return {str(number) if len(parts) > 1 else "": part for number, part in enumerate(parts, 1)}


def picture(items: Sequence[Item]) -> Figure:
    """A row per stitcher: W before, W after, singular values of both. Zero is white, red is positive; one range in a row.

    Of families that permute, the rows of both stand in the order of the Hungarian assignment of W after training: a permutation
    is then a diagonal.
    """
    figure = Figure(figsize=(3 * PANEL + 0.9, len(items) * PANEL + 1.1), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(items), 3, squeeze=False)
    for across, item in zip(grid, items, strict=True):
        _row(across, item)
    figure.suptitle(f"Maps of saved stitchers, n = {len(items)}: diag(scales) · W before and after training", fontsize="medium")
    said = "Rows: channels of g; columns: channels of f. Red: positive, blue: negative, white: 0, one range for both maps of a row"
    sorted_too = any(item.family in PERMUTING for item in items)
    said += "; rows sorted by the Hungarian assignment of |W| after training where it says so." if sorted_too else "."
    figure.supxlabel(fill(said, 130), fontsize="x-small", x=0.01, ha="left")
    return figure


def assigned(weight: np.ndarray) -> np.ndarray:
    """The order of the rows of `weight` (q, p) in which the largest |entries|, one per row and column, run down the diagonal.

    Rows that are assigned to no column (q > p) come last. Source: Kuhn 1955, The Hungarian method for the assignment problem.
    """
    from scipy.optimize import linear_sum_assignment

    rows, cols = linear_sum_assignment(-np.abs(weight))
    order = rows[np.argsort(cols, kind="stable")]
    return np.concatenate([order, np.setdiff1d(np.arange(len(weight)), order)])


def _row(across: Sequence[Axes], item: Item) -> None:
    order = assigned(item.end) if item.family in PERMUTING else np.arange(len(item.end))
    most = float(max(np.abs(item.start).max(), np.abs(item.end).max())) or 1.0
    for axes, map, when in zip(across, (item.start, item.end), ("before", "after"), strict=False):
        image = axes.imshow(map[order], cmap=colormaps[SIGNED], norm=Normalize(-most, most), aspect="auto", interpolation="nearest")
        axes.set_title(f"{when} training" if when == "after" else "", fontsize="x-small")
        axes.tick_params(labelsize="x-small", length=2)
    across[0].set_ylabel("rows, sorted" if item.family in PERMUTING else "rows", fontsize="x-small")
    assert isinstance(across[1].figure, Figure)
    bar = across[1].figure.colorbar(image, ax=across[1], fraction=0.06, pad=0.02)
    bar.ax.tick_params(labelsize="x-small")
    _spectrum(across[2], item)
    across[0].set_title(
        f"{fill(' · '.join(filter(None, [item.title, item.facts])), 100)}\nbefore training", fontsize="x-small", loc="left"
    )


def _spectrum(axes: Axes, item: Item) -> None:
    for map, dash, mark, colour, when in ((item.start, ":", "s", "#D55E00", "before"), (item.end, "-", "o", "#0072B2", "after")):
        values = np.linalg.svd(map, compute_uv=False)
        axes.plot(range(1, len(values) + 1), values, dash, marker=mark, markersize=2, linewidth=1.0, color=colour, label=when)
    axes.set_ylim(bottom=0)
    axes.set_title("singular values", fontsize="x-small")
    axes.tick_params(labelsize="x-small", length=2)
    axes.grid(color="0.9", linewidth=0.6)
    axes.legend(fontsize="x-small", frameon=False)
