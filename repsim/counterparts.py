"""Owns the layer-identity score: whether the layer of g most similar to a layer of f is the one that bears its name."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isclose, nan
from typing import Literal

from repsim import interval
from repsim.errors import InputError
from repsim.matrix import Matrix, Number, Pair

Direction = Literal["front → end", "end → front"]
DIRECTIONS: tuple[Direction, ...] = ("front → end", "end → front")
Verdict = Literal["right", "wrong", "tie", "undefined"]
ROUNDING = 1e-9  # nearer values are equal: canonical correlations that are all 1 differ in their last digits


@dataclass(frozen=True)
class Score:
    """How often a layer's counterpart is the most similar layer of the other network.

        score = right / (right + wrong + ties), over all pairs of networks and all layers

    A tie (another layer is as similar, to rounding, and none is more) counts against the measure: it does not tell the layers
    apart. A layer whose own cell is undefined or not computed is not decided, and left out.

    Attributes:
        matrix: what was scored.
        direction: layers of which network are given, and among which one is sought.
        verdicts: by layer and pair of networks.
        taken: what was taken in the place of a layer, and how often, where the counterpart was not the most similar.
        unequal: undefined or missing cells among the candidates of decided layers.
        interval: of the share per pair of networks, 95 %, over independent networks (`repsim.interval`).

    Source: Kornblith et al. 2019, section 6.1.
    """

    matrix: Matrix
    direction: Direction
    verdicts: Mapping[tuple[str, Pair], Verdict]
    taken: Mapping[str, Counter[str]]
    unequal: int
    interval: interval.Interval

    @property
    def layers(self) -> list[str]:
        """Those that both networks have, in order."""
        return list(dict.fromkeys(layer for layer, _ in self.verdicts))

    def count(self, verdict: Verdict, layer: str | None = None) -> int:
        """How many layers (all, or that one) were judged so, over all pairs."""
        return sum(found == verdict and layer in (None, name) for (name, _), found in self.verdicts.items())

    def decided(self, layer: str | None = None) -> int:
        return sum(self.count(verdict, layer) for verdict in ("right", "wrong", "tie"))

    @property
    def score(self) -> float:
        """In [0, 1]; nan where nothing is decided."""
        return self.count("right") / self.decided() if self.decided() else nan

    @property
    def chance(self) -> float:
        """What a layer taken at random would score."""
        candidates = self.matrix.end_layers if self.direction == DIRECTIONS[0] else self.matrix.front_layers
        return 1 / len(candidates)


def scores(matrix: Matrix) -> list[Score]:
    """Both directions. Raises InputError for a matrix that is no full grid of at least two layers with common names."""
    shared = [layer for layer in matrix.front_layers if layer in set(matrix.end_layers)]
    full = len(matrix.cells) == len(matrix.front_layers) * len(matrix.end_layers)
    if not shared or not full or min(len(matrix.front_layers), len(matrix.end_layers)) < 2:
        do = "compare all layers with all: layers: {front: block, end: block, combine: all}, of networks with the same layer names"
        raise InputError("has no score: it needs every front layer with every end layer", where=matrix.title, do=do)
    return [_score(matrix, direction, shared) for direction in DIRECTIONS]


def both(found: Sequence[Score]) -> interval.Interval:
    """Of the share that is right per pair of networks, all of `found` together: the two directions of one matrix."""
    verdicts: dict[tuple[str, Pair], Verdict] = {}
    for score in found:
        verdicts |= {(f"{score.direction} {layer}", pair): verdict for (layer, pair), verdict in score.verdicts.items()}
    return _interval(verdicts, found[0].matrix.pairs)


def _score(matrix: Matrix, direction: Direction, shared: Sequence[str]) -> Score:
    verdicts: dict[tuple[str, Pair], Verdict] = {}
    taken: dict[str, Counter[str]] = {}
    unequal = 0
    for layer in shared:
        for pair in matrix.pairs:
            numbers = _candidates(matrix, direction, layer, pair)
            verdict, instead = judged(numbers, layer, matrix.nearer_is_more)
            verdicts[layer, pair] = verdict
            taken.setdefault(layer, Counter()).update(instead)
            unequal += 0 if verdict == "undefined" else sum(value is None for value in numbers.values())
    return Score(matrix, direction, verdicts, taken, unequal, _interval(verdicts, matrix.pairs))


def _candidates(matrix: Matrix, direction: Direction, layer: str, pair: Pair) -> dict[str, float | None]:
    """The values of one row, or of one column, of one pair of networks."""
    if direction == DIRECTIONS[0]:
        places = {end: (layer, end) for end in matrix.end_layers}
    else:
        places = {front: (front, layer) for front in matrix.front_layers}
    return {name: matrix.cells[place].numbers.get(pair, Number(None)).value for name, place in places.items()}


def judged(values: Mapping[str, float | None], layer: str, nearer_is_more: bool) -> tuple[Verdict, list[str]]:
    """The verdict on `layer`, and what was taken in its place."""
    sign = 1 if nearer_is_more else -1
    near = {name: sign * value for name, value in values.items() if value is not None}
    if layer not in near:
        return "undefined", []
    most = max(near.values())
    best = [name for name, value in near.items() if isclose(value, most, rel_tol=ROUNDING, abs_tol=ROUNDING)]
    if layer not in best:
        return "wrong", best
    return ("right", []) if len(best) == 1 else ("tie", [name for name in best if name != layer])


def _interval(verdicts: Mapping[tuple[str, Pair], Verdict], pairs: Sequence[Pair]) -> interval.Interval:
    """Of the share that is right, one per pair of networks with a decided layer."""
    shares: dict[Pair, float] = {}
    for pair in pairs:
        decided = [verdict for (_, of), verdict in verdicts.items() if of == pair and verdict != "undefined"]
        if decided:
            shares[pair] = decided.count("right") / len(decided)
    return interval.over_pairs(list(shares.values()), *([pair[side].split("@")[0] for pair in shares] for side in (0, 1)))
