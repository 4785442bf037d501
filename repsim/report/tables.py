"""Owns the formats of a table: plain text, Markdown, LaTeX, CSV, JSON; the words in them are those of `wording`."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from math import isfinite
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from repsim.report.wording import caption, cell_text

if TYPE_CHECKING:
    from repsim.table import Cell, Key, Table

Format = Literal["text", "markdown", "latex", "csv", "json"]
WIDTH = 100
GAP = "  "
MIN_HEADER = 14
COUNTS = ("n", "expected", "diverged", "undefined", "doubtful", "n_pairs", "n_units", "units")
MARKS = "*†"  # behind a cell: see `wording`


def render(table: "Table", format: Format) -> str:
    """`table` in one of the formats; ends with a newline, and is the same bytes for the same table."""
    return RENDERERS[format](table)


def records(table: "Table") -> list[dict[str, Any]]:
    """One flat dictionary per cell, unrounded, in the unit of the table; None where there is no number."""
    return [_record(table, row, col, cell) for row in table.row_keys for col in table.col_keys if (cell := table.cell(row, col))]


def as_dict(table: "Table") -> dict[str, Any]:
    """The whole table as plain data."""
    return {
        "definition": table.definition.model_dump(),
        "unit": table.unit,
        "caption": caption(table),
        "rows": list(table.row_names),
        "cols": list(table.col_names),
        "cells": records(table),
    }


def _record(table: "Table", row: "Key", col: "Key", cell: "Cell") -> dict[str, Any]:
    labels = dict(zip((*table.row_names, *table.col_names), (*row, *col), strict=True))
    numbers = {name: value if isfinite(value := getattr(cell, name)) else None for name in ("mean", "std", "low", "high")}
    counts = {name: getattr(cell, name) for name in COUNTS}
    return labels | {"value": table.definition.value, "unit": table.unit} | numbers | counts | {"text": cell_text(cell, table)}


def _grid(table: "Table") -> tuple[list[str], list[list[str]]]:
    """The header and the lines of the table, as strings that are not yet escaped."""
    header = [*table.row_names, *(" / ".join(col) for col in table.col_keys)]
    return header, [[*row, *(cell_text(table.cell(row, col), table) for col in table.col_keys)] for row in table.row_keys]


class _Column(NamedTuple):
    """Header lines and cell lines, all padded to one width."""

    heads: list[str]
    cells: list[str]
    width: int


def _text(table: "Table") -> str:
    """Aligned text of at most 100 columns (unless one column alone is wider): headers wrap, then columns go below."""
    header, lines = _grid(table)
    keys = len(table.row_names)
    columns = [_column(head, [line[i] for line in lines], left=i < keys) for i, head in enumerate(header)]
    blocks = ["\n".join(_side_by_side(block)) for block in _blocks(columns[:keys], columns[keys:])]
    return "\n\n".join([*blocks, "\n".join(wrap(caption(table), WIDTH))]) + "\n"


def _column(head: str, cells: Sequence[str], left: bool) -> _Column:
    """A header is wrapped to the width of its cells; marks hang out to the right of aligned numbers."""
    hanging = [len(cell) - len(cell.rstrip(MARKS)) for cell in cells]
    cells = [cell + " " * (max(hanging) - own) for cell, own in zip(cells, hanging, strict=True)]
    heads = wrap(head, max(MIN_HEADER, *map(len, cells)))
    width = max(map(len, [*heads, *cells]))
    pad = str.ljust if left else str.rjust
    return _Column([pad(text, width) for text in heads], [pad(text, width) for text in cells], width)


def _blocks(keys: list[_Column], columns: list[_Column]) -> list[list[_Column]]:
    """As many columns beside the keys as fit the width, then the next ones below, beside the keys again."""
    blocks = [list(keys)]
    for column in columns:
        width = sum(part.width + len(GAP) for part in [*blocks[-1], column]) - len(GAP)
        if width > WIDTH and len(blocks[-1]) > len(keys):
            blocks.append(list(keys))
        blocks[-1].append(column)
    return blocks


def _side_by_side(columns: list[_Column]) -> list[str]:
    """Header lines (bottom-aligned), a rule, and the cells."""
    height = max(len(column.heads) for column in columns)
    heads = [[" " * column.width] * (height - len(column.heads)) + column.heads for column in columns]
    rule = GAP.join("─" * column.width for column in columns)
    return [*_joined(heads), rule, *_joined([column.cells for column in columns])]


def _joined(columns: Sequence[Sequence[str]]) -> list[str]:
    return [GAP.join(line).rstrip() for line in zip(*columns, strict=True)]


def _markdown(table: "Table") -> str:
    header, lines = _grid(table)
    keys = len(table.row_names)
    rule = ["---"] * keys + ["---:"] * (len(header) - keys)
    rows = [[text.translate(MARKDOWN) for text in line] for line in [header, *lines]]
    body = ["| " + " | ".join(line) + " |" for line in [rows[0], rule, *rows[1:]]]
    return "\n".join([*body, "", caption(table).translate(MARKDOWN)]) + "\n"


def _latex(table: "Table") -> str:
    r"""A floating booktabs table; needs \usepackage{booktabs}. Rows of different architectures stand a little apart."""
    header, lines = _grid(table)
    keys = len(table.row_names)
    rows = [" & ".join(_tex(text) for text in line) + r" \\" for line in [header, *lines]]
    for i in reversed(range(1, len(lines))):
        if keys > 1 and lines[i][0] != lines[i - 1][0]:
            rows.insert(i + 1, r"\addlinespace")
    begin = [r"\begin{table}", r"\centering", rf"\caption{{{_tex(caption(table))}}}"]
    begin += [rf"\begin{{tabular}}{{{'l' * keys}{'r' * (len(header) - keys)}}}", r"\toprule", rows[0], r"\midrule"]
    return "\n".join([*begin, *rows[1:], r"\bottomrule", r"\end{tabular}", r"\end{table}"]) + "\n"


def _tex(text: str) -> str:
    """Escaped; a hyphen that leads is the minus of a negative number."""
    return (f"−{text[1:]}" if text.startswith("-") else text).translate(LATEX)


def _csv(table: "Table") -> str:
    """One line per cell, unrounded."""
    lines = records(table)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(lines[0]) if lines else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue()


def _json(table: "Table") -> str:
    return json.dumps(as_dict(table), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


MARKDOWN = str.maketrans({c: f"\\{c}" for c in "\\`*_[]#|~$"} | {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\n": " "})
LATEX = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\textbar{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "±": r"$\pm$", "→": r"$\to$", "−": "$-$", "–": "--", "-": "{-}", "\n": " "}
    | {"†": r"\dag{}"}
)
RENDERERS: dict[str, Callable[["Table"], str]] = {
    "text": _text,
    "markdown": _markdown,
    "latex": _latex,
    "csv": _csv,
    "json": _json,
}
