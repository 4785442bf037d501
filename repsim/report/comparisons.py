"""Owns how comparisons of two networks are shown to people: a matrix per measure, what chance gives below each number."""

from collections.abc import Sequence
from math import isfinite
from string import ascii_lowercase
from typing import Any

from repsim.matrix import Cell, Matrix
from repsim.report import matrixwords as words

WIDTH = 120
GAP = "  "
FEW = 2  # conventions that are written out


def text(matrices: Sequence[Matrix]) -> str:
    """Every matrix, one below the other; at least one."""
    return "\n\n".join("\n".join(_one(matrix)) for matrix in matrices)


def as_dict(matrix: Matrix) -> dict[str, Any]:
    """A matrix of one pair as plain data: {…, cells: [{front_layer, end_layer, value, status, null, low, high, null_kind}]}."""
    cells = [
        {"front_layer": front, "end_layer": end, **number._asdict()}
        for (front, end), cell in matrix.cells.items()
        for number in cell.numbers.values()
    ]
    return {**_head(matrix), "cells": cells}


def means_of(matrix: Matrix) -> dict[str, Any]:
    """A matrix over pairs of networks as plain data: {…, cells: [{front_layer, end_layer, mean, std, n, expected, …}]}."""
    cells = [
        {
            **{"front_layer": front, "end_layer": end, "mean": _finite(cell.mean), "std": _finite(cell.std)},
            **{"null": _finite(cell.null), "null_kind": cell.null_kind},
            **{"n": len(cell.values), "expected": cell.expected, "troubles": cell.troubles},
        }
        for (front, end), cell in matrix.cells.items()
    ]
    return {**_head(matrix), "pairs": len(matrix.pairs), "cells": cells}


def _head(matrix: Matrix) -> dict[str, Any]:
    said = {name: getattr(matrix, name) for name in ("measure", "variant", "front", "end", "scale", "missing")}
    return said | {name: list(getattr(matrix, name)) for name in ("front_layers", "end_layers", "images", "conventions")}


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def _one(matrix: Matrix) -> list[str]:
    scale = {"similarity": " (more is nearer)", "distance": " (less is nearer)"}.get(matrix.scale, "")
    marks = dict(zip(matrix.troubles, ascii_lowercase, strict=False))
    legend = [f"{marks.get(status, '?')}: {status}, {words.places(where, matrix)}" for status, where in matrix.troubles.items()]
    missing = [f"not computed: {matrix.missing} of {len(matrix.cells)}"] if matrix.missing else []
    return [f"{matrix.title}{scale}", *_grid(matrix, marks), *_below(matrix), *legend, *missing, *_conventions(matrix)]


def _nulls(matrix: Matrix) -> list[str]:
    """What chance gives, as written, distinct."""
    return list(dict.fromkeys(words.number(cell.null) for cell in matrix.cells.values() if isfinite(cell.null)))


def _null_kinds(matrix: Matrix) -> str:
    """ " (closed form)", " (closed form or shifted)", or nothing where it is not stored."""
    kinds = sorted({cell.null_kind for cell in matrix.cells.values() if cell.null_kind})
    return f" ({' or '.join(kinds)})" if kinds else ""


def _below(matrix: Matrix) -> list[str]:
    """What stands below the numbers; a null that is the same everywhere is said here, and not there."""
    nulls = _nulls(matrix)
    lines = [f"what chance gives{_null_kinds(matrix)}"] if len(nulls) > 1 else []
    if any(number.low is not None for cell in matrix.cells.values() for number in cell.numbers.values()):
        lines.append("its 95 % interval over images")
    said = [f"below each number: {' and '.join(lines)}"] if lines else []
    return [*said, *([f"chance gives {nulls[0]}{_null_kinds(matrix)}"] if len(nulls) == 1 else [])]


def _conventions(matrix: Matrix) -> list[str]:
    """What the numbers depend on; where they differ in it, the first few and how many more."""
    more = len(matrix.conventions) - FEW
    return [*matrix.conventions[:FEW], *([f"and {more} more conventions: --json"] if more > 0 else [])]


def _grid(matrix: Matrix, marks: dict[str, str]) -> list[str]:
    """Layers of f down, layers of g across; columns that do not fit the width go below, beside the names again."""
    with_null = len(_nulls(matrix)) > 1
    rows = [[_cell(matrix.cells.get((front, end)), marks, with_null) for end in matrix.end_layers] for front in matrix.front_layers]
    heights = [max(map(len, row)) for row in rows]
    names = ["", *(line for front, high in zip(matrix.front_layers, heights, strict=True) for line in [front, *[""] * (high - 1)])]
    columns = []
    for j, end in enumerate(matrix.end_layers):
        lines = [line for row, high in zip(rows, heights, strict=True) for line in [*row[j], *[""] * (high - len(row[j]))]]
        columns.append(_padded([end, *lines], right=True))
    blocks = _blocks(_padded(names, right=False), columns)
    return [line for i, block in enumerate(blocks) for line in ([""] if i else []) + block]


def _cell(cell: Cell | None, marks: dict[str, str], with_null: bool) -> list[str]:
    """The number with the letter of its status, then its null, then its interval, as far as there are any."""
    space = " " if marks else ""
    if cell is None:
        return [""]
    if not cell.numbers:
        return ["?"]
    number = next(iter(cell.numbers.values()))
    letters = "".join(marks.get(status, "?") for status in cell.troubles)
    lines = [f"{words.number(cell.mean)}{letters or space}"]
    if with_null and isfinite(cell.null):
        lines.append(f"{words.number(cell.null)}{space}")
    if number.low is not None:
        lines.append(f"{words.number(number.low)}…{words.number(number.high)}{space}")
    return lines


def _padded(lines: Sequence[str], right: bool) -> list[str]:
    width = max(map(len, lines))
    return [line.rjust(width) if right else line.ljust(width) for line in lines]


def _blocks(names: list[str], columns: list[list[str]]) -> list[list[str]]:
    """As many columns beside the names as fit, joined line by line."""
    blocks = [[names]]
    for column in columns:
        width = sum(len(part[0]) + len(GAP) for part in [*blocks[-1], column]) - len(GAP)
        if width > WIDTH and len(blocks[-1]) > 1:
            blocks.append([names])
        blocks[-1].append(column)
    return [[GAP.join(line).rstrip() for line in zip(*block, strict=True)] for block in blocks]
