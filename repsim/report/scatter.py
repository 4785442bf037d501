"""Owns the picture of one number of the same runs against another: the task's loss against direct matching, a point per cell."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite
from textwrap import fill
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from repsim.errors import UserError
from repsim.report import bylayer, strips, style, valueaxis
from repsim.report.wording import Marks, caption, title

if TYPE_CHECKING:
    import pandas as pd

    from repsim.table import Cell, Key, Table

    Points = Mapping[tuple[Key, Key], tuple[Cell, Cell]]

INCHES = 5.6  # of the axes
FAINT = 3000  # up to so many pairs, each is drawn
BARS = 600  # up to so many points have their intervals: more would hide the points
NAMED = 6  # so many series that are left out of ρ are named
MARKS = Marks("", bare="No bar", short="Hollow")


def across_of(value: str) -> str:
    """What `value` is drawn against where nothing is said: the same number of the direct-matching optimum."""
    return f"matched_{value}"


def both(found: "pd.DataFrame", x: str, y: str) -> "pd.DataFrame":
    """The rows that have both numbers: a point is the mean of the same runs both ways."""
    there = [name for name in (x, y) if name in found.columns]
    return found.dropna(subset=there)


def pages(table: "Table") -> dict[str, list["Key"]]:
    """Columns of the table by page: no more than can be told apart."""
    parts = strips.split(table.col_keys, style.MOST)
    return {str(number) if len(parts) > 1 else "": part for number, part in enumerate(parts, 1)}


def picture(x: "Table", y: "Table", cols: Sequence["Key"] | None = None) -> Figure:
    """A point with its intervals both ways per cell that `x` and `y` both have, a look per column; their pairs faint behind.

    The diagonal is drawn where both are one number, of direct matching and of training. ρ is Spearman's, over the points and over
    the pairs; pairs share networks, so it has no p-value. Points where nothing was trained (see `untrained`) are left out of it.

    Args:
        x, y: tables of the same rows, columns and runs (see `both`) that differ in their value alone.

    Raises: UserError where no cell has both numbers.
    """
    cols = list(cols or y.col_keys)
    points = {
        key: (cell, other) for key, other in y.cells.items() if key[1] in cols and (cell := x.cells.get(key)) and _full(cell, other)
    }
    if not points:
        what = f"there is nothing to draw: no run has both {x.definition.value} and {y.definition.value}"
        raise UserError(what, where="plot", do="choose the number along x with --across")
    columns, legend = bylayer.legend(cols, INCHES - 1)
    figure = Figure(figsize=(INCHES + legend, INCHES + 1.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    how = _how(list(points.values()))
    for col in cols:
        mine = [cells for (_, other), cells in points.items() if other == col]
        _series(axes, (x, y), mine, style.look(list(y.col_keys).index(col)), " / ".join(col), how)
    _frame(axes, x, y)
    _words(figure, x, y, points, columns, how)
    return figure


def _how(cells: Sequence[tuple["Cell", "Cell"]]) -> Marks:
    """How points are drawn, as the caption says it: with the pairs behind them and with intervals where these are few."""
    few = sum(y.n_pairs for _, y in cells) <= FAINT and any(_scattered(x, y) for x, y in cells)
    barred = len(cells) <= BARS
    said = "; small: single pairs of networks" if few else ""
    return MARKS._replace(count=said, spread=barred, bare="No bar" if barred else "No interval")


def _scattered(x: "Cell", y: "Cell") -> bool:
    return len(x.values) == len(y.values) > 1


def untrained(x: "Cell", y: "Cell") -> bool:
    """Whether every run has one number both ways: what was not trained after matching stands on the diagonal by construction."""
    return x.pairs == y.pairs and x.values == y.values


def correlation(pairs: Sequence[tuple[float, float]]) -> float:
    """Spearman's ρ; nan for fewer than three points, or where one number never changes."""
    from scipy.stats import spearmanr

    first, second = ([pair[i] for pair in pairs] for i in (0, 1))
    if len(pairs) < 3 or len(set(first)) == 1 or len(set(second)) == 1:
        return float("nan")
    return float(spearmanr(first, second)[0])  # type: ignore[arg-type]


def _full(x: "Cell", y: "Cell") -> bool:
    return bool(x.n and y.n)


def _series(
    axes: Axes,
    of: tuple["Table", "Table"],
    cells: Sequence[tuple["Cell", "Cell"]],
    look: style.Look,
    label: str,
    how: Marks,
) -> None:
    for x, y in cells:
        if how.count and _scattered(x, y):
            axes.plot(x.values, y.values, look.marker, color=look.colour, markersize=2.5, alpha=0.3, markeredgewidth=0, zorder=1)
        if how.spread:
            right, up = (valueaxis.whisker(table, cell) for table, cell in zip(of, (x, y), strict=True))
            axes.errorbar(x.mean, y.mean, xerr=right, yerr=up, color=look.colour, elinewidth=0.7, alpha=0.45, zorder=2)
        face = "white" if y.short else look.colour
        (mark,) = axes.plot(x.mean, y.mean, look.marker, color=look.colour, fillstyle=look.fill, markersize=5.5, zorder=3)
        mark.set(markerfacecolor=face, markerfacecoloralt="white")
    (entry,) = axes.plot([], [], look.marker, color=look.colour, fillstyle=look.fill, markersize=5.5, label=label)
    entry.set_markerfacecoloralt("white")


def _frame(axes: Axes, x: "Table", y: "Table") -> None:
    """One range both ways and the diagonal where the two numbers are of one kind."""
    axes.set_xlabel(valueaxis.label(x))
    axes.set_ylabel(valueaxis.label(y))
    axes.grid(color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    if alike(x, y):
        ends = [*axes.get_xlim(), *axes.get_ylim()]
        axes.plot([min(ends), max(ends)], [min(ends), max(ends)], color="0.3", linestyle=(0, (6, 3)), linewidth=0.9, zorder=0)
        axes.set(xlim=(min(ends), max(ends)), ylim=(min(ends), max(ends)), aspect="equal")


def alike(x: "Table", y: "Table") -> bool:
    """Whether both numbers are one, of other stitchers: penalty and matched_penalty."""
    return x.definition.value in (across_of(y.definition.value), f"null_{y.definition.value}")


def _words(figure: Figure, x: "Table", y: "Table", points: "Points", columns: int, how: Marks) -> None:
    width = figure.get_size_inches()[0]
    keys = " and ".join(filter(None, [" / ".join(y.row_names), " / ".join(y.col_names)])).replace("_", " ")
    head = f"{bylayer.short_title(y)} against {x.definition.value.replace('_', ' ')}: {len(points)} points by {keys}"
    figure.suptitle(fill(f"{head}, {bylayer.runs_text([cell for _, cell in points.values()])}", int(width * 9)), fontsize="large")
    handles = figure.axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside right center", fontsize="small", frameon=False, ncols=columns)
    line = " Dashed: equal." if alike(x, y) else ""
    shown = replace(y, cells={key: cell for key, (_, cell) in points.items()})
    left = len({col for _, col in y.cells}) - len(handles[0])
    others = f" {left} further series stand on the other pages; ρ is of this one." if left else ""
    text = f"{_correlations(x, y, points)}{line} Along x: {title(x)}, of the same runs. Along y: {caption(shown, how)}{others}"
    figure.supxlabel(fill(text, int(width * 15)), fontsize="x-small", x=0.02, ha="left")


def _correlations(x: "Table", y: "Table", points: "Points") -> str:
    """ρ over how many points and over how many single numbers behind them, and which points are left out of it."""
    out = {key for key, cells in points.items() if x.definition.value == across_of(y.definition.value) and untrained(*cells)}
    kept = [cells for key, cells in points.items() if key not in out]
    behind = [two for one, other in kept if one.pairs == other.pairs for two in zip(one.values, other.values, strict=True)]
    means = [(one.mean, other.mean) for one, other in kept]
    each = f"one per {'pair of networks' if y.unit_of_mean == 'pair' else 'network'} and point"
    over = f"{_rho(means)} over {len(means)} points, {_rho(behind)} over the {len(behind):,} numbers behind them"
    said = f"Spearman's ρ = {over}, {each}."
    if not out:
        return said
    names = list(dict.fromkeys(" / ".join(col) for _, col in points if any(col == of for _, of in out)))
    few = ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")
    return f"{said} Drawn and left out of ρ: {len(out)} points where nothing was trained ({few}), equal both ways in every run."


def _rho(pairs: Sequence[tuple[float, float]]) -> str:
    found = correlation(pairs)
    return f"{found:.2f}".replace("-", "−") if isfinite(found) else "–"
