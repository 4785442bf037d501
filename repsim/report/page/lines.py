"""Owns the figure of a table by layer, or against a number: one line per case with its intervals; many cases get a panel each."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log2

from repsim.report.page import scales, vector
from repsim.report.page.cells import Cell, by_place, label, said, value_name
from repsim.report.page.figures import is_layer
from repsim.report.page.markup import Markup, joined, tag
from repsim.report.page.numbers import Entry
from repsim.report.page.scales import Axis

FEW = 6  # lines in one panel
WIDE, NARROW, WIDEST = (760.0, 330.0), (286.0, 172.0), 1150.0
MANY = 50  # labels along x: intervals become a band, and markers dots
NONE = "–"


@dataclass(frozen=True)
class Lined:
    """A table as lines: along x one label per cell of a line, one line per key; a panel holds lines of equal x."""

    table: Entry
    x_name: str
    labels: list[str]
    series: list[tuple[int, str, list[Cell | None]]]
    panel: str
    place: int


def panels(table: Entry, turned: bool) -> list[Lined]:
    """The lines of a table, those of different x (another architecture) apart."""
    along, names, across = ("cols", "col_names", "rows") if turned else ("rows", "row_names", "cols")
    cells = by_place(table)
    found = []
    for number, prefix in enumerate(dict.fromkeys(tuple(key[:-1]) for key in table[along])):
        places = [i for i, key in enumerate(table[along]) if tuple(key[:-1]) == prefix]
        series = [
            (i, label(key), [cells.get((i, place) if turned else (place, i)) for place in places])
            for i, key in enumerate(table[across])
        ]
        series = [one for one in series if any(cell is not None for cell in one[2])]
        labels = [table[along][place][-1] for place in places]
        found.append(Lined(table, table[names][-1], labels, series, label(prefix), number))
    return found


def draw(lined: Lined) -> list[Markup]:
    """One panel with all lines, or one for each line with the others faint behind it."""
    if len(lined.series) <= FEW:
        width = WIDEST if len(lined.labels) > MANY else WIDE[0]
        return [_panel(lined, lined.series, width, WIDE[1], title="", behind=None)]
    behind = f"all-{lined.table['id']}-{lined.place}"
    width, height = NARROW
    _, axis, places, _ = _axes(lined, width, height, small=True)
    every = [vector.line(_points(cells, places, axis), i, opacity="1") for i, _, cells in lined.series]
    store = tag(
        "svg", tag("defs", tag("g", every, id=behind, class_="others")), width=0, height=0, aria_hidden="true", class_="defs"
    )
    made = [_panel(lined, [one], width, height, title=one[1], behind=behind) for one in lined.series]
    titles = [tag("figcaption", tag("b", tag("bdi", name))) for _, name, _ in lined.series]
    return [store, *(tag("figure", title, panel, class_="small") for title, panel in zip(titles, made, strict=True))]


def _panel(
    lined: Lined, series: Sequence[tuple[int, str, list[Cell | None]]], width: float, height: float, title: str, behind: str | None
) -> Markup:
    """A frame with its lines; the first point is the one that a keyboard reaches."""
    small = behind is not None
    labels, axis, places, bottom = _axes(lined, width, height, small)
    left = places[0] - _step(places, width) / 2
    drawn: list[Markup] = [vector.across(axis, left, width - 6, "" if small else value_name(lined.table)), labels]
    drawn += [tag("use", href=f"#{behind}")] if behind else []
    share = min(_step(places, width) * 0.7, 14.0 * len(series)) / len(series)
    for order, (i, name, cells) in enumerate(series):
        shift = share * (order - (len(series) - 1) / 2)
        points = _points(cells, [place + shift for place in places], axis)
        dense = len(lined.labels) > MANY
        drawn += [vector.band(cells, places, i, axis)] if dense else []
        drawn.append(vector.line(points, i))
        drawn += [
            _point(lined, i, f"{name}, {where}", cell, point, axis)
            for cell, point, where in zip(cells, points, lined.labels, strict=True)
            if cell is not None and point is not None
        ]
    words = f"{value_name(lined.table)} by {lined.x_name}" + (f": {title}" if title else "")
    return vector.picture(width, bottom, words, drawn, class_="panel" if small else "panel wide")


def _point(lined: Lined, series: int, name: str, cell: Cell, place: vector.Point, axis: Axis) -> Markup:
    dense = len(lined.labels) > MANY
    bar = None if dense else vector.bar(cell, place[0], axis)
    return vector.point(cell, lined.table["id"], series, place, f"{name}: {said(cell, lined.table)}", bar, small=dense)


def _points(cells: Sequence[Cell | None], places: Sequence[float], axis: Axis) -> list[vector.Point | None]:
    return [
        None if cell is None or cell.mean is None else (place, axis(cell.mean)) for cell, place in zip(cells, places, strict=True)
    ]


def _axes(lined: Lined, width: float, height: float, small: bool) -> tuple[Markup, Axis, list[float], float]:
    """Labels along x, the axis of values, the places of the labels, and the height of it all."""
    cells = [cell for _, _, line in lined.series for cell in line if cell is not None and cell.mean is not None]
    ends = [end for cell in cells for end in (cell.low, cell.high) if end is not None]
    axis = scales.of([cell.mean for cell in cells if cell.mean is not None], ends, height, 8)
    left = 12.0 + 6.2 * max(len(scales.words(tick)) for tick in axis.ticks or (0,)) + (0 if small else 14)
    longest = min(22, max(map(len, lined.labels)))
    if longest * 6.2 + 4 > (width - left) / len(lined.labels):
        left = max(left, 4.2 * longest)  # the first label leans to the left
    places = _places(lined, left, width - 6)
    labels, below = vector.names(lined.labels, places, height)
    middle = {"x": f"{(left + width) / 2:.0f}", "y": f"{height + below + 13:.0f}", "text_anchor": "middle"}
    name = None if small else tag("text", lined.x_name.replace("_", " "), **middle, class_="name")
    return joined([labels, name]), axis, places, height + below + (2 if small else 18)


def _places(lined: Lined, left: float, right: float) -> list[float]:
    """Evenly spread; of numbers by their size, or its logarithm where they span much, and what is none behind them."""
    count = len(lined.labels)
    even = [left + (i + 0.5) * (right - left) / count for i in range(count)]
    values = [_value(text) for text in lined.labels]
    known = [value for value in values if value is not None]
    if (
        is_layer(lined.x_name)
        or len(set(known)) < 2
        or any(value is None and text != NONE for value, text in zip(values, lined.labels, strict=True))
    ):
        return even
    wide = min(known) > 0 and max(known) > 8 * min(known)
    sizes = [None if value is None else log2(value) if wide else value for value in values]
    low, high = min(one for one in sizes if one is not None), max(one for one in sizes if one is not None)
    room = (right - left) / (count + 0.5)
    end = right - room * (1.5 if None in sizes else 0.5)
    return [
        right - room / 2 if one is None else left + room / 2 + (one - low) / (high - low) * (end - left - room / 2) for one in sizes
    ]


def _value(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _step(places: Sequence[float], width: float) -> float:
    """How far apart two places are at least."""
    ordered = sorted(places)
    return min((b - a for a, b in pairwise(ordered)), default=min(width / 2, 120.0))
