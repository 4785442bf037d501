"""Owns the interval of a mean over pairs of networks: pairs that share a network are not independent."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import nan
from typing import Any, Literal

import numpy as np

LEVEL = 0.95
Over = Literal["networks", "pairs", "groups"]


@dataclass(frozen=True)
class Interval:
    """`mean` in [`low`, `high`] from `units` independent units; both ends are nan where the data cannot tell them."""

    mean: float
    std: float
    low: float
    high: float
    units: int
    over: Over

    @property
    def half(self) -> float:
        """Half-width."""
        return (self.high - self.low) / 2


@dataclass(frozen=True)
class Units:
    """The independent units of some pairs: pair i touches the units `first[i]` and `second[i]`, which may be one.

    Networks are vertices and pairs are edges. Where the graph falls into several components these are the units; where it
    hangs together the units are the networks, and a network takes all its pairs with it. Networks paired with themselves are
    units too.
    """

    first: np.ndarray
    second: np.ndarray
    count: int
    over: Over

    @cached_property
    def touches(self) -> Any:
        """A sparse matrix of ones, (units, pairs)."""
        from scipy.sparse import csr_array

        pairs = np.arange(len(self.first))
        other = self.first != self.second
        rows, columns = np.concatenate([self.first, self.second[other]]), np.concatenate([pairs, pairs[other]])
        return csr_array((np.ones(len(rows)), (rows, columns)), shape=(self.count, len(pairs)))

    @cached_property
    def left(self) -> np.ndarray:
        """How many pairs are left without each unit, (units,)."""
        return len(self.first) - self.touches.sum(1)

    @property
    def tell(self) -> bool:
        """Whether there is an interval: no unit touches every pair, and there are two at least."""
        return self.count > 1 and bool(self.left.all())


def over_pairs(values: Sequence[float], front: Sequence[str], end: Sequence[str]) -> Interval:
    """Mean, standard deviation over pairs, and 95 % interval by a delete-one jackknife over independent units (`Units`).

        half = t_{0.975, k−1} · sqrt( (k−1)/k · Σ_u (m_u − mean of m)² ),     m_u = mean of the pairs without unit u

    For disjoint pairs this is the t interval of the mean. Fewer than two units, or a unit that all pairs touch: no interval.

    Args:
        values: one finite value per pair, (p,); several runs of one pair are averaged before.
        front: the front network of each pair, (p,).
        end: the end network of each pair, (p,).

    Sources: Arvesen 1969, Jackknifing U-statistics; Efron & Tibshirani 1993, An introduction to the bootstrap, eq. 11.5.
    """
    if not len(values):
        return Interval(nan, nan, nan, nan, 0, "networks")
    _, index = np.unique([*front, *end], return_inverse=True)
    units = units_of(index[: len(front)], index[len(front) :])
    pairs = np.asarray(values, dtype=float)[None]
    mean, half = float(pairs.mean()), quantile(units) * float(errors(pairs, units)[0])
    return Interval(mean, float(spread(pairs)[0]), mean - half, mean + half, units.count, units.over)


def units_of(front: np.ndarray, end: np.ndarray) -> Units:
    """The units of pairs of networks that are given as numbers, (p,) each."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    names, index = np.unique(np.concatenate([front, end]), return_inverse=True)
    f, e = index[: len(front)], index[len(front) :]
    graph = coo_array((np.ones(len(f)), (f, e)), shape=(len(names), len(names)))
    count, component = connected_components(graph, directed=False)
    if count == 1:
        return Units(f, e, len(names), "networks")
    alone = bool((f == e).all())
    return Units(component[f], component[f], count, "networks" if alone else "pairs" if count == len(f) else "groups")


def spread(values: np.ndarray) -> np.ndarray:
    """Standard deviation over pairs of (cells, pairs); nan for a single pair."""
    return values.std(axis=1, ddof=1) if values.shape[1] > 1 else np.full(len(values), nan)


def errors(values: np.ndarray, units: Units) -> np.ndarray:
    """Standard error of the mean of each row of `values`, (cells, pairs), by the jackknife; nan where there is no interval."""
    if not units.tell:
        return np.full(len(values), nan)
    apart = (values - values[:, :1]).T  # equal values then have an error of exactly 0
    without = (apart.sum(0) - units.touches @ apart) / units.left[:, None]
    return np.sqrt((units.count - 1) / units.count * ((without - without.mean(0)) ** 2).sum(0))


def quantile(units: Units) -> float:
    """How many standard errors reach to the end of the interval."""
    from scipy.special import stdtrit

    return float(stdtrit(max(units.count - 1, 1), (1 + LEVEL) / 2))
