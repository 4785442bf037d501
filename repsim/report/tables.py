"""Owns the formats of tables: plain text, Markdown, LaTeX, CSV, JSON, records; the words in them are those of `wording`."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal

from repsim.report import latex, markdown, plain
from repsim.report.plain import WIDTH
from repsim.report.sheets import Sheet, sheets
from repsim.report.versus import comparison_records
from repsim.report.wording import IN_PRINT, IN_TEXT, Marks, caption, cell_text

if TYPE_CHECKING:
    from repsim.table import Cell, Key, Table

    Tables = Table | Sequence[Table]

__all__ = ["WIDTH", "as_dict", "file_records", "records", "render"]
Format = Literal["text", "markdown", "latex", "csv", "json"]
NUMBERS = ("mean", "std", "low", "high")
COUNTS = ("n", "expected", "diverged", "undefined", "doubtful", "n_pairs", "n_units", "units")


def render(tables: "Tables", format: Format) -> str:
    """A table, or the pages of one, in one of the formats; ends with a newline, and is the same bytes for the same tables.

    CSV is one table: where two columns are compared it is their comparison.
    """
    return RENDERERS[format](_pages(tables))


def records(tables: "Tables") -> list[dict[str, Any]]:
    """One flat dictionary per cell, unrounded, in the unit of the table; None where there is no number."""
    return [
        _record(table, row, col, cell)
        for table in _pages(tables)
        for row in table.row_keys
        for col in table.col_keys
        if (cell := table.cell(row, col))
    ]


def file_records(tables: "Tables") -> list[dict[str, Any]]:
    """What a file of one table holds: the comparison where two columns are compared, else the cells."""
    pages = _pages(tables)
    compared = pages[0].comparison is not None
    return [line for table in pages for line in comparison_records(table)] if compared else records(pages)


def as_dict(tables: "Tables") -> dict[str, Any]:
    """All pages as plain data."""
    pages = _pages(tables)
    whole = merged(pages)
    said = {
        "definition": whole.definition.model_dump(),
        "unit": whole.unit,
        "caption": caption(whole, IN_TEXT._replace(best="best")),
        "pages": list(whole.page_names),
        "rows": list(whole.row_names),
        "cols": list(whole.col_names),
        "cells": records(pages),
    }
    lines = [line for table in pages for line in comparison_records(table)]
    return said | ({"comparison": lines} if whole.comparison else {})


def merged(pages: "Sequence[Table]") -> "Table":
    """All pages as one, for words that hold for all of them; its keys begin with that of the page."""
    if len(pages) == 1:
        return pages[0]
    cells = {((*page.page, *row), col): cell for page in pages for (row, col), cell in page.cells.items()}
    best = frozenset(((*page.page, *row), col) for page in pages for row, col in page.best)
    return replace(pages[0], cells=cells, best=best)


def _pages(tables: "Tables") -> "Sequence[Table]":
    return tables if isinstance(tables, Sequence) else [tables]


def _record(table: "Table", row: "Key", col: "Key", cell: "Cell") -> dict[str, Any]:
    names, keys = (*table.page_names, *table.row_names, *table.col_names), (*table.page, *row, *col)
    numbers = {name: value if isfinite(value := getattr(cell, name)) else None for name in NUMBERS}
    counts = {name: getattr(cell, name) for name in COUNTS}
    said = {"value": table.definition.value, "unit": table.unit} | numbers | counts
    return dict(zip(names, keys, strict=True)) | said | {"best": (row, col) in table.best, "text": cell_text(cell, table)}


def _drawn(pages: "Sequence[Table]", draw: Callable[[Sheet], str], marks: Marks) -> str:
    return "\n".join(draw(sheet) for page in pages for sheet in sheets(page, marks))


def _csv(pages: "Sequence[Table]") -> str:
    """One line per cell, or per row of a comparison, unrounded."""
    lines = file_records(pages)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(lines[0]) if lines else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue()


def _json(pages: "Sequence[Table]") -> str:
    return json.dumps(as_dict(pages), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


RENDERERS: dict[str, Callable[["Sequence[Table]"], str]] = {
    "text": lambda pages: _drawn(pages, plain.text, IN_TEXT),
    "markdown": lambda pages: _drawn(pages, markdown.text, IN_PRINT),
    "latex": lambda pages: _drawn(pages, latex.text, IN_PRINT),
    "csv": _csv,
    "json": _json,
}
