"""Owns figures of a number against another: task loss against direct matching, and penalty against seconds with a Pareto front."""

from collections.abc import Sequence
from typing import NamedTuple

from repsim.report import bycase
from repsim.report.page import scales, vector
from repsim.report.page.cells import Cell, by_place, label, said, value_name
from repsim.report.page.markup import Markup, tag
from repsim.report.page.numbers import Entry
from repsim.report.page.scales import Axis

WIDTH, HEIGHT = 560.0, 400.0
LEFT, BOTTOM = 62.0, 356.0


class Pair(NamedTuple):
    """One point: its series and name, and its cells in the table along x and in that along y."""

    series: int
    name: str
    x: Cell
    y: Cell


def pairs(along: Entry, up: Entry) -> list[Pair]:
    """The cells that both tables have, each with a number; the series is the column."""
    first, second = by_place(along), by_place(up)
    assert along["rows"] == up["rows"] and along["cols"] == up["cols"]
    found = [(place, first[place], second[place]) for place in first if place in second]
    return [
        Pair(col, f"{label(up['cols'][col])}, {label(up['rows'][row])}", x, y)
        for (row, col), x, y in found
        if x.mean is not None and y.mean is not None
    ]


def scatter(along: Entry, up: Entry) -> Markup:
    """Every cell of both tables, with both intervals; on the dashed line they are equal."""
    found = pairs(along, up)
    xs, ys = _values([one.x for one in found]), _values([one.y for one in found])
    x_axis = scales.of(xs, [], LEFT, WIDTH - 10)
    y_axis = scales.of(ys, [], BOTTOM, 10)
    low, high = max(x_axis.low, y_axis.low), min(x_axis.high, y_axis.high)
    steps = [low + (high - low) * i / 60 for i in range(61)]
    equal = "L".join(f"{x_axis(v):.1f},{y_axis(v):.1f}" for v in steps)
    drawn = [_frame(along, up, x_axis, y_axis), tag("path", d=f"M{equal}", class_="equal")]
    drawn += [_point(one, along, up, x_axis, y_axis) for one in found]
    return vector.picture(WIDTH, HEIGHT, f"{value_name(up)} against {value_name(along)}", drawn, class_="panel faint")


def pareto(along: Entry, up: Entry) -> Markup:
    """Every row of both pooled tables; the step line joins those that no other one beats in both."""
    first, second = by_place(along), by_place(up)
    names = [label(key) for key in up["rows"]]
    found = [Pair(row, names[row], first[row, 0], second[row, 0]) for row in range(len(names)) if (row, 0) in first]
    found = [one for one in found if one.x.mean and one.x.mean > 0 and one.y.mean is not None]
    x_axis = scales.logarithmic(_values([one.x for one in found]), LEFT, WIDTH - 10)
    ends = [end for one in found for end in (one.y.low, one.y.high) if end is not None]
    y_axis = scales.of(_values([one.y for one in found]), ends, BOTTOM, 10)
    best = bycase.front({one: (one.x.mean or 0.0, one.y.mean or 0.0) for one in found})
    steps = "".join(_step(one, x_axis, y_axis, i) for i, one in enumerate(best))
    drawn = [_frame(along, up, x_axis, y_axis, "seconds per run (logarithmic)"), tag("path", d=steps, class_="front")]
    drawn += [_point(one, along, up, x_axis, y_axis, only_up=True) for one in found]
    drawn += [_named(one, x_axis, y_axis) for one in best]
    return vector.picture(WIDTH, HEIGHT, f"{value_name(up)} against seconds per run", drawn, class_="panel")


def _frame(along: Entry, up: Entry, x_axis: Axis, y_axis: Axis, name: str = "") -> Markup:
    return Markup(
        vector.across(y_axis, LEFT, WIDTH - 10, value_name(up)) + vector.along(x_axis, 10, BOTTOM, name or value_name(along))
    )


def _point(one: Pair, along: Entry, up: Entry, x_axis: Axis, y_axis: Axis, only_up: bool = False) -> Markup:
    assert one.x.mean is not None and one.y.mean is not None
    x, y = x_axis(one.x.mean), y_axis(one.y.mean)
    words = f"{one.name}: {up['value']} {said(one.y, up)}, {along['value']} {said(one.x, along)}"
    bars = [vector.bar(one.y, x, y_axis), None if only_up else vector.bar(one.x, y, x_axis, upright=False)]
    made = vector.point(one.y, up["id"], one.series, (x, y), words, bars)
    return Markup(made.replace("<g ", f'<g data-x="{along["id"]}" data-xi="{one.x.index}" ', 1))


def _named(one: Pair, x_axis: Axis, y_axis: Axis) -> Markup:
    x, y = x_axis(one.x.mean or 0.0), y_axis(one.y.mean or 0.0)
    left = x > WIDTH - 120
    return tag(
        "text", one.name, x=f"{x - 9 if left else x + 9:.0f}", y=f"{y - 8:.0f}", text_anchor="end" if left else None, class_="tag"
    )


def _step(one: Pair, x_axis: Axis, y_axis: Axis, place: int) -> str:
    x, y = x_axis(one.x.mean or 0.0), y_axis(one.y.mean or 0.0)
    return f"M{x:.1f},{y:.1f}" if place == 0 else f"H{x:.1f}V{y:.1f}"


def _values(cells: Sequence[Cell]) -> list[float]:
    return [cell.mean for cell in cells if cell.mean is not None]
