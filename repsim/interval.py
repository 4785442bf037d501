"""Owns the interval of a mean over pairs of networks: pairs that share a network are not independent."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Literal

import numpy as np

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """`mean` ± `half` from `units` independent units; `half` is nan where the data cannot tell it."""

    mean: float
    std: float
    half: float
    units: int
    over: Literal["networks", "pairs", "groups"]


def over_pairs(values: Sequence[float], front: Sequence[str], end: Sequence[str]) -> Interval:
    """Mean, standard deviation over pairs, and 95 % interval by a delete-one jackknife over independent units.

        half = t_{0.975, k−1} · sqrt( (k−1)/k · Σ_u (m_u − mean of m)² ),     m_u = mean of the pairs without unit u

    Networks are vertices and pairs are edges. Where the graph falls into several components these are the units
    (for disjoint pairs this is the t interval of the mean); where it hangs together the units are the networks, and
    a network takes all its pairs with it. Networks paired with themselves are units too. Fewer than two units, or a unit
    that all pairs touch: no interval.

    Args:
        values: one finite value per pair, (p,); several runs of one pair are averaged before.
        front: the front network of each pair, (p,).
        end: the end network of each pair, (p,).

    Sources: Arvesen 1969, Jackknifing U-statistics; Efron & Tibshirani 1993, An introduction to the bootstrap, eq. 11.5.
    """
    if not len(values):
        return Interval(nan, nan, nan, 0, "networks")
    pairs = np.asarray(values, dtype=float)
    touches, over = _units(front, end)
    std = float(pairs.std(ddof=1)) if len(pairs) > 1 else nan
    return Interval(float(pairs.mean()), std, _half_width(pairs, touches), len(touches), over)


def _units(front: Sequence[str], end: Sequence[str]) -> tuple[np.ndarray, Literal["networks", "pairs", "groups"]]:
    """Which unit touches which pair, a boolean matrix (units, pairs), and what the units are."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    names, index = np.unique([*front, *end], return_inverse=True)
    f, e = index[: len(front)], index[len(front) :]
    graph = coo_array((np.ones(len(f)), (f, e)), shape=(len(names), len(names)))
    count, component = connected_components(graph, directed=False)
    if count > 1:
        touches = component[f] == np.arange(count)[:, None]
        return touches, "networks" if list(front) == list(end) else "pairs" if count == len(f) else "groups"
    network = np.arange(len(names))[:, None]
    return (f == network) | (e == network), "networks"


def _half_width(values: np.ndarray, touches: np.ndarray) -> float:
    from scipy.special import stdtrit

    units, left = len(touches), (~touches).sum(1)
    if units < 2 or not left.all():
        return nan
    centred = values - values.mean()  # equal values then give a width of exactly 0
    without = (~touches) @ centred / left
    error = np.sqrt((units - 1) / units * np.sum((without - without.mean()) ** 2))
    return float(stdtrit(units - 1, (1 + LEVEL) / 2) * error)
