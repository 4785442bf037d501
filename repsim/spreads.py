"""Owns the intervals of many means at once: those over the same pairs of networks share units and draws."""

from collections.abc import Sequence
from math import nan

import numpy as np

from repsim import resampling
from repsim.interval import Interval, Units, errors, quantile, spread, units_of

Pairs = tuple[tuple[str, str], ...]
"""Front and end network of each pair."""
Sample = tuple[Pairs, Sequence[float] | np.ndarray]
"""Pairs of networks, and one finite value for each."""
NONE = Interval(nan, nan, nan, nan, 0, "networks")


def intervals(samples: Sequence[Sample], bootstrap: bool = False) -> list[Interval]:
    """The 95 % interval of the mean of each sample: by the jackknife of `interval.over_pairs`, or the bootstrap of `resampling`.

    A sample without pairs has no number.
    """
    alike: dict[Pairs, list[int]] = {}
    for place, (pairs, _) in enumerate(samples):
        alike.setdefault(pairs, []).append(place)
    found = [NONE] * len(samples)
    for pairs, places in alike.items():
        if pairs:
            values = np.array([samples[place][1] for place in places], dtype=float)
            for place, one in zip(places, _intervals(values, units(pairs), bootstrap), strict=True):
                found[place] = one
    return found


def units(pairs: Pairs) -> Units:
    """The independent units of these pairs."""
    number = {name: place for place, name in enumerate(sorted({name for pair in pairs for name in pair}))}
    codes = np.array([[number[front], number[end]] for front, end in pairs])
    return units_of(codes[:, 0], codes[:, 1])


def _intervals(values: np.ndarray, over: Units, bootstrap: bool) -> list[Interval]:
    """Of each row of `values`, (cells, pairs)."""
    means, stds = values.mean(1), spread(values)
    if bootstrap:
        low, high = resampling.ends(values, over)
    else:
        half = quantile(over) * errors(values, over)
        low, high = means - half, means + half
    numbers = zip(means.tolist(), stds.tolist(), low.tolist(), high.tolist(), strict=True)
    return [Interval(*four, over.count, over.over) for four in numbers]
