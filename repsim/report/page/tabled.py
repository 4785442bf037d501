"""Owns how tables stand in the page: the longer side goes down, every column can be sorted by, rows can be filtered."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from repsim.report.page.cells import Cell, by_place, counts, in_points, label, number, spread
from repsim.report.page.markup import Child, Markup, tag
from repsim.report.page.numbers import MANY, Entry

NUMBER = re.compile(r"(<|&lt;)? ?[−–\d][\d.,e+−]*( ± [\d.,e+−–]+| \[.*\]| \(\d+\)|/\d+)?$")
LONG = 40  # letters of a name that stands in one line


def draw(table: Entry) -> Markup:
    """A gathered table; each cell names its place among the gathered ones, so that all of it is shown on hovering."""
    cells = by_place(table)
    turned = table["turned"]
    down, across = ("cols", "rows") if turned else ("rows", "cols")
    names = table["col_names" if turned else "row_names"]
    best = {tuple(place) for place in table.get("best", ())}
    body = []
    for i, key in enumerate(table[down]):
        places = [(j, i) if turned else (i, j) for j in range(len(table[across]))]
        body.append([_head_cells(key), [_cell(table, cells.get(place), place in best) for place in places]])
    heads = [*(str(name).replace("_", " ") for name in names), *(label(key) for key in table[across])]
    return frame(table["id"], table["caption"], heads, body, len(names), "gathered")


def plain(name: str, caption: str, heads: Sequence[str], rows: Sequence[Sequence[Child]], keys: int = 1) -> Markup:
    """A table of texts and numbers that were put into words already; its first `keys` columns say what a row is.

    Columns of numbers alone stand to the right, with their heads; others to the left.
    """
    numeric = {place for place in range(keys, len(heads)) if all(_is_number(row[place]) for row in rows)}
    body = [
        [_head_cells(row[:keys]), [tag("td", row[at], class_="num" if at in numeric else None) for at in range(keys, len(row))]]
        for row in rows
    ]
    return frame(name, caption, heads, body, keys, "plain", numeric)


def grid(name: str, caption: str, axes: Mapping[str, str], cells: Sequence[Mapping[str, Any]]) -> Markup:
    """Done of expected by two axes; a cell is shaded by its share, and says what is lacking."""
    rows, cols = (list(dict.fromkeys(cell[side] for cell in cells)) for side in ("row", "col"))
    found = {(cell["row"], cell["col"]): cell for cell in cells}
    if len(cols) > max(MANY, len(rows)):
        rows, cols, found = cols, rows, {(col, row): cell for (row, col), cell in found.items()}
        axes = {"rows": axes["cols"], "cols": axes["rows"]}
    body = [[_head_cells([row]), [_share(found.get((row, col))) for col in cols]] for row in rows]
    return frame(name, caption, [axes["rows"], *cols], body, 1, "grid")


def frame(
    name: str, caption: str, heads: Sequence[str], body: Sequence[Child], keys: int, kind: str, numeric: Collection[int] = ()
) -> Markup:
    """Caption, filter, and the table in a box of its own that scrolls sideways."""
    tools = tag(
        "div",
        tag("input", type="search", placeholder="Filter rows", aria_label=f"Filter rows of {name}", data_filter=name),
        tag("span", f"{len(body)} row{'s' * (len(body) != 1)}", class_="shown", aria_live="polite"),
        tag(
            "span",
            tag("button", "Copy CSV", type="button", data_csv="copy"),
            tag("button", "Download CSV", type="button", data_csv="file"),
            class_="csv",
        ),
        class_="tools",
    )
    kinds = ["key" if place < keys else "num" if place in numeric else None for place in range(len(heads))]
    head = tag("tr", [_header(text, role) for text, role in zip(heads, kinds, strict=True)])
    rows = [tag("tr", row) for row in body]
    made = tag(
        "table",
        tag("caption", tag("span", caption)),
        tag("thead", head),
        tag("tbody", rows),
        class_=kind,
        data_table=name,
        data_keys=keys,
    )
    box = tag("div", made, class_="scroll", tabindex=0, role="region", aria_label=f"Table {name}")
    return tag("div", tools, box, class_="sheet", id=f"table-{name}")


def _header(text: str, kind: str | None) -> Markup:
    return tag("th", tag("button", text, type="button"), scope="col", class_=kind, aria_sort="none")


def _is_number(text: Child) -> bool:
    """Whether a cell is to be read as a number: 3.35, −1.97 ± 0.57, < 0.0001, 6/6 or none (–)."""
    return NUMBER.match(str(text)) is not None


def _head_cells(key: Sequence[Child]) -> list[Markup]:
    return [tag("th", tag("bdi", one), scope="row", class_="long" if len(str(one)) > LONG else None) for one in key]


def _cell(table: Entry, cell: Cell | None, best: bool) -> Markup:
    if cell is None:
        return tag("td", class_="off")
    points = in_points(table)
    marks = " ".join(filter(None, ["best" if best else "", "short" if cell.short else "", "none" if cell.mean is None else ""]))
    told: list[Child] = [tag("b" if best else "span", number(cell.mean, points), class_="v")]
    if cell.mean is not None:
        told.append(tag("span", f" {spread(cell, table)}", class_="pm"))
    told.append(tag("span", f" ({counts(cell)})", class_="n"))
    return tag("td", told, class_=marks or None, data_i=cell.index, tabindex=-1)


def _share(cell: Mapping[str, Any] | None) -> Markup:
    if cell is None:
        return tag("td", class_="off")
    done, expected = cell.get("done", 0), cell["expected"]
    lacking = [f"{cell[key]} {key}" for key in ("diverged", "failed", "blocked", "running", "pending", "new") if cell.get(key)]
    shade = "all" if done == expected else "part" if done else "nil"
    bad = " bad" if cell.get("failed") or cell.get("diverged") else ""
    more = tag("span", ", ".join(lacking), class_="n") if lacking else None
    return tag(
        "td", tag("span", f"{done}/{expected}", class_="v"), " " if more else None, more, class_=shade + bad, data_v=done / expected
    )
