"""Owns how a table is put into words: title, caption, and the text of a cell.

A cell reads `3.82 ± 0.41 (12/12)`: mean, half-width of the 95 % interval, finished of expected runs. Marks:

    3.82 ± 0.41 (11/12)*               short of its expected n
    3.82 ± 0.41 (9/12, 3 diverged)*    diverged runs have no value and are not averaged
    3.82 [3.41, 4.30] (12/12)          the ends of a bootstrap, which need not be symmetric
    3.82 ± – (1/1)                     too few independent networks for an interval; [–] of a bootstrap
    0.94 ± 0.01 (3/3)†                 a number whose status is not ok: it may mean nothing
    – (0/12, 12 undefined)             finished, but the value has no meaning for these runs
    – (0/12)*                          nothing finished yet
    (nothing)                          the sweep expects no run here
"""

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from repsim.resampling import DRAWS

if TYPE_CHECKING:
    from repsim.table import Cell, Table

VALUES = {
    "penalty": "Stitching penalty: (acc front + acc end)/2 − acc stitched",
    "penalty_end": "Penalty against the end network: acc end − acc stitched",
    "auroc": "AUROC",
    "relative_accuracy": "Relative accuracy: acc stitched / acc end",
}
OF_JOBS = {
    ("rotate", "penalty"): "Rotation penalty: acc with nothing inserted − acc rotated, both retrained",
    ("rotate", "penalty_original"): "Rotation penalty against the network itself: acc of the network − acc rotated",
}
UNITS = {
    "jackknife": {
        "networks": "jackknife over {} networks",
        "pairs": "t interval over {} disjoint pairs",
        "groups": "jackknife over {} groups of pairs that share no network",
    },
    "bootstrap": {
        "networks": f"expanded percentiles of {DRAWS:,} bootstrap draws of {{}} networks",
        "pairs": f"expanded percentiles of {DRAWS:,} bootstrap draws of {{}} disjoint pairs",
        "groups": f"expanded percentiles of {DRAWS:,} bootstrap draws of {{}} groups of pairs that share no network",
    },
}


def title(table: "Table") -> str:
    """What the numbers are, with their unit."""
    job, name = table.definition.job, table.definition.value
    told = OF_JOBS.get((job, name)) or VALUES.get(name) or name.replace("_", " ").capitalize()
    told += f" of {table.of}" if table.of else ""
    return told + (f", in {table.unit}" if table.unit else "")


NOUNS = {"pair": ("pair", "pairs of networks"), "network": ("network", "networks")}


class Marks(NamedTuple):
    """How a table or a picture shows n, a mean without an interval, and a cell that is short of its runs."""

    count: str
    bare: str
    short: str
    doubtful: str = "†"
    best: str = ""  # nothing: what is best is not marked
    brackets: bool = False  # both ends of a bootstrap stand there
    spread: bool = True  # stands beside each mean; else the caption says how large the spreads are
    line: str = "row"  # what competes for the best stands in one; a column where rows and columns have changed places


IN_TEXT = Marks(count="; (finished/expected runs)", bare="± –", short="*", best="◂", brackets=True)
IN_PRINT = IN_TEXT._replace(best="Bold")


def heading(table: "Table") -> str:
    """Which page it is, as "arch: tiny10"; nothing where the table has no pages."""
    return ", ".join(f"{name}: {label}" for name, label in zip(table.page_names, table.page, strict=True))


def caption(table: "Table", marks: Marks = IN_TEXT) -> str:
    """Value, convention, unit, spread, what ± is and over how many independent units, what n means, and what is marked."""
    cells = list(table.cells.values())
    asked = table.definition.spread
    interval = asked != "std"
    one, many = NOUNS[table.unit_of_mean]
    how = "bootstrap" if asked == "bootstrap" else "jackknife"
    spread = f"95 % interval{over(cells, how)}" if interval else f"std over {one}s"
    sign = " in brackets: " if asked == "bootstrap" and marks.brackets else " ± "
    said = (table.definition.title or "").strip()
    parts = [said if said[-1] in ".?!" else f"{said}."] if said else []
    beside = f"{sign}{spread}" if marks.spread else ""
    parts.append(f"{title(table)}. Mean over {many} (runs of a {one} averaged first){beside}{marks.count}.")
    halves = [] if marks.spread or not interval else [cell.half for cell in cells if isfinite(cell.half)]
    if halves:
        parts.append(f"Half a {spread}: {_between(halves, table)}.")
    stds = [cell.std for cell in cells if isfinite(cell.std)]
    if stds and (interval or not marks.spread):
        parts.append(f"Std over {one}s {_between(stds, table)}.")
    return " ".join([*parts, *_told(table, cells, marks), *_chosen(table), *filter(None, [table.note])])


def _between(values: Sequence[float], table: "Table") -> str:
    return _span([number(min(values), table), number(max(values), table)])


def _told(table: "Table", cells: Sequence["Cell"], marks: Marks) -> list[str]:
    """What the marks of cells mean, of those that there are."""
    parts, bare = [], "[–]" if table.definition.spread == "bootstrap" and marks.brackets else marks.bare
    if table.definition.spread != "std" and any(cell.n and not isfinite(cell.half) for cell in cells):
        parts.append(f"{bare}: too few independent networks for an interval.")
    short = sum(cell.short for cell in cells)
    if short:
        parts.append(f"{marks.short}: short of the expected runs ({short} of {len(cells)} cells).")
    doubtful = sum(cell.doubtful > 0 for cell in cells)
    if doubtful:
        parts.append(f"{marks.doubtful}: the status of a number is not ok, it may mean nothing ({doubtful} of {len(cells)} cells).")
    if table.best and marks.best:
        aim = {"min": "least", "max": "greatest"}[table.definition.aim]
        parts.append(f"{marks.best}: {aim} of its {marks.line}, beyond the 95 % interval of its paired difference to every other.")
    return parts


def _chosen(table: "Table") -> list[str]:
    """Which runs there are, where not all are, and which labels say less than they seem to."""
    parts = []
    if where := table.definition.where:
        said = "; ".join(f"{key} {' or '.join(map(str, values))}" for key, values in where.items())
        parts.append(f"Only runs with {said}.")
    if table.of_rows_only:
        names = ", ".join(table.of_rows_only)
        parts.append(f"{names}: known of stored runs alone, so that n of expected says nothing there of runs that are missing.")
    return parts


def cell_text(cell: "Cell | None", table: "Table") -> str:
    """One cell in the format that this module's docstring documents."""
    if cell is None:
        return ""
    without = "".join(f", {n} {why}" for n, why in ((cell.diverged, "diverged"), (cell.undefined, "undefined")) if n)
    count = f"({cell.n}/{cell.expected}{without}){'†' if cell.doubtful else ''}{'*' if cell.short else ''}"
    if not cell.n:
        return f"– {count}"
    return f"{number(cell.mean, table)} {_spread(cell, table)} {count}"


def _spread(cell: "Cell", table: "Table") -> str:
    if table.definition.spread != "bootstrap":
        return f"± {number(cell.std if table.definition.spread == 'std' else cell.half, table)}"
    return f"[{number(cell.low, table)}, {number(cell.high, table)}]" if isfinite(cell.half) else "[–]"


def number(value: float, table: "Table") -> str:
    """Two decimals for accuracy points, else four significant digits; never "-0.00"; "–" for none."""
    if not isfinite(value):
        return "–"
    text = f"{value:.2f}" if table.definition.in_points else f"{value:.4g}"
    return text.removeprefix("-") if float(text) == 0 else text


def over(cells: Iterable[Any], how: str) -> str:
    """Over what intervals were formed: " (jackknife over 4 networks)", with a range where they differ."""
    counts: dict[str, set[int]] = {}
    for cell in cells:
        if isfinite(cell.half):
            units, count = (cell.units, cell.n_units) if hasattr(cell, "n_units") else (cell.over, cell.units)
            counts.setdefault(units, set()).add(count)
    told = [UNITS[how][kind].format(_span([str(min(n)), str(max(n))])) for kind, n in sorted(counts.items())]
    return f" ({' or '.join(told)})" if told else ""


def _span(ends: list[str]) -> str:
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"
