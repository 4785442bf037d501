"""Owns the statistics of the tests: average precision, conformity, rank correlation, the jackknife and the permutation test."""

from collections.abc import Callable, Sequence
from math import isfinite, nan
from typing import Any

import numpy as np

from repsim.interval import LEVEL

DRAWS, SEED = 199, 0  # of a permutation test: p in steps of 0.005, and a suite of fifty measures in seconds


def average_precision(within: Sequence[float], across: Sequence[float]) -> float:
    """Area under the precision-recall curve where pairs `within` a group should be nearer than those `across`: distances.

        AP = Σ_n (R_n − R_{n−1}) P_n, over the distinct distances in rising order (equal ones are told apart by no threshold)

    1: a threshold parts them; len(within) / all: chance. nan where one side is empty.
    """
    if not len(within) or not len(across):
        return nan
    values = np.concatenate([within, across])
    right = np.concatenate([np.ones(len(within)), np.zeros(len(across))])
    order = np.argsort(values, kind="stable")
    last = np.append(np.diff(values[order]) > 0, True)  # of each run of equal distances
    hits, taken = np.cumsum(right[order])[last], np.flatnonzero(last) + 1
    recall = np.append(0.0, hits / len(within))
    return float(np.sum(np.diff(recall) * hits / taken))


def conformity(within: Sequence[float], across: Sequence[float]) -> float:
    """Share of (pair within, pair across) in which the first is strictly nearer; chance 0.5, ties count against it."""
    if not len(within) or not len(across):
        return nan
    return float(np.mean(np.asarray(within)[:, None] < np.asarray(across)[None]))


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """Rank correlation, ties at their mean rank; nan for fewer than 2 numbers, or where either side is constant."""
    from scipy.stats import rankdata

    if len(one) < 2:
        return nan
    x, y = (rankdata(values) - (len(values) + 1) / 2 for values in (one, other))
    scale = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / scale) if scale else nan


def jackknife(score: Callable[[Sequence[Any]], float], units: Sequence[Any]) -> float:
    """Half-width of the 95 % interval of score(units), by leaving out one unit after the other; nan where the data cannot tell.

    half = t_{0.975, k−1} · sqrt((k−1)/k · Σ_u (s_u − mean of s)²), as in `interval.over_pairs`.
    """
    from scipy.special import stdtrit

    without = np.array([score([unit for unit in units if unit != out]) for out in units])
    count = len(without)
    if count < 3 or not np.isfinite(without).all():
        return nan
    error = np.sqrt((count - 1) / count * np.sum((without - without.mean()) ** 2))
    return float(stdtrit(count - 1, (1 + LEVEL) / 2) * error)


def permutation_p(found: float, score: Callable[[np.ndarray], float], count: int) -> float:
    """Share of orders of `count` labels, the given one among them, whose score is at least `found`: one-sided."""
    if not isfinite(found):
        return nan
    generator = np.random.default_rng(SEED)
    drawn = [score(generator.permutation(count)) for _ in range(DRAWS)]
    return (1 + sum(value >= found - 1e-12 for value in drawn)) / (1 + DRAWS)


def mean(values: Sequence[float]) -> float:
    """Of those that are finite; nan for none."""
    finite = [value for value in values if isfinite(value)]
    return sum(finite) / len(finite) if finite else nan
