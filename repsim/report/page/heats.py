"""Owns the heat map of a table of layers × layers: eleven shades from least to most, told in numbers where there is room."""

from repsim.report.page import vector
from repsim.report.page.cells import Cell, by_place, in_points, label, number, said, value_name
from repsim.report.page.markup import Child, Markup, tag
from repsim.report.page.numbers import Entry

SHADES = 11
ROOM = 26.0  # least side of a cell that holds a number
SIDE = 330.0


def draw(table: Entry, ends: tuple[float, float] | None = None) -> Markup:
    """The cells as squares; those without a number are hatched. `ends` are those of the shades, where several maps share them."""
    cells = by_place(table)
    rows, cols = len(table["rows"]), len(table["cols"])
    side = max(3.0, min(40.0, SIDE / max(rows, cols)))
    left = 16 + 6.2 * min(22, max(len(label(key)) for key in table["rows"])) + 14
    top = 8.0
    low, high = ends or span(table)
    drawn: list[Child] = [_square(table, cells[place], place, (left, top, side), (low, high)) for place in sorted(cells)]
    columns = [left + (i + 0.5) * side for i in range(cols)]
    below, height = vector.names([label(key) for key in table["cols"]], columns, top + rows * side)
    drawn += [below, *_row_names(table, left, top, side)]
    bottom = top + rows * side + height + 18
    name = table["col_names"][-1].replace("_", " ")
    drawn.append(tag("text", name, x=f"{left + cols * side / 2:.0f}", y=f"{bottom - 4:.0f}", text_anchor="middle", class_="name"))
    middle = f"translate(11,{top + rows * side / 2:.0f})rotate(-90)"
    drawn.append(tag("text", table["row_names"][-1].replace("_", " "), transform=middle, text_anchor="middle", class_="name"))
    return vector.picture(left + cols * side + 8, bottom, f"{value_name(table)}: {table['title']}", drawn, class_="panel")


def span(table: Entry) -> tuple[float, float]:
    """Least and most of a table."""
    means = [cell[2] for cell in table["cells"] if cell[2] is not None]
    return min(means, default=0.0), max(means, default=1.0)


def key(table: Entry, ends: tuple[float, float]) -> Markup:
    """The shades with their ends in numbers."""
    points = in_points(table)
    squares = [tag("rect", x=i * 14, y=0, width=14, height=12, class_=f"h{i}") for i in range(SHADES)]
    bar = tag("svg", squares, width=SHADES * 14, height=12, aria_hidden="true", focusable="false")
    return tag("p", number(ends[0], points), " ", bar, " ", number(ends[1], points), f" {value_name(table)}", class_="shades")


def _square(table: Entry, cell: Cell, place: tuple[int, int], at: tuple[float, float, float], ends: tuple[float, float]) -> Markup:
    (row, col), (left, top, side), (low, high) = place, at, ends
    x, y = left + col * side, top + row * side
    where = f"{label(table['rows'][row])} → {label(table['cols'][col])}"
    shade = None if cell.mean is None else round((SHADES - 1) * (cell.mean - low) / ((high - low) or 1.0))
    box = {"x": f"{x:.1f}", "y": f"{y:.1f}", "width": f"{side:.1f}", "height": f"{side:.1f}"}
    square = tag("rect", **box, class_="none" if shade is None else f"h{max(0, min(SHADES - 1, shade))}")
    text = None if cell.mean is None or side < ROOM else _short(cell.mean, in_points(table))
    inside = {"x": f"{x + side / 2:.1f}", "y": f"{y + side / 2 + 3.5:.1f}", "text_anchor": "middle"}
    over = "on-dark" if shade is not None and shade < SHADES / 2 else "on-light"
    words = tag("text", text.replace("-", "−"), **inside, class_=over) if text else None
    data = {"data_t": table["id"], "data_i": cell.index}
    return tag("g", square, words, class_="pt sq", role="img", tabindex=-1, aria_label=f"{where}: {said(cell, table)}", **data)


def _short(value: float, points: bool) -> str:
    """At most five letters: two decimals of points, else two significant digits."""
    text = number(value, points)
    return text if points and len(text) <= 5 else f"{value:.0f}" if abs(value) >= 10 else f"{value:.2g}"


def _row_names(table: Entry, left: float, top: float, side: float) -> list[Markup]:
    every = max(1, round(12 / side + 0.49))
    return [
        tag(
            "text",
            text if len(text) <= 22 else f"{text[:20]}…",
            x=f"{left - 6:.0f}",
            y=f"{top + (i + 0.5) * side + 3.5:.1f}",
            text_anchor="end",
        )
        for i, text in list(enumerate(label(key) for key in table["rows"]))[::every]
    ]
