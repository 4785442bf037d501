"""Owns the test of sensitivity: whether principal components that a network needs are missed when they are taken out of a layer.

correlation  rank correlation of d(layer at rank r, whole layer) with the accuracy that the network loses by it, over layers, ranks
detection    of the truncations that cost more than 5 points of accuracy, the share that is farther from the whole layer than the
             same layer of every other seed is: what another seed changes already is no change worth a name
Source: Ding et al. 2021, Grounding representation similarity with statistical testing (deleted principal components; we let the
network itself go on from the truncated layer where they train a probe).
"""

from collections.abc import Mapping, Sequence

from repsim.judging.readings import LOGITS, Number, Readings, Truncated
from repsim.judging.score import NOTHING, Score
from repsim.judging.statistics import jackknife, mean, spearman

MATTERS = 0.05  # of accuracy


def scores(truncated: Sequence[Number], across: Sequence[Number], readings: Readings) -> dict[str, Score]:
    """Both, averaged over networks; `across` are the numbers between seeds, of which those of equal layers count."""
    drops = {place: readings.accuracy[place[0]] - kept for place, kept in readings.kept.items() if place[0] in readings.accuracy}
    found = {(one.front, one.front_layer, one.rank): one.distance for one in truncated if _is_own(one)}
    told = {place: distance for place, distance in found.items() if place in drops}
    networks = sorted({network for network, _, _ in told})
    if not networks:
        return {"correlation": NOTHING, "detection": NOTHING}
    noise = _noise(across)
    each = {name: _correlation(name, told, drops) for name in networks}
    seen = {name: _detection(name, told, drops, noise) for name in networks}
    return {"correlation": _over(each, len(told)), "detection": _over(seen, len(told))}


def _is_own(one: Number) -> bool:
    return one.front == one.end and one.front_layer == one.end_layer != LOGITS and one.rank is not None


def _noise(across: Sequence[Number]) -> dict[tuple[str, str], float]:
    """By network and layer, the distance to the farthest other seed."""
    found: dict[tuple[str, str], float] = {}
    for one in across:
        if one.front != one.end and one.front_layer == one.end_layer:
            for name in (one.front, one.end):
                found[name, one.front_layer] = max(one.distance, found.get((name, one.front_layer), one.distance))
    return found


def _correlation(network: str, told: Mapping[Truncated, float], drops: Mapping[Truncated, float]) -> float:
    places = [place for place in told if place[0] == network]
    return spearman([told[place] for place in places], [drops[place] for place in places])


def _detection(
    network: str, told: Mapping[Truncated, float], drops: Mapping[Truncated, float], noise: Mapping[tuple[str, str], float]
) -> float:
    places = [place for place in told if place[0] == network and drops[place] > MATTERS and place[:2] in noise]
    return mean([float(told[place] > noise[place[:2]]) for place in places])


def _over(values: Mapping[str, float], n: int) -> Score:
    half = jackknife(lambda left: mean([values[name] for name in left]), list(values))
    return Score(mean(list(values.values())), half, n=n, networks=len(values))
