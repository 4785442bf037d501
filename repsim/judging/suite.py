"""Owns the judgement: every test for everything that was measured, and what each test asks, in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from repsim.judging import groups, layers, outputs, sensitivity
from repsim.judging.readings import GROUPED, Readings
from repsim.judging.score import NOTHING, Score
from repsim.judging.statistics import mean

RESI, KORNBLITH, DING = "Klabunde et al. 2025", "Kornblith et al. 2019", "Ding et al. 2021"


@dataclass(frozen=True)
class Column:
    """One column: its sweep's kind and its score there, a head, what it asks, who asked first, what chance scores."""

    kind: str
    score: str
    head: str
    asks: str
    source: str
    chance: str = "0"


_ALIKE = "are networks {0} nearer to each other than to others? {1}, mean over groups"
_AP, _CONFORM = "area under the precision-recall curve", "share of (pair within a group, pair across) in the right order"
_PAIRS = "rank correlation over pairs of seeds of distance and {0}"
_MADE = {
    "label": "taught equally many random labels",
    "shortcut": "whose images had an equally telling cue",
    "augmentation": "trained with one augmentation",
}
COLUMNS = (
    Column("outputs", "accuracy", "accuracy", _PAIRS.format("difference in accuracy"), RESI),
    Column("outputs", "jensen_shannon", "JSD", _PAIRS.format("Jensen–Shannon divergence of the outputs"), RESI),
    Column("outputs", "agreement", "disagreement", _PAIRS.format("share of images answered differently"), RESI),
    *(
        Column(kind, "AUPRC", f"{kind} AUPRC", _ALIKE.format(made, _AP), RESI, "share of pairs within")
        for kind, made in _MADE.items()
    ),
    *(Column(kind, "conformity", f"{kind} conf.", _ALIKE.format(made, _CONFORM), RESI, "0.5") for kind, made in _MADE.items()),
    Column("layers", "correlation", "depth", "within a network, rank correlation of distance and layers between", RESI),
    Column("layers", "triples", "depth conf.", "within a network, share of triples of layers in the right order", RESI, "0.5"),
    Column("layers", "identity", "identity", "share of layers whose counterpart is the nearest layer", KORNBLITH, "1/layers"),
    Column("layers", "specificity", "specificity", "is the counterpart nearer than another layer of the own network?", DING, "0.5"),
    Column("ranks", "correlation", "sensitivity", "rank correlation of distance to a truncated layer and accuracy lost", DING),
    Column("ranks", "detection", "detection", "of truncations that cost over 5 points, share farther than any other seed", DING),
)
"""The columns of a judgement, in order."""
Judgement = dict[tuple[str, Column], Score]


def judge(readings: Readings) -> Judgement:
    """The score of everything in every test; NOTHING where the suite has not measured what the test takes."""
    found: Judgement = {}
    for name in readings.names:
        by_kind = _of(readings, name)
        found |= {(name, test): by_kind.get(test.kind, {}).get(test.score, NOTHING) for test in COLUMNS}
    return found


def _of(readings: Readings, name: str) -> dict[str, Mapping[str, Score]]:
    numbers = {kind: readings.of(kind, name) for kind in (*GROUPED, "outputs", "layers", "ranks")}
    found: dict[str, Mapping[str, Score]] = {
        kind: groups.scores(numbers[kind], readings.groups.get(kind, {})) for kind in GROUPED if numbers[kind]
    }
    found["outputs"] = outputs.scores(numbers["outputs"], readings) if numbers["outputs"] else {}
    found["layers"] = layers.scores(numbers["layers"], readings.order) if numbers["layers"] else {}
    found["ranks"] = sensitivity.scores(numbers["ranks"], numbers["layers"], readings) if numbers["ranks"] else {}
    return found


def places(judgement: Judgement) -> dict[str, float]:
    """Mean place of everything over the tests that scored it, from 1 (best); equal scores share the mean of their places."""
    from scipy.stats import rankdata

    found: dict[str, list[float]] = {}
    for test in COLUMNS:
        column = {name: score.value for (name, one), score in judgement.items() if one is test and isfinite(score.value)}
        if len(column) > 1:
            for name, place in zip(column, rankdata([-value for value in column.values()]), strict=True):
                found.setdefault(name, []).append(float(place))
    return {name: mean(ranks) for name, ranks in found.items()}
