"""Owns the small SVG writer of a report: frames with axes, and points that can be hovered over and told apart without colour.

Colours are classes (`s0` … `s6`, `h0` … `h10`), which the style sheet gives for light and for dark; markers and dashes differ too.
A point names a cell of a table (`data-t`, `data-i`), so that what is shown of it is read from the data and not from the picture.
"""

from collections.abc import Sequence
from itertools import pairwise

from repsim.report.page.cells import Cell
from repsim.report.page.markup import Child, Markup, joined, tag
from repsim.report.page.scales import Axis, words

COLOURS = 7
MARKERS = (
    "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0Z",
    "M-3.5,-3.5h7v7h-7Z",
    "M0,-5L5,0L0,5L-5,0Z",
    "M0,-5L4.6,3.4H-4.6Z",
    "M0,5L4.6,-3.4H-4.6Z",
    "M-4.5,-1.6h2.9v-2.9h3.2v2.9h2.9v3.2h-2.9v2.9h-3.2v-2.9h-2.9Z",
    "M-5,0L3.4,-4.6V4.6Z",
    "M0,-5L1.5,-1.7L5,-1.5L2.2,0.8L3.2,4.4L0,2.3L-3.2,4.4L-2.2,0.8L-5,-1.5L-1.5,-1.7Z",
)
DOT = len(MARKERS)  # stands for any of them where points are many
SMALL = "M-2,0a2,2 0 1,0 4,0a2,2 0 1,0 -4,0Z"
DASHES = (None, "6 3", "6 2 1.5 2", "1.5 2.5")
Point = tuple[float, float]


def definitions() -> Markup:
    """The markers, once for the whole page."""
    shapes = [tag("path", id=f"m{place}", d=path) for place, path in enumerate((*MARKERS, SMALL))]
    hatch = tag("pattern", tag("path", d="M0,6L6,0", class_="hatch"), id="none", width=6, height=6, patternUnits="userSpaceOnUse")
    return tag("svg", tag("defs", shapes, hatch), width=0, height=0, aria_hidden="true", focusable="false", class_="defs")


def picture(width: float, height: float, title: str, *children: Child, **more: str) -> Markup:
    """One drawing; `title` is what it is called where it cannot be seen."""
    return tag(
        "svg", children, viewBox=f"0 0 {width:g} {height:g}", width=width, height=height, role="group", aria_label=title, **more
    )


def colour(series: int) -> str:
    """The class of a series."""
    return f"s{series % COLOURS}"


def marker(series: int, x: float, y: float, hollow: bool = False, small: bool = False) -> Markup:
    """The mark of a series; hollow where its runs are not all there."""
    return tag("use", href=f"#m{DOT if small else series % len(MARKERS)}", x=_px(x), y=_px(y), class_="hollow" if hollow else None)


def sample(series: int) -> Markup:
    """A piece of line with its marker, for a legend."""
    line = tag("path", d="M0,7H30", stroke_dasharray=DASHES[series % len(DASHES)], class_="line")
    return tag(
        "svg", line, marker(series, 15, 7), width=30, height=14, aria_hidden="true", focusable="false", class_=colour(series)
    )


def point(cell: Cell, table: str, series: int, place: Point, said: str, bars: Child = None, small: bool = False) -> Markup:
    """A marker with its bars; `said` is what is read aloud, and shown where there is no script."""
    names = f"pt {colour(series)}"
    data = {"data_t": table, "data_i": cell.index, "data_s": series}
    return tag("g", bars, marker(series, *place, cell.short, small), class_=names, role="img", tabindex=-1, aria_label=said, **data)


def line(points: Sequence[Point | None], series: int, **more: str) -> Markup:
    """Through the points, with gaps where there is none."""
    steps, broken = [], True
    for one in points:
        if one is not None:
            steps.append(f"{'M' if broken else 'L'}{_px(one[0])},{_px(one[1])}")
        broken = one is None
    dash = DASHES[series % len(DASHES)]
    return tag("path", d="".join(steps), class_=f"line {colour(series)}", stroke_dasharray=dash, data_s=series, **more)


def bar(cell: Cell, x: float, axis: Axis, upright: bool = True) -> Markup | None:
    """The interval of a cell along `axis`, at `x` on the other one; ends that are off the axis have no cap."""
    if cell.low is None or cell.high is None or cell.mean is None:
        return None
    ends = (cell.low, cell.high)
    places = [axis(end) for end in ends]
    caps = [place for end, place in zip(ends, places, strict=True) if axis.holds(end)]
    if upright:
        steps = [f"M{_px(x)},{_px(places[0])}V{_px(places[1])}", *(f"M{_px(x - 3)},{_px(cap)}h6" for cap in caps)]
    else:
        steps = [f"M{_px(places[0])},{_px(x)}H{_px(places[1])}", *(f"M{_px(cap)},{_px(x - 3)}v6" for cap in caps)]
    return tag("path", d="".join(steps), class_="bar")


def band(cells: Sequence[Cell | None], places: Sequence[float], series: int, axis: Axis) -> Markup:
    """The intervals of a line as one shape, where there are too many to be drawn apart; it leaves out what has none."""
    known = [(x, cell.low, cell.high) for x, cell in zip(places, cells, strict=True) if cell and cell.low is not None]
    ends = [(x, axis(high)) for x, _, high in known if high is not None]
    ends += [(x, axis(low)) for x, low, _ in reversed(known) if low is not None]
    path = "L".join(f"{_px(x)},{_px(y)}" for x, y in ends)
    return tag("path", d=f"M{path}Z" if ends else "", class_=f"band {colour(series)}", data_s=series)


def across(axis: Axis, left: float, right: float, name: str) -> Markup:
    """Grid lines and labels of a value axis at the left, zero drawn darker, and its name."""
    made: list[Child] = []
    for value in axis.ticks:
        y = axis(value)
        made.append(tag("path", d=f"M{_px(left)},{_px(y)}H{_px(right)}", class_="zero" if value == 0 else "grid"))
        made.append(tag("text", words(value), x=_px(left - 6), y=_px(y + 3.5), text_anchor="end", class_="tick"))
    middle = (axis.start + axis.end) / 2
    turned = f"translate(11,{_px(middle)})rotate(-90)"
    return joined([*made, tag("text", name, transform=turned, text_anchor="middle", class_="name") if name else None])


def along(axis: Axis, top: float, bottom: float, name: str) -> Markup:
    """The same of a value axis at the bottom."""
    made: list[Child] = []
    for value in axis.ticks:
        x = axis(value)
        made.append(tag("path", d=f"M{_px(x)},{_px(top)}V{_px(bottom)}", class_="zero" if value == 0 else "grid"))
        made.append(tag("text", words(value), x=_px(x), y=_px(bottom + 15), text_anchor="middle"))
    middle = (axis.start + axis.end) / 2
    return joined([*made, tag("text", name, x=_px(middle), y=_px(bottom + 33), text_anchor="middle", class_="name")])


def names(labels: Sequence[str], places: Sequence[float], y: float) -> tuple[Markup, float]:
    """Labels below their places, slanted where they would touch, thinned where even so; and the height that they take."""
    apart = min((b - a for a, b in pairwise(places)), default=200.0)
    longest = max(map(len, labels), default=1)
    flat = longest * 6.2 + 4 <= apart
    every = 1 if flat else max(1, round(16 / apart + 0.49))
    made = []
    for place, text in list(zip(places, labels, strict=True))[::every]:
        short = text if len(text) <= 22 else f"{text[:20]}…"
        if flat:
            made.append(tag("text", short, x=_px(place), y=_px(y + 15), text_anchor="middle"))
        else:
            made.append(tag("text", short, transform=f"translate({_px(place + 3)},{_px(y + 11)})rotate(-50)", text_anchor="end"))
    return joined(made), 20.0 if flat else 14.0 + min(longest, 22) * 4.9


def _px(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
