"""Owns how a paired comparison of two columns is put into words and records."""

from math import isfinite, isnan
from typing import TYPE_CHECKING, Any

from repsim.report.wording import number, over, title

if TYPE_CHECKING:
    from repsim.pairing import Comparison, Line
    from repsim.table import Table

SMALL = 1e-4  # a p that is less is told so
NUMBERS = ("mean_a", "mean_b", "difference", "low", "high", "t", "p", "p_holm", "p_signs", "d", "below")
COUNTS = ("n_pairs", "n_units", "df")


def header(table: "Table") -> list[str]:
    """Names of the columns of the comparison of a table."""
    found = _found(table)
    signs = ["p, signs"] if _signs(found) else []
    return [*table.row_names, "pairs", found.a, found.b, "difference", "t (df)", "p", "p, Holm", *signs, "d", "below"]


def line_texts(line: "Line", table: "Table") -> list[str]:
    """One row of it."""
    test = line.test
    signs = [_p(test.p_flip)] if _signs(_found(table)) else []
    t = "–" if isnan(test.t) else f"{test.t:.2f} ({test.df})"
    share = "–" if isnan(test.below) else f"{round(test.below * line.n)}/{line.n}"
    effect = f"{test.effect:.2f}" if isfinite(test.effect) else "–"
    means = [number(line.a, table), number(line.b, table)]
    return [*line.row, str(line.n), *means, _difference(line, table), t, _p(test.p), _p(line.p_holm), *signs, effect, share]


def comparison_caption(table: "Table") -> str:
    """What is compared, over what, by which test."""
    found = _found(table)
    how = "bootstrap" if table.definition.spread == "bootstrap" else "jackknife"
    tested = sum(not isnan(line.test.p) for line in found.lines)
    parts = [
        f"{title(table)}, over the {table.unit_of_mean}s that both have.",
        f"Difference: {found.a} − {found.b}, mean with 95 % interval{over((line.difference for line in found.lines), how)}.",
        "t: mean by its jackknife error over independent units, df = units − 1, which respects that pairs share networks (for"
        " disjoint pairs it is the paired t test). p: two-sided; Holm: adjusted over all rows shown"
        + (f" ({tested} here)." if table.page else f" ({tested})."),
    ]
    if _signs(found):
        parts.append("Signs: exact p over all sign flips of units that share no network.")
    parts.append(f"d: Cohen's d_z with Hedges' correction, over pairs. Below: {table.unit_of_mean}s in which {found.a} is less.")
    return " ".join(parts)


def comparison_records(table: "Table") -> list[dict[str, Any]]:
    """One flat dictionary per row, unrounded, in the unit of the table; None where there is no number."""
    return [_record(table, line) for line in _found(table).lines] if table.comparison else []


def _record(table: "Table", line: "Line") -> dict[str, Any]:
    found, test, d = _found(table), line.test, line.difference
    labels = dict(zip((*table.page_names, *table.row_names), (*table.page, *line.row), strict=True))
    values = (line.a, line.b, d.mean, d.low, d.high, test.t, test.p, line.p_holm, test.p_flip, test.effect, test.below)
    numbers = {name: value if isfinite(value) else None for name, value in zip(NUMBERS, values, strict=True)}
    counts = dict(zip(COUNTS, (line.n, d.units, test.df), strict=True))
    said = {"a": found.a, "b": found.b, "value": table.definition.value, "unit": table.unit}
    return labels | said | counts | numbers | {"units": d.over}


def _found(table: "Table") -> "Comparison":
    assert table.comparison is not None
    return table.comparison


def _signs(found: "Comparison") -> bool:
    return any(not isnan(line.test.p_flip) for line in found.lines)


def _difference(line: "Line", table: "Table") -> str:
    d = line.difference
    if table.definition.spread == "bootstrap":
        return f"{number(d.mean, table)} [{number(d.low, table)}, {number(d.high, table)}]"
    return f"{number(d.mean, table)} ± {number(d.half, table)}"


def _p(value: float) -> str:
    if isnan(value):
        return "–"
    return f"< {SMALL:.4f}" if value < SMALL else f"{value:.4f}"
