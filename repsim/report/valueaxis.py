"""Owns the value axis of a table: linear, or logarithmic beyond a linear middle where one case dwarfs the others."""

from math import isfinite, log10
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

if TYPE_CHECKING:
    from repsim.table import Cell, Table

MANY = 9  # ticks of one sign, from which on powers of ten are enough
ROOM = 0.06  # of what is drawn, above and below it


def scale(axes: Axes, table: "Table") -> str:
    """Give `axes` the range of the whole table; in words what the scale is, or nothing for a linear one.

    A random stitcher may lose 70 points where the others lose 1: on a linear axis two fifths or more of the cells would lie
    within a twentieth of the height. A symmetric logarithm keeps every value, zero and negative ones included, on one axis
    that can be read off; a broken axis hides the distance, and an inset has no place of its own.
    """
    cells = [cell for cell in table.cells.values() if cell.n]
    sizes = sorted(abs(cell.mean) for cell in cells)
    drawn = [value for cell in cells for value in (cell.low, cell.high, *cell.values) if isfinite(value)]
    low, high, largest = min(0.0, *drawn), max(0.0, *drawn), max(map(abs, drawn))
    linear = _round_up(max(2 * sizes[int(0.4 * (len(sizes) - 1))], 1.0 if table.definition.in_points else largest / 1000))
    if largest <= 10 * linear:
        room = ROOM * (high - low or 1.0)
        axes.set_ylim(low - room, high + room)
        return ""
    axes.set_yscale("symlog", linthresh=linear, linscale=2)
    axes.yaxis.set_major_locator(FixedLocator(_ticks(linear, largest)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
    axes.set_ylim(low * 1.3 - 0.2 * linear, high * 1.3 + 0.2 * linear)
    return f"logarithmic beyond ±{linear:g}"


def whisker(table: "Table", cell: "Cell") -> list[list[float]] | None:
    """How far the bar of a cell reaches below and above its mean: the interval, or std where the table says so; None for none."""
    if table.definition.spread == "std":
        return [[cell.std], [cell.std]] if isfinite(cell.std) else None
    return [[cell.mean - cell.low], [cell.high - cell.mean]] if isfinite(cell.low) and isfinite(cell.high) else None


def label(table: "Table", scale: str = "") -> str:
    """The name of the value, its unit, and the scale."""
    name = {"auroc": "AUROC"}.get(value := table.definition.value, value.replace("_", " "))
    name += f" of {table.of}" if table.of else ""
    notes = ", ".join(filter(None, [table.unit, scale]))
    return f"{name} ({notes})" if notes else name


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
    if len(above) > MANY:
        above = [value for value in above if value in (linear / 2, linear) or f"{value:e}".startswith("1")]
    return [-value for value in reversed(above)] + [0.0] + above
