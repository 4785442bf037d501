"""Owns the tests by prediction: whether networks that answer differently are found farther apart.

Source: Klabunde et al. 2025, ReSi, tests 1 and 2: rank correlation of distance with |difference in accuracy|, and with the
difference of the outputs. The p is that of a Mantel test: networks are permuted, not pairs, which share them.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from repsim.judging.readings import Number, Pair, Readings
from repsim.judging.score import NOTHING, Score
from repsim.judging.statistics import jackknife, permutation_p, spearman

FEWEST = 4  # networks of which a correlation over pairs is worth a number


def scores(numbers: Sequence[Number], readings: Readings) -> dict[str, Score]:
    """By accuracy, by Jensen–Shannon divergence, by disagreement."""
    accuracy = readings.accuracy
    pairs = {(one.front, one.end) for one in numbers}
    gaps = {pair: abs(accuracy[pair[0]] - accuracy[pair[1]]) for pair in pairs if accuracy.keys() >= set(pair)}
    known = {name: readings.outputs.get(name, {}) for name in ("jensen_shannon", "agreement")}
    return {name: _scored(numbers, by) for name, by in {"accuracy": gaps, **known}.items()}


def _scored(numbers: Sequence[Number], by: Mapping[Pair, float]) -> Score:
    both = {**{pair[::-1]: value for pair, value in by.items()}, **by}  # each is symmetric
    numbers = [one for one in numbers if (one.front, one.end) in both]
    networks = sorted({name for one in numbers for name in (one.front, one.end)})
    if len(networks) < FEWEST:
        return NOTHING
    place = {name: index for index, name in enumerate(networks)}

    def shuffled(order: np.ndarray) -> float:
        moved = [(networks[order[place[one.front]]], networks[order[place[one.end]]]) for one in numbers]
        told = [(one.distance, both[pair]) for one, pair in zip(numbers, moved, strict=True) if pair in both]
        return spearman(*zip(*told, strict=True)) if told else float("nan")

    def without(left: Sequence[str]) -> float:
        kept = [one for one in numbers if one.front in left and one.end in left]
        return _correlation(kept, both)

    found = _correlation(numbers, both)
    return Score(found, jackknife(without, networks), permutation_p(found, shuffled, len(networks)), len(numbers), len(networks))


def _correlation(numbers: Sequence[Number], by: Mapping[Pair, float]) -> float:
    return spearman([one.distance for one in numbers], [by[one.front, one.end] for one in numbers])
