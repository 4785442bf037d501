"""Owns the tables of a report as plain data: one entry per number shown, its cells in full precision.

An entry is all that a page, a picture or somebody else's script needs: the definition (rows, columns and number by their columns
of the aggregated Parquet file), the labels along both sides, and cells as lists in the order of FIELDS, None where there is none.
"""

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from repsim import frames, tabulating
from repsim import table as tables
from repsim.project import Project
from repsim.report import bycase, versus, wording
from repsim.sweep.expand import Sweep
from repsim.table import Cell, Table, TableDefinition
from repsim.tablecontrols import CONTROL

if TYPE_CHECKING:
    import pandas as pd

Entry = dict[str, Any]
FIELDS = (
    *("row", "col", "mean", "std", "low", "high", "n", "expected", "diverged", "undefined", "doubtful"),
    *("n_pairs", "n_units", "units"),
)
ALSO = (
    *("penalty", "penalty_end", "accuracy", "matched_penalty", "null_accuracy", "residual"),
    *("robust_accuracy", "robust_penalty", "eval_accuracy"),
)
"""Numbers that a report shows besides that of the sweep's own table, where the rows hold them."""
MANY = 8  # columns that a page of paper takes
MARKS = wording.IN_TEXT._replace(best="Underlined")
LAYER_KEYS = ("front_layer", "end_layer")


def entries(project: Project, sweep: Sweep, found: "pd.DataFrame") -> list[Entry]:
    """The sweep's own table, then the same rows and columns for every further number that there is.

    Raises: UserError where the sweep has no such table, or a definition that cannot be meant.
    """
    own = tabulating.definition(sweep, {})
    also = [value for value in ALSO if value != own.value and _holds(found, value)]
    shown = [own, *(_of(own, value, tabulating.controlled(sweep, value, found)) for value in also)]
    made = [(one, tabulating.pages(project, sweep, one, found)) for one in shown]
    return [entry(page, _name(definition, pages, i)) for definition, pages in made for i, page in enumerate(pages)]


def pooled(sweep: Sweep, own: Entry, found: "pd.DataFrame") -> list[Entry]:
    """Number and seconds of each column of the table over all its rows: what a case costs, and what it takes; by device."""
    found, expected = bycase.with_seconds(found), frames.expected(sweep)
    if found.empty or not _holds(found, bycase.SECONDS):
        return []
    definition = TableDefinition.model_validate(own["definition"])
    made = []
    for place, (device, one) in enumerate(bycase.by_device(definition, found, expected).items(), 1):
        for value in (one.value, bycase.SECONDS):
            name = f"pooled-{value}" + (f"-{place}" if place > 1 else "")
            made.append(entry(bycase.pooled(one, value, found, expected), name) | {"device": device})
    return made


def grids(project: Project, sweep: Sweep, own: Entry, found: "pd.DataFrame") -> list[Entry]:
    """Front layers × end layers, one for each combination of what else tells the cells of the table apart.

    None where the table is such a map itself, and where the sweep joins counterparts alone.
    """
    definition = own["definition"]
    keys = [*definition["pages"], *definition["rows"], *definition["cols"]]
    apart = [name for name in keys if name not in LAYER_KEYS and not (definition["controls"] and name == CONTROL)]
    expected = frames.expected(sweep)
    if "front_layer" not in keys or ("end_layer" in keys and not apart):
        return []
    if list(expected["front_layer"]) == list(expected["end_layer"]):
        return []
    layers = tabulating.layers(project, sweep, LAYER_KEYS)
    kind = _definition(own, rows=["front_layer"], cols=["end_layer"], pages=apart)
    made = tables.pages(kind, found, expected, layers)
    return [entry(one, f"grid-{place}") | {"title": " / ".join(one.page)} for place, one in enumerate(made)]


def entry(table: Table, name: str) -> Entry:
    """A table as plain data; `turned`: with more columns than rows and a page of paper, it is shown with rows as columns."""
    rows, cols = ({key: i for i, key in enumerate(keys)} for keys in (table.row_keys, table.col_keys))
    cells = [_cell(rows[row], cols[col], cell) for (row, col), cell in table.cells.items()]
    turned = len(cols) > max(MANY, len(rows))
    return {
        "id": name,
        "value": table.definition.value,
        "title": wording.title(table),
        "caption": wording.caption(table, MARKS._replace(line="column" if turned else "row")),
        "turned": turned,
        "page": [list(one) for one in zip(table.page_names, table.page, strict=True)],
        "unit": table.unit,
        "unit_of_mean": table.unit_of_mean,
        "definition": table.definition.model_dump(),
        "row_names": list(table.row_names),
        "col_names": list(table.col_names),
        "rows": [list(key) for key in table.row_keys],
        "cols": [list(key) for key in table.col_keys],
        "fields": list(FIELDS),
        "cells": sorted(cells, key=lambda cell: cell[:2]),
        "best": sorted([rows[row], cols[col]] for row, col in table.best),
        "comparison": _comparison(table),
    }


def _comparison(table: Table) -> Entry | None:
    """The paired comparison of two columns as plain data; None where the definition asks for none."""
    if table.comparison is None:
        return None
    keys = len(table.row_names)
    lines = [versus.line_texts(line, table) for line in table.comparison.lines]
    return {
        "caption": versus.comparison_caption(table),
        "heads": versus.header(table),
        "rows": [[*line[:keys], *(text.replace("-", "−") for text in line[keys:])] for line in lines],
        "keys": keys,
        "records": versus.comparison_records(table),
    }


def _name(definition: TableDefinition, pages: Sequence[Table], page: int) -> str:
    return definition.value + (f"-{page + 1}" if len(pages) > 1 else "")


def _of(own: TableDefinition, value: str, controlled: bool) -> TableDefinition:
    """The same rows and columns for another number, with controls where it has any; its unit follows from its name again."""
    changed = {"value": value, "points": None, "title": None, "best": None, "compare": [], "controls": own.controls and controlled}
    return own.model_copy(update=changed)


def _definition(own: Entry, **sides: list[str]) -> TableDefinition:
    """The number of a table along other sides, of the same runs."""
    said = {name: own["definition"][name] for name in ("job", "value", "points", "where", "spread")}
    return TableDefinition.model_validate({**said, **sides})


def _holds(found: "pd.DataFrame", value: str) -> bool:
    return value in found.columns and bool(found[value].notna().to_numpy().any())


def _cell(row: int, col: int, cell: Cell) -> list[Any]:
    numbers = [value if isfinite(value) else None for value in (cell.mean, cell.std, cell.low, cell.high)]
    counts = [cell.n, cell.expected, cell.diverged, cell.undefined, cell.doubtful, cell.n_pairs, cell.n_units]
    return [row, col, *numbers, *counts, cell.units]
