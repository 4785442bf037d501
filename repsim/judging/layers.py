"""Owns the tests of layers: monotony within a network, identity and specificity across networks.

monotony     within a network, layers further apart are farther: rank correlation of distance and layers between, by source layer
             and direction; and the share of triples (i, j, k), j between i and k, with d(i, j) ≤ d(i, k) (ReSi, test 6)
identity     the nearest layer of another network is the counterpart; a tie is none (Kornblith et al. 2019, section 6.1)
specificity  a layer is nearer to its counterpart in a network of another seed than to another layer of its own (Ding et al. 2021)
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import product

from repsim.counterparts import judged
from repsim.judging.readings import Number
from repsim.judging.score import NOTHING, Score
from repsim.judging.statistics import jackknife, mean, spearman

Grid = Mapping[tuple[str, str], float]
"""Distance by front and end layer, of one pair of networks."""
Grids = Mapping[tuple[str, str], Grid]
FEWEST = 3  # layers: of fewer nothing can be said


def scores(numbers: Sequence[Number], order: Sequence[str]) -> dict[str, Score]:
    """All of them, averaged over networks or pairs of networks."""
    grids: dict[tuple[str, str], dict[tuple[str, str], float]] = {}
    for one in numbers:
        grids.setdefault((one.front, one.end), {})[one.front_layer, one.end_layer] = one.distance
    found = dict.fromkeys(place[side] for grid in grids.values() for place in grid for side in (0, 1))
    layers = [layer for layer in order if layer in found]
    if len(layers) < FEWEST:
        return dict.fromkeys(TESTS, NOTHING)
    return {name: _scored(grids, layers, test) for name, test in TESTS.items()}


def _scored(grids: Grids, layers: Sequence[str], test: "Callable[[Grids, Sequence[str]], list[float]]") -> Score:
    networks = sorted({name for pair in grids for name in pair})

    def score(left: Sequence[str]) -> float:
        return mean(test({pair: grid for pair, grid in grids.items() if set(pair) <= set(left)}, layers))

    values = test(grids, layers)
    return Score(mean(values), jackknife(score, networks), n=len(values), networks=len(networks)) if values else NOTHING


def correlations(grids: Grids, layers: Sequence[str]) -> list[float]:
    """Rank correlation of distance and steps, per network: mean over source layers and directions."""
    found = []
    for (front, end), grid in grids.items():
        if front == end:
            found.append(mean([_correlation(grid, source, way) for source, way in _ways(layers)]))
    return found


def triples(grids: Grids, layers: Sequence[str]) -> list[float]:
    """Share of triples in the right order, per network."""
    found = []
    for (front, end), grid in grids.items():
        if front == end:
            told = [[grid[source, layer] for layer in way if (source, layer) in grid] for source, way in _ways(layers)]
            orders = [near <= far for row in told for i, near in enumerate(row) for far in row[i + 1 :]]
            found.append(mean(orders))
    return found


def identity(grids: Grids, layers: Sequence[str]) -> list[float]:
    """Share of layers whose counterpart is the nearest, per pair of networks: front → end and end → front together."""
    found = []
    for (front, end), grid in grids.items():
        if front != end:
            rows = [({other: grid.get((layer, other)) for other in layers}, layer) for layer in layers]
            rows += [({other: grid.get((other, layer)) for other in layers}, layer) for layer in layers]
            verdicts = [judged(row, layer, nearer_is_more=False)[0] for row, layer in rows]
            found.append(mean([float(verdict == "right") for verdict in verdicts if verdict != "undefined"]))
    return found


def specificity(grids: Grids, layers: Sequence[str]) -> list[float]:
    """Share of (layer, other layer of its own network) in which the counterpart is strictly nearer, per pair of networks."""
    found = []
    for (front, end), grid in grids.items():
        if front != end and (front, front) in grids:
            own = grids[front, front]
            asked = [(a, b) for a, b in product(layers, layers) if a != b and (a, a) in grid and (a, b) in own]
            found.append(mean([float(grid[a, a] < own[a, b]) for a, b in asked]))
    return found


def _ways(layers: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Each layer with those after it, nearest first, and with those before it."""
    after = [(layer, list(layers[i + 1 :])) for i, layer in enumerate(layers)]
    return after + [(layer, list(layers[:i])[::-1]) for i, layer in enumerate(layers)]


def _correlation(grid: Grid, source: str, way: Sequence[str]) -> float:
    told = [(grid[source, layer], steps) for steps, layer in enumerate(way) if (source, layer) in grid]
    return spearman(*zip(*told, strict=True)) if len(told) > 1 else float("nan")


TESTS: dict[str, Callable[[Grids, Sequence[str]], list[float]]] = {
    "correlation": correlations,
    "triples": triples,
    "identity": identity,
    "specificity": specificity,
}
