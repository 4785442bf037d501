"""Owns how a table is put into words: title, caption, and the text of a cell.

A cell reads `3.82 ± 0.41 (12/12)`: mean, half-width of the 95 % interval, finished of expected runs. Marks:

    3.82 ± 0.41 (11/12)*               short of its expected n
    3.82 ± 0.41 (9/12, 3 diverged)*    diverged runs have no value and are not averaged
    3.82 ± – (1/1)                     too few independent networks for an interval
    0.94 ± 0.01 (3/3)†                 a number whose status is not ok: it may mean nothing
    – (0/12, 12 undefined)             finished, but the value has no meaning for these runs
    – (0/12)*                          nothing finished yet
    (nothing)                          the sweep expects no run here
"""

from collections.abc import Iterable
from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from repsim.table import Cell, Table

VALUES = {
    "penalty": "Stitching penalty: (acc front + acc end)/2 − acc stitched",
    "penalty_end": "Penalty against the end network: acc end − acc stitched",
    "relative_accuracy": "Relative accuracy: acc stitched / acc end",
}
OF_JOBS = {
    ("rotate", "penalty"): "Rotation penalty: acc with nothing inserted − acc rotated, both retrained",
    ("rotate", "penalty_original"): "Rotation penalty against the network itself: acc of the network − acc rotated",
}
UNITS = {
    "networks": "jackknife over {} networks",
    "pairs": "t interval over {} disjoint pairs",
    "groups": "jackknife over {} groups of pairs that share no network",
}


def title(table: "Table") -> str:
    """What the numbers are, with their unit."""
    job, name = table.definition.job, table.definition.value
    told = OF_JOBS.get((job, name)) or VALUES.get(name) or name.replace("_", " ").capitalize()
    return told + (f", in {table.unit}" if table.unit else "")


NOUNS = {"pair": ("pair", "pairs of networks"), "network": ("network", "networks")}


class Marks(NamedTuple):
    """How a table or a picture shows n, a mean without an interval, and a cell that is short of its runs."""

    count: str
    bare: str
    short: str
    doubtful: str = "†"


IN_TEXT = Marks(count="; (finished/expected runs)", bare="± –", short="*")


def caption(table: "Table", marks: Marks = IN_TEXT) -> str:
    """Value, convention, unit, spread, what ± is and over how many independent units, and what n means."""
    cells = list(table.cells.values())
    interval = table.definition.spread == "interval"
    one, many = NOUNS[table.unit_of_mean]
    spread = f"95 % interval{_units(cells)}" if interval else f"std over {one}s"
    parts = [f"{title(table)}. Mean over {many} (runs of a {one} averaged first) ± {spread}{marks.count}."]
    stds = [cell.std for cell in cells if isfinite(cell.std)]
    if stds and interval:
        parts.append(f"Std over {one}s {_span([_number(min(stds), table), _number(max(stds), table)])}.")
    if interval and any(cell.n and not isfinite(cell.half) for cell in cells):
        parts.append(f"{marks.bare}: too few independent networks for an interval.")
    short = sum(cell.short for cell in cells)
    if short:
        parts.append(f"{marks.short}: short of the expected runs ({short} of {len(cells)} cells).")
    doubtful = sum(cell.doubtful > 0 for cell in cells)
    if doubtful:
        parts.append(f"{marks.doubtful}: the status of a number is not ok, it may mean nothing ({doubtful} of {len(cells)} cells).")
    return " ".join(parts)


def cell_text(cell: "Cell | None", table: "Table") -> str:
    """One cell in the format that this module's docstring documents."""
    if cell is None:
        return ""
    without = "".join(f", {n} {why}" for n, why in ((cell.diverged, "diverged"), (cell.undefined, "undefined")) if n)
    count = f"({cell.n}/{cell.expected}{without}){'†' if cell.doubtful else ''}{'*' if cell.short else ''}"
    if not cell.n:
        return f"– {count}"
    spread = cell.std if table.definition.spread == "std" else cell.half
    return f"{_number(cell.mean, table)} ± {_number(spread, table)} {count}"


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
