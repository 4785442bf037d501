"""Owns the bootstrap over model pairs: networks are drawn with replacement, and a pair comes as often as both of its networks.

    weight of pair (i, j) in a draw = m_i · m_j,        m = how often the draw took each unit of `interval.Units`
    interval = quantiles Φ(∓ sqrt(k/(k−1)) · t_{0.975, k−1}) of the weighted means over the draws

These are the quantiles of Hesterberg's expanded percentile interval. Plain percentiles (2.5 % and 97.5 %) are too narrow for few
networks: they take the normal distribution for Student's, and divide by k for k − 1. BCa has the same fault, and a bootstrap-t
needs draws with several distinct networks. How often each covers the true mean is measured by benchmarks/interval_coverage.py:
of intervals made of quantiles this one comes nearest to 95 % from six disjoint pairs on, and from six networks of which all pairs
are stitched (in a ring all cover too much); for four, where a draw holds few different ones, it covers 83 to 88 %, and the
jackknife (`interval`) 92 to 97 %. That is why the jackknife is what tables show where nothing is said.

Units, and so draws, are those of the jackknife. A network paired with itself comes m_i times. Draws without a pair are skipped.
The generator starts from SEED, so that equal numbers have equal intervals.

Sources: Snijders & Borgatti 1999, Non-parametric standard errors and tests for network statistics (vertices are drawn); Owen &
Eckles 2012, Bootstrapping data arrays of arbitrary order (products of weights); Hesterberg 2015, What teachers should know about
the bootstrap (expanded percentiles).
"""

from math import sqrt

import numpy as np

from repsim.interval import Units, quantile

DRAWS = 4000
SEED = 0
AT_ONCE = 1 << 22  # weights that are held at a time: 32 MB


def ends(values: np.ndarray, units: Units) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of the 95 % interval of the mean of each row of `values`, (cells, pairs); nan where the data cannot tell.

    All rows share the draws, as they share their pairs.
    """
    from scipy.special import ndtr

    if not units.tell:
        nothing = np.full(len(values), np.nan)
        return nothing, nothing
    tail = float(ndtr(-sqrt(units.count / (units.count - 1)) * quantile(units)))
    low, high = np.quantile(means(values, units), [tail, 1 - tail], axis=0)
    return low, high


def means(values: np.ndarray, units: Units, draws: int = DRAWS) -> np.ndarray:
    """The weighted mean of each row of `values`, (cells, pairs), in each draw that holds a pair, (at most draws, cells)."""
    rng = np.random.default_rng(SEED)
    first = values[:, :1]  # equal values then give an interval of width exactly 0
    step = max(1, AT_ONCE // max(1, len(units.first)))
    found = [_some(values - first, units, rng, min(step, draws - start)) for start in range(0, draws, step)]
    return np.concatenate(found) + first.T


def _some(values: np.ndarray, units: Units, rng: np.random.Generator, draws: int) -> np.ndarray:
    weights = _weights(units, rng, draws)
    total = weights.sum(1)
    held = total > 0
    return weights[held] @ values.T / total[held, None]


def _weights(units: Units, rng: np.random.Generator, draws: int) -> np.ndarray:
    """How often each draw holds each pair, (draws, pairs)."""
    taken = rng.multinomial(units.count, np.full(units.count, 1 / units.count), draws).astype(float)
    alone = units.first == units.second
    return taken[:, units.first] * np.where(alone, 1, taken[:, units.second])
