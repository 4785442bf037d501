"""Owns the picture of what a number costs: a point per case, its mean against seconds, and the front that no other case beats."""

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from repsim.errors import UserError
from repsim.report import bylayer, strips, style, valueaxis
from repsim.report.bycase import DIGITS, SECONDS, front
from repsim.report.wording import Marks, caption

if TYPE_CHECKING:
    from repsim.table import Cell, Key, Table

MARKS = Marks("", bare="No bar", short="Hollow")
WIDTH = 6.0  # inches of the axes
SHARED = (
    "Wall-clock seconds of a group of runs packed on one device, shared among them in proportion to their work: seconds "
    "cannot tell apart cases of equal work (stitchers of equal epochs) that were packed together. "
)
NONE = "No front: of {} neither less nor more is better."


def pages(value: "Table", cost: "Table") -> dict[str, list["Key"]]:
    """The rows that have both numbers by page: no more than can be told apart. Raises UserError where there is none."""
    strips.must_hold_a_number(value)
    there = list(_both(value, cost))
    if not there:
        what = f"there is nothing to draw: no run has both {value.definition.value} and {cost.definition.value}"
        raise UserError(what, where="plot", do="choose the number along x with --across")
    parts = strips.split(there, style.MOST)
    return {str(number) if len(parts) > 1 else "": part for number, part in enumerate(parts, 1)}


def picture(value: "Table", cost: "Table", device: str, page: Sequence["Key"] | None = None) -> Figure:
    """Mean of `value` against that of `cost` for each row of both, with intervals; the Pareto front where less or more is better.

    Args:
        value, cost: tables of one column (see `bycase.pooled`), of the same runs.
        device: what computed them: a card, or cpu; the axis is named after it.
        page: the rows that are drawn, by default the first page; the front is that of all rows, and all pages have one range.

    Raises: UserError where no row has both numbers.
    """
    page = page or next(iter(pages(value, cost).values()))
    points = {row: (x.mean, y.mean) for row, (x, y) in _both(value, cost).items()}
    columns, legend = bylayer.legend(page, 3.6)
    figure = Figure(figsize=(WIDTH + legend, 5.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot(*zip(*points.values(), strict=True), linestyle="none")  # nothing but the range
    for row in page:
        _point(axes, (cost, value), _both(value, cost)[row], style.look(list(value.row_keys).index(row)), " / ".join(row))
    if all(x > 0 for x, _ in points.values()):
        axes.set_xscale("log")
    _must_have_a_range(axes)
    best = []
    if (aim := value.definition.aim) != "none":  # else nobody knows which of two cases is the better one
        best = front(points, aim == "min")
        _line(axes, [points[row] for row in best], [points[row] for row in best if row in page])
    _words(figure, value, cost, device, columns, _ringed(value, best, len(points) - len(page)))
    return figure


def _both(value: "Table", cost: "Table") -> dict["Key", tuple["Cell", "Cell"]]:
    """Cost and value of each row that has both."""
    points = {row: (cost.cell(row, col), value.cell(row, col)) for row in value.row_keys for col in value.col_keys}
    return {row: (x, y) for row, (x, y) in points.items() if x and y and x.n and y.n}


def _point(axes: Axes, of: tuple["Table", "Table"], cells: tuple["Cell", "Cell"], look: style.Look, label: str) -> None:
    x, y = cells
    right, up = (valueaxis.whisker(table, cell) for table, cell in zip(of, (x, y), strict=True))
    face = "white" if y.short else look.colour
    axes.errorbar(x.mean, y.mean, xerr=right, yerr=up, color=look.colour, linestyle="none", elinewidth=1.0, capsize=2, zorder=2)
    (mark,) = axes.plot(x.mean, y.mean, look.marker, color=look.colour, fillstyle=look.fill, markersize=7, label=label, zorder=3)
    mark.set(markerfacecolor=face, markerfacecoloralt="white")


def _must_have_a_range(axes: Axes) -> None:
    """Costs that differ by rounding alone, as those of stitchers packed together, have an axis about them, not of them."""
    low, high = axes.dataLim.intervalx
    if high - low <= 10**-DIGITS * abs(high):
        axes.set_xlim(*((low / 2, high * 2) if low > 0 else (low - 1, high + 1)))


def _line(axes: Axes, points: Sequence[tuple[float, float]], ringed: Sequence[tuple[float, float]]) -> None:
    """Steps: between two cases of the front, none is better than the cheaper one; rings about those of this page."""
    axes.step(*zip(*points, strict=True), where="post", color="0.3", linestyle="--", linewidth=1.0, zorder=1)
    axes.plot([x for x, _ in ringed], [y for _, y in ringed], "o", color="none", markeredgecolor="0.3", markersize=13, zorder=2)


def _words(figure: Figure, value: "Table", cost: "Table", device: str, columns: int, ringed: str) -> None:
    (axes,) = figure.axes
    measured = cost.definition.value == SECONDS
    unit = "seconds of a CPU task per run" if device == "cpu" else f"GPU-seconds per run ({device})"
    axes.set_xlabel(unit if measured else valueaxis.label(cost))
    axes.set_ylabel(f"{valueaxis.label(value)}, mean over cells")
    axes.grid(color="0.9", linewidth=0.6, which="both")
    axes.set_axisbelow(True)
    width = figure.get_size_inches()[0]
    against = unit.split(" (")[0] if measured else cost.definition.value.replace("_", " ")
    head = f"{bylayer.short_title(value)} against {against}, {bylayer.runs_text(value.cells.values(), ' / '.join(value.row_names))}"
    figure.suptitle(fill(head, int(width * 9)), fontsize="large")
    handles = axes.get_legend_handles_labels()
    figure.legend(*handles, loc="outside right center", fontsize="small", frameon=False, ncols=columns)
    said = f"{ringed} {SHARED if measured else ''}{caption(value, MARKS)}"
    figure.supxlabel(fill(said, int(width * 15)), fontsize="x-small", x=0.02, ha="left")


def _ringed(value: "Table", best: Sequence["Key"], left: int) -> str:
    """What the front is, and how many rows stand on other pages."""
    names = ", ".join(" / ".join(row) for row in best)
    said = f"Ringed, dashed: the Pareto front ({names})." if best else NONE.format(value.definition.value)
    over = ", over which the front is formed" if best else ""
    return f"{said} {left} further points stand on the other pages{over}." if left else said
