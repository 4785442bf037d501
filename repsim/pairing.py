"""Owns the paired comparison of two columns of a table: row by row, over the pairs of networks that both have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan

from repsim import bests, paired, spreads
from repsim.errors import UserError, nearest
from repsim.interval import Interval
from repsim.tablecells import Cell
from repsim.tablekeys import Key


@dataclass(frozen=True)
class Line:
    """One row: over `n` pairs in common the mean of `a` and of `b`, of a − b (with its 95 % interval), and its test.

    `p_holm` is adjusted over all rows of all pages that have a p.
    """

    row: Key
    n: int
    a: float
    b: float
    difference: Interval
    test: paired.Test
    p_holm: float = nan


@dataclass(frozen=True)
class Comparison:
    """Two columns by name, and a line for each row of the table."""

    a: str
    b: str
    lines: tuple[Line, ...]


def name(col: Key) -> str:
    """What a column is called."""
    return " / ".join(col)


def columns(asked: Sequence[str], cols: Sequence[Key]) -> tuple[Key, Key]:
    """The two columns that are meant. Raises UserError for a name that no column has."""
    named = {name(col): col for col in cols}
    for one in asked:
        if one not in named:
            raise UserError(f"the table has no column '{one}'", where="table.compare", do=nearest(one, named))
    first, second = (named[one] for one in asked)
    return first, second


def comparison(cells: Mapping[tuple[Key, Key], Cell], rows: Sequence[Key], a: Key, b: Key, bootstrap: bool) -> Comparison:
    """Columns `a` and `b`, row by row; intervals by the table's own spread."""
    both = [_both(cells.get((row, a)), cells.get((row, b))) for row in rows]
    samples = [(pairs, [x - y for x, y in zip(first, second, strict=True)]) for pairs, first, second in both]
    found = spreads.intervals(samples, bootstrap)
    lines = [
        Line(row, len(pairs), _mean(first), _mean(second), difference, paired.test(sample))
        for row, (pairs, first, second), sample, difference in zip(rows, both, samples, found, strict=True)
    ]
    return Comparison(name(a), name(b), tuple(lines))


def adjusted(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """With Holm's adjustment over all lines of all of them."""
    p = iter(paired.holm([line.test.p for one in comparisons for line in one.lines]))
    return [replace(one, lines=tuple(replace(line, p_holm=next(p)) for line in one.lines)) for one in comparisons]


def _both(one: Cell | None, other: Cell | None) -> tuple[spreads.Pairs, Sequence[float], Sequence[float]]:
    return bests.matched(one, other) if one and other else ((), (), ())


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else nan
