"""Owns the cells of a table: what the runs of each come to, with mean, interval, n and expected n."""

from dataclasses import dataclass, field

import numpy as np

from repsim import spreads
from repsim.interval import Interval
from repsim.spreads import Pairs
from repsim.tableruns import DIVERGED, STORED, Measured


@dataclass(frozen=True)
class Cell:
    """One cell, in the unit of its table; nan where there is no number.

    `n` of `expected` runs are finished with a finite value; `diverged` runs are finished without one; of `undefined` runs the
    value has no meaning (a robust accuracy without an attack); `doubtful` runs have a value, and a status that is not ok. Runs of
    one pair of networks are averaged first (`values`, one per pair, as `pairs` names them), so that each pair weighs the same; mean
    and std are over pairs.
    In a table of single networks each is a pair of its own.
    """

    mean: float
    std: float
    low: float
    high: float
    n: int
    expected: int
    diverged: int
    undefined: int
    n_pairs: int
    n_units: int
    units: str
    values: tuple[float, ...]
    doubtful: int = 0
    pairs: Pairs = field(default=(), repr=False)

    @property
    def half(self) -> float:
        """Half-width of the 95 % interval."""
        return (self.high - self.low) / 2

    @property
    def short(self) -> bool:
        """Whether runs are missing, or diverged."""
        return self.n + self.undefined < self.expected


def cells(place: np.ndarray, count: int, runs: Measured, scale: float, bootstrap: bool) -> list[Cell]:
    """The cells with the numbers 0 … count − 1. A run that is expected twice in one cell counts once in it.

    Args:
        place: the cell of each expected run, (runs,).
        runs: what is known of them.
        scale: what values are multiplied by.
    """
    kept = _once(place, runs.run)
    place, value, outcome = place[kept], runs.value[kept], runs.outcome[kept]
    finite = np.isfinite(value)
    counts = [place, place[finite], place[outcome == DIVERGED], place[(outcome == STORED) & ~finite], place[runs.doubtful[kept]]]
    numbers = zip(*(np.bincount(one, minlength=count).tolist() for one in counts), strict=True)
    samples = _samples(place[finite], count, runs, kept[finite], scale)
    found = spreads.intervals(samples, bootstrap)
    return [_cell(*three) for three in zip(numbers, samples, found, strict=True)]


def _cell(counts: tuple[int, ...], sample: spreads.Sample, found: Interval) -> Cell:
    expected, n, diverged, undefined, doubtful = counts
    pairs, values = sample
    return Cell(
        mean=found.mean,
        std=found.std,
        low=found.low,
        high=found.high,
        n=n,
        expected=expected,
        diverged=diverged,
        undefined=undefined,
        n_pairs=len(pairs),
        n_units=found.units,
        units=found.over,
        values=tuple(values),
        doubtful=doubtful,
        pairs=pairs,
    )


def _once(place: np.ndarray, run: np.ndarray) -> np.ndarray:
    """Positions of the expected runs without those that stand in their cell already."""
    if int(run.max(initial=-1)) + 1 == len(run):
        return np.arange(len(run))
    _, first = np.unique(place * (int(run.max(initial=0)) + 1) + run, return_index=True)
    return np.sort(first)


def _samples(place: np.ndarray, count: int, runs: Measured, kept: np.ndarray, scale: float) -> list[spreads.Sample]:
    """The pairs of each cell, sorted, with the mean of the runs of each: in whichever order runs stood, the same to the bit."""
    front, end, value = runs.front[kept], runs.end[kept], runs.value[kept] * scale
    order = np.lexsort((value, end, front, place))
    place, front, end, value = place[order], front[order], end[order], value[order]
    starts = np.flatnonzero(_changes(place) | _changes(front) | _changes(end))
    means = np.add.reduceat(value, starts) / np.diff(starts, append=len(value)) if len(starts) else value
    place, front, end = place[starts], front[starts], end[starts]
    edges = np.searchsorted(place, np.arange(count + 1))
    named = _Named(runs.networks)
    return [
        (named(front[a:b], end[a:b]), means[a:b].tolist()) for a, b in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    ]


def _changes(values: np.ndarray) -> np.ndarray:
    return np.concatenate([[True], values[1:] != values[:-1]])[: len(values)]


class _Named:
    """Pairs by name; cells with the same pairs share one tuple of them."""

    def __init__(self, networks: list[str]):
        self._networks = networks
        self._known: dict[tuple[bytes, bytes], Pairs] = {}

    def __call__(self, front: np.ndarray, end: np.ndarray) -> Pairs:
        key = (front.tobytes(), end.tobytes())
        if key not in self._known:
            names = self._networks
            self._known[key] = tuple((names[f], names[e]) for f, e in zip(front.tolist(), end.tolist(), strict=True))
        return self._known[key]
