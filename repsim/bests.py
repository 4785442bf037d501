"""Owns which cell of a row is its best: one that differs from every other by a paired interval, and none where none does."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from repsim import spreads
from repsim.interval import Interval
from repsim.spreads import Sample
from repsim.tablecells import Cell
from repsim.tablekeys import Key

Place = tuple[Key, Key]


def marked(
    cells: Mapping[Place, Cell], aim: Literal["min", "max", "none"], bootstrap: bool, out: Iterable[Place] = ()
) -> frozenset[Place]:
    """The cell of each row with the least (greatest) mean, where the 95 % interval of its difference to each other is beyond 0.

    Differences are those of the pairs of networks that both cells have, with units and spread of the cells themselves; nothing is
    adjusted for the number of columns. Cells without a number, and those of `out` (negative controls), are no candidates. Where two
    cells have too few units in common for an interval, none is marked.
    """
    if aim == "none":
        return frozenset()
    first = {row: ranked for row, ranked in _ranked(cells, aim, frozenset(out)).items() if len(ranked) > 1}
    asked = [(place, difference(cells[place], cells[other])) for place, *others in first.values() for other in others]
    found = spreads.intervals([sample for _, sample in asked], bootstrap)
    lost = {place for (place, _), one in zip(asked, found, strict=True) if not beyond_zero(one)}
    return frozenset(ranked[0] for ranked in first.values() if ranked[0] not in lost)


def difference(one: Cell, other: Cell) -> Sample:
    """one − other, of each pair of networks that both have."""
    pairs, first, second = matched(one, other)
    return pairs, [a - b for a, b in zip(first, second, strict=True)]


def matched(one: Cell, other: Cell) -> tuple[spreads.Pairs, Sequence[float], Sequence[float]]:
    """The pairs of networks that both have, and the values of each there."""
    if one.pairs == other.pairs:
        return one.pairs, one.values, other.values
    theirs = dict(zip(other.pairs, other.values, strict=True))
    both = [(pair, value) for pair, value in zip(one.pairs, one.values, strict=True) if pair in theirs]
    return tuple(pair for pair, _ in both), [value for _, value in both], [theirs[pair] for pair, _ in both]


def beyond_zero(found: Interval) -> bool:
    """Whether an interval has an end, and lies on one side of 0."""
    return found.low > 0 or found.high < 0


def _ranked(cells: Mapping[Place, Cell], aim: str, out: frozenset[Place]) -> dict[Key, list[Place]]:
    """By row, its candidates, the best first."""
    rows: dict[Key, list[Place]] = {}
    for place, cell in cells.items():
        if cell.n and place not in out:
            rows.setdefault(place[0], []).append(place)
    sign = 1 if aim == "min" else -1
    return {row: sorted(places, key=lambda place: sign * cells[place].mean) for row, places in rows.items()}
