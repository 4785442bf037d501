"""The tests of measures: what a perfect, a blind and an inverted measure score; statistics by independent implementations."""

from math import isnan

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score

from repsim.judging import groups, layers, outputs, sensitivity, suite
from repsim.judging.readings import Number, Readings, add, grouped
from repsim.judging.statistics import average_precision, conformity, jackknife, permutation_p, spearman
from repsim.report import judgement

NETWORKS = {f"{group}{seed}": group for group in "abc" for seed in range(4)}
LAYERS = ["one", "two", "three", "four"]
GENERATOR = np.random.default_rng(3)


def pairs(distance):
    names = list(NETWORKS)
    return [Number(f, e, "x", "x", distance(f, e)) for i, f in enumerate(names) for e in names[i + 1 :]]


def grids(distance, networks=("p", "q", "r")):
    """All pairs of layers within and between networks."""
    return [Number(f, e, a, b, distance(f, e, a, b)) for f in networks for e in networks for a in LAYERS for b in LAYERS]


def steps(one, other):
    return abs(LAYERS.index(one) - LAYERS.index(other))


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_and_rank_correlation_are_those_of_scikit_learn_and_scipy(seed):
    generator = np.random.default_rng(seed)
    within, across = generator.integers(0, 6, 7).astype(float), generator.integers(2, 9, 11).astype(float)  # with ties
    right, values = np.r_[np.ones(7), np.zeros(11)], np.r_[within, across]
    assert average_precision(within, across) == pytest.approx(average_precision_score(right, -values))
    assert spearman(within, across[:7]) == pytest.approx(stats.spearmanr(within, across[:7]).statistic)
    assert isnan(spearman([1.0, 1.0], [0.0, 1.0])) and isnan(average_precision([], [1.0]))


def test_ties_count_against_conformity_and_no_number_says_nothing():
    assert conformity([1.0, 2.0], [2.0, 3.0]) == 0.75
    assert isnan(conformity([], [1.0]))


def test_the_jackknife_of_a_mean_is_its_t_interval():
    values = [1.0, 2.0, 6.0, 4.0]
    half = jackknife(lambda left: float(np.mean([values[i] for i in left])), range(4))
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert half == pytest.approx((high - low) / 2)
    assert isnan(jackknife(lambda left: 0.0, range(2)))


def test_a_permutation_test_finds_what_is_there_and_not_what_is_not():
    target = np.arange(8.0)
    found = permutation_p(1.0, lambda order: float(np.corrcoef(target, target[order])[0, 1]), 8)
    assert found <= 0.005 and permutation_p(-1.0, lambda order: 0.0, 8) == 1.0


def test_a_measure_that_sees_the_groups_is_perfect_one_that_is_blind_scores_by_chance_and_an_inverted_one_nothing():
    sees = groups.scores(pairs(lambda f, e: float(f[0] != e[0])), NETWORKS)
    assert sees["AUPRC"].value == sees["conformity"].value == 1 and sees["AUPRC"].half == 0 and sees["AUPRC"].p <= 0.005
    inverted = groups.scores(pairs(lambda f, e: float(f[0] == e[0])), NETWORKS)
    assert inverted["conformity"].value == 0 and inverted["conformity"].p == 1
    blind = groups.scores(pairs(lambda f, e: GENERATOR.random()), NETWORKS)
    assert abs(blind["conformity"].value - 0.5) < 0.2 and blind["AUPRC"].p > 0.01
    assert isnan(groups.scores(pairs(lambda f, e: 0.0), dict.fromkeys(NETWORKS, "all"))["AUPRC"].value)


def test_distance_that_is_the_difference_of_the_outputs_correlates_perfectly_and_by_a_mantel_test_not_by_chance():
    place = {name: GENERATOR.random() for name in NETWORKS}
    readings = Readings(accuracy=place, outputs={"agreement": {(f, e): abs(place[f] - place[e]) for f in place for e in place}})
    found = outputs.scores(pairs(lambda f, e: (place[f] - place[e]) ** 2), readings)
    for name in ("accuracy", "agreement"):
        assert found[name].value == pytest.approx(1) and found[name].p <= 0.005 and found[name].n == 66
    assert isnan(found["jensen_shannon"].value)


def test_a_measure_that_counts_layers_passes_every_test_of_layers_and_one_that_sees_seeds_alone_passes_none():
    counts = layers.scores(grids(lambda f, e, a, b: steps(a, b) + 0.5 * (f != e)), LAYERS)
    assert {name: score.value for name, score in counts.items()} == pytest.approx(
        {"correlation": 1, "triples": 1, "identity": 1, "specificity": 1}
    )
    assert counts["identity"].networks == 3 and counts["identity"].half == pytest.approx(0)
    seeds = layers.scores(grids(lambda f, e, a, b: float(f != e)), LAYERS)
    assert seeds["identity"].value == 0 and seeds["specificity"].value == 0 and isnan(seeds["correlation"].value)
    away = layers.scores(grids(lambda f, e, a, b: -steps(a, b)), LAYERS)
    assert away["correlation"].value == pytest.approx(-1) and away["triples"].value == 0


def test_sensitivity_is_to_what_the_network_loses_and_detection_beyond_other_seeds():
    kept = {("p", layer, rank): 0.8 - 0.1 * (4 - rank) for layer in LAYERS for rank in (1, 2, 3, 4)}
    readings = Readings(accuracy={"p": 0.8, "q": 0.8}, kept=kept)
    truncated = [Number("p", "p", layer, layer, 4.0 - rank, rank) for layer in LAYERS for rank in (1, 2, 3, 4)]
    across = [Number("p", "q", layer, layer, 1.5) for layer in LAYERS]
    found = sensitivity.scores(truncated, across, readings)
    assert found["correlation"].value == pytest.approx(1)
    assert found["detection"].value == pytest.approx(2 / 3)  # ranks 1 and 2 of the three that cost 0.1 and more


def test_a_test_is_about_networks_that_differ_in_what_makes_its_groups_and_in_nothing_else():
    plain = {"label_noise": 0.0, "shortcut": None, "augment": None}
    made = {"a": plain, "b": plain, "c": plain, "d": plain | {"label_noise": 1.0}, "e": plain | {"shortcut": 1.0}}
    assert grouped("label", made) == {"a": "0.0", "b": "0.0", "c": "0.0", "d": "1.0"}
    assert set(grouped("shortcut", made)) == {"a", "b", "c", "e"} and set(grouped("outputs", made)) == {"a", "b", "c"}


def run(case=None, **fields):
    place = {"front_network": "a", "end_network": "b", "front_layer": "x", "end_layer": "x", "front_rank": None}
    return {**place, "run_id": str(sorted(fields.items())), "case": case, **fields}


def test_rows_become_distances_and_what_is_missing_is_counted():
    readings, networks = Readings(), {"a": {}, "b": {}}
    runs = [run(measure="cka"), run(measure="procrustes"), run(measure="rsa"), run(measure="agreement", front_layer="logits")]
    values = {"scale": "similarity", "front_accuracy": 0.7, "end_accuracy": 0.6}
    rows = {
        runs[0]["run_id"]: values | {"value": 0.9},
        runs[1]["run_id"]: values | {"value": 0.3, "scale": "distance"},
        runs[3]["run_id"]: values | {"value": 0.8},
    }
    add(readings, ["outputs"], runs, rows, networks, ["x"])
    assert [readings.of("outputs", name)[0].distance for name in ("cka", "procrustes")] == [-0.9, 0.3]
    assert readings.lacking == {("outputs", "rsa"): 1}
    assert readings.outputs == {"agreement": {("a", "b"): -0.8}} and readings.accuracy == {"a": 0.7, "b": 0.6}


def test_a_judgement_puts_the_best_first_says_what_each_column_asks_and_leaves_out_what_was_not_scored():
    networks = {name: {"label_noise": group} for name, group in NETWORKS.items()}
    readings = Readings(groups={"label": grouped("label", networks)})
    readings.numbers["label"] = {
        "blind": pairs(lambda f, e: GENERATOR.random()),
        "sees": pairs(lambda f, e: float(f[0] != e[0])),
    }
    found = suite.judge(readings)
    text = judgement.render(found, "markdown")
    assert text.index("| sees | 1.0 | 1.00 ± 0.00\\*") < text.index("| blind | 2.0 |")
    assert "label AUPRC: are networks taught equally many random labels" in text and "identity" not in text
    assert suite.places(found) == {"sees": 1.0, "blind": 2.0}
