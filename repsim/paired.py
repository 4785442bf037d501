"""Owns the test of a paired difference over pairs of networks that share networks, and the adjustment of many of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, isfinite, isnan, lgamma, log, nan

import numpy as np

from repsim import spreads
from repsim.interval import Units, errors
from repsim.spreads import Sample

MOST_UNITS = 20  # whose signs are flipped in every way: half a million ways


@dataclass(frozen=True)
class Test:
    """Of differences over pairs of networks; nan where the data cannot tell.

    Attributes:
        t: mean / jackknife error over independent units, which respects that pairs share networks.
        df: units − 1.
        p: two-sided, of Student's t. For disjoint pairs that is the paired t test.
        p_flip: two-sided, exact, over all signs of the units; only where units share no network, and are 2 to MOST_UNITS.
        effect: Cohen's d_z with Hedges' correction: J(df) · mean / standard deviation over pairs.
        below: share of pairs whose difference is less than 0.
    """

    t: float
    df: int
    p: float
    p_flip: float
    effect: float
    below: float


def test(sample: Sample) -> Test:
    """Whether the mean difference of a sample is 0.

    Sources: Arvesen 1969 (t of the jackknife); Fisher 1935, The design of experiments (signs); Hedges 1981 (the factor J).
    """
    pairs, values = sample
    if not pairs:
        return Test(nan, 0, nan, nan, nan, nan)
    units, row = spreads.units(pairs), np.asarray(values, dtype=float)
    t = _ratio(float(row.mean()), float(errors(row[None], units)[0]))
    df = units.count - 1
    std = float(row.std(ddof=1)) if len(row) > 1 else nan
    effect = correction(df) * float(row.mean()) / std if df > 1 and std > 0 else nan
    return Test(t, df, _two_sided(t, df), flipped(row, units), effect, float((row < 0).mean()))


def correction(df: int) -> float:
    """J(df) = Γ(df/2) / (sqrt(df/2) · Γ((df − 1)/2)), by which a standardised mean of few is too large."""
    return exp(lgamma(df / 2) - lgamma((df - 1) / 2) - log(df / 2) / 2)


def flipped(values: np.ndarray, units: Units) -> float:
    """Share of all sign flips of whole units whose mean is as far from 0; nan where units share networks, or are too many."""
    if not 2 <= units.count <= MOST_UNITS or (units.first != units.second).any():
        return nan
    parts = np.bincount(units.first, values, units.count)
    sums = parts[:1]  # the sign of the first is free: only whether sums are as far from 0 counts
    for part in parts[1:]:
        sums = np.concatenate([sums + part, sums - part])
    return float((np.abs(sums) >= abs(parts.sum()) * (1 - 1e-12)).mean())


def holm(p: Sequence[float]) -> list[float]:
    """Holm's adjustment: the i-th smallest of m times m − i + 1, never less than one before it; nan stays, and counts for none.

    Source: Holm 1979, A simple sequentially rejective multiple test procedure.
    """
    order = sorted((index for index, one in enumerate(p) if not isnan(one)), key=lambda index: p[index])
    adjusted, least = list(map(float, p)), 0.0
    for rank, index in enumerate(order):
        least = max(least, min(1.0, (len(order) - rank) * p[index]))
        adjusted[index] = least
    return adjusted


def _ratio(mean: float, error: float) -> float:
    if isnan(error):
        return nan
    return mean / error if error > 0 else 0.0 if mean == 0 else inf if mean > 0 else -inf


def _two_sided(t: float, df: int) -> float:
    from scipy.special import stdtr

    if isnan(t):
        return nan
    return float(2 * stdtr(df, -abs(t))) if isfinite(t) else 0.0
