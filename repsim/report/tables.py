"""Owns how a table is written: plain text, Markdown, LaTeX, CSV or JSON.

A cell reads `3.82 ± 0.41 (12/12)`: mean, half-width of the 95 % interval, finished of expected runs. Marks:

    3.82 ± 0.41 (11/12)*               short of its expected n
    3.82 ± 0.41 (9/12, 3 diverged)*    diverged runs have no value and are not averaged
    3.82 ± – (1/1)                     too few independent networks for an interval
    – (0/12)*                          nothing finished yet
    (nothing)                          the sweep expects no run here
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from math import isfinite
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from repsim.table import Cell, Key, Table

Format = Literal["text", "markdown", "latex", "csv", "json"]
WIDTH = 100
GAP = "  "
MIN_HEADER = 14

VALUES = {
    "penalty": "Stitching penalty: (acc front + acc end)/2 − acc stitched",
    "relative_accuracy": "Relative accuracy: acc stitched / acc end",
}
UNITS = {
    "networks": "jackknife over {} networks",
    "pairs": "t interval over {} disjoint pairs",
    "groups": "jackknife over {} groups of pairs that share no network",
}


def render(table: "Table", format: Format) -> str:
    """`table` in one of the formats; ends with a newline, and is the same bytes for the same table."""
    return RENDERERS[format](table)


def title(table: "Table") -> str:
    """What the numbers are, with their unit."""
    name = table.definition.value
    return VALUES.get(name, name.replace("_", " ").capitalize()) + (f", in {table.unit}" if table.unit else "")


def caption(table: "Table") -> str:
    """Value, convention, unit, spread, what ± is and over how many independent units, and what n means."""
    cells = list(table.cells.values())
    parts = [f"{title(table)}. Mean over pairs of networks (runs of a pair averaged first)"]
    parts.append(f"± 95 % interval{_units(cells)}; (finished/expected runs).")
    if any(cell.n and not isfinite(cell.half) for cell in cells):
        parts.append("± –: too few independent networks for an interval.")
    stds = [cell.std for cell in cells if isfinite(cell.std)]
    if stds:
        parts.append(f"Std over pairs {_span([_number(min(stds), table), _number(max(stds), table)])}.")
    short = sum(cell.short for cell in cells)
    if short:
        parts.append(f"* {short} of {len(cells)} cells are short of their runs.")
    return " ".join(parts)


def cell_text(cell: "Cell | None", table: "Table") -> str:
    """One cell in the format that this module's docstring documents."""
    if cell is None:
        return ""
    diverged = f", {cell.diverged} diverged" if cell.diverged else ""
    count = f"({cell.n}/{cell.expected}{diverged}){'*' if cell.short else ''}"
    if not cell.n:
        return f"– {count}"
    return f"{_number(cell.mean, table)} ± {_number(cell.half, table)} {count}"


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


def _number(value: float, table: "Table") -> str:
    """Two decimals for accuracy points, else four significant digits; never "-0.00"; "–" for none."""
    if not isfinite(value):
        return "–"
    text = f"{value:.2f}" if table.definition.in_points else f"{value:.4g}"
    return text.removeprefix("-") if float(text) == 0 else text


def _units(cells: Iterable["Cell"]) -> str:
    """Over what the intervals were formed: " (jackknife over 4 networks)", with a range where cells differ."""
    counts: dict[str, set[int]] = {}
    for cell in cells:
        if isfinite(cell.half):
            counts.setdefault(cell.units, set()).add(cell.n_units)
    how = [UNITS[kind].format(_span([str(min(n)), str(max(n))])) for kind, n in sorted(counts.items())]
    return f" ({' or '.join(how)})" if how else ""


def _span(ends: list[str]) -> str:
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def _record(table: "Table", row: "Key", col: "Key", cell: "Cell") -> dict[str, Any]:
    labels = dict(zip((*table.row_names, *table.col_names), (*row, *col), strict=True))
    numbers = {name: value if isfinite(value := getattr(cell, name)) else None for name in ("mean", "std", "low", "high")}
    counts = {name: getattr(cell, name) for name in ("n", "expected", "diverged", "n_pairs", "n_units", "units")}
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
    """A header is wrapped to the width of its cells; a star hangs out to the right of aligned numbers."""
    starred = any(cell.endswith("*") for cell in cells)
    cells = [cell + " " if starred and not cell.endswith("*") else cell for cell in cells]
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
)
RENDERERS: dict[str, Callable[["Table"], str]] = {
    "text": _text,
    "markdown": _markdown,
    "latex": _latex,
    "csv": _csv,
    "json": _json,
}
