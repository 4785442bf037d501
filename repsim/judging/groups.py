"""Owns the tests of groups: whether networks made alike are found nearer to each other than to networks made otherwise.

Source: Klabunde et al. 2025, ReSi, tests 3 to 5 (label randomisation, shortcut affinity, augmentation).
"""

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from repsim.judging.readings import Number
from repsim.judging.score import Score
from repsim.judging.statistics import average_precision, conformity, jackknife, mean, permutation_p

Split = Callable[[Sequence[float], Sequence[float]], float]


def scores(numbers: Sequence[Number], groups: Mapping[str, str]) -> dict[str, Score]:
    """`AUPRC` and `conformity`, each the mean over the groups; no score where fewer than two groups have two networks."""
    networks = sorted({name for one in numbers for name in (one.front, one.end)} & groups.keys())
    return {name: _scored(numbers, networks, groups, by) for name, by in (("AUPRC", average_precision), ("conformity", conformity))}


def _scored(numbers: Sequence[Number], networks: list[str], groups: Mapping[str, str], by: Split) -> Score:
    found = separation(numbers, networks, groups, by)

    def shuffled(order: np.ndarray) -> float:
        names = [groups[networks[place]] for place in order]
        return separation(numbers, networks, dict(zip(networks, names, strict=True)), by)

    half = jackknife(lambda left: separation(numbers, left, groups, by), networks)
    return Score(found, half, permutation_p(found, shuffled, len(networks)), len(numbers), len(networks))


def separation(numbers: Sequence[Number], networks: Collection[str], groups: Mapping[str, str], by: Split) -> float:
    """Mean over the groups of `by`(distances within the group, distances from it to others), among `networks` alone."""
    left = set(networks)
    pairs = [(groups[one.front], groups[one.end], one.distance) for one in numbers if one.front in left and one.end in left]
    found = []
    for group in dict.fromkeys(groups[name] for name in networks):
        within = [distance for front, end, distance in pairs if front == end == group]
        found.append(by(within, [distance for front, end, distance in pairs if (front == group) != (end == group)]))
    return mean(found) if len(found) > 1 else float("nan")
