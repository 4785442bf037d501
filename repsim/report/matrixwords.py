"""Owns the words for matrices of similarity: over what they are means, how far pairs differ, and which cells lack a number."""

from collections.abc import Sequence
from math import isfinite

from repsim.matrix import Matrix, Place

NAMED = 6  # places that a line names one by one


def number(value: float | None, digits: int = 3) -> str:
    """So many decimals, or four significant digits from 100 on; never "-0.000"; "–" for none."""
    if value is None or not isfinite(value):
        return "–"
    text = f"{value:.{digits}f}" if abs(value) < 100 else f"{value:.4g}"
    return text.removeprefix("-") if float(text) == 0 else text


def short(value: float) -> str:
    """Two decimals, without the zero before them: ".87"."""
    return number(value, 2).replace("0.", ".", 1) if abs(value) < 1 else number(value, 2)


def averaged(matrix: Matrix) -> str:
    """ "one pair", or "mean over 15 pairs, std 0.004 to 0.031"; "2 to 3 of 3 pairs" where a pair lacks a number."""
    if len(matrix.pairs) == 1:
        return "one pair"
    stds = sorted(cell.std for cell in matrix.cells.values() if isfinite(cell.std))
    spread = f", std {span(number(stds[0]), number(stds[-1]))}" if stds else ""
    counts = sorted({len(cell.values) for cell in matrix.cells.values() if cell.values}) or [0]
    few = "" if counts == [len(matrix.pairs)] else f" of {len(matrix.pairs)}"
    return f"mean over {span(str(counts[0]), str(counts[-1]))}{few} pairs{spread}"


def nulls(matrix: Matrix) -> str:
    """What chance would give: "null 0.004 to 0.031", or nothing."""
    found = sorted(cell.null for cell in matrix.cells.values() if isfinite(cell.null))
    return f"null {span(number(found[0]), number(found[-1]))}" if found else ""


def lacking(matrix: Matrix) -> list[str]:
    """A sentence for each status that is not ok, and for what is not computed."""
    said = [f"{status}: {places(where, matrix)}" for status, where in matrix.troubles.items()]
    if matrix.missing:
        expected = sum(cell.expected for cell in matrix.cells.values())
        said.append(f"not computed: {matrix.missing:,} of {expected:,} number{'' if expected == 1 else 's'}")
    return said


def below(matrices: Sequence[Matrix]) -> list[str]:
    """The caption of a picture: images, nulls, and what each hatched cell means."""
    images = sorted({n for matrix in matrices for n in matrix.images})
    head = [f"{span(f'{images[0]:,}', f'{images[-1]:,}')} images."] if images else []
    said = [f"{matrix.name}: {', '.join(filter(None, (nulls(matrix), *lacking(matrix))))}." for matrix in matrices]
    hatched = ["Hatched: undefined, or without meaning, as said."] if any(matrix.troubles for matrix in matrices) else []
    return [*head, *(line for line in said if not line.endswith(": .")), *hatched]


def places(found: Sequence[Place], matrix: Matrix) -> str:
    """Whole rows and columns by their layer, the rest one by one: "bn3 × all, all × fc, bn1 × bn2, and 3 more"."""
    rows = [front for front in matrix.front_layers if _all(found, [(front, end) for end in matrix.end_layers], matrix)]
    cols = [end for end in matrix.end_layers if _all(found, [(front, end) for front in matrix.front_layers], matrix)]
    if len(matrix.cells) > 1 and set(matrix.cells) <= set(found):
        return "everywhere"
    rest = [f"{front} × {end}" for front, end in found if front not in rows and end not in cols]
    more = [f"and {len(rest) - NAMED} more"] if len(rest) > NAMED else []
    return ", ".join([*(f"{row} × all" for row in rows), *(f"all × {col}" for col in cols), *rest[:NAMED], *more])


def span(low: str, high: str) -> str:
    """ "1 to 3", or the one."""
    return low if low == high else f"{low} to {high}"


def _all(found: Sequence[Place], line: Sequence[Place], matrix: Matrix) -> bool:
    there = [place for place in line if place in matrix.cells]
    return len(there) > 1 and set(there) <= set(found)
