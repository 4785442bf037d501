"""The layer-identity score: a layer's counterpart must be the nearest, and what cannot be decided is said."""

from math import isnan

import pytest
from comparison_rows import LAYERS, ORDER, expected, stored

from repsim import matrices
from repsim.counterparts import scores
from repsim.errors import InputError

PAIRS = (("a", "b"), ("a", "c"), ("b", "c"))
DIAGONAL = lambda run: 1.0 if run["front_layer"] == run["end_layer"] else 0.5  # noqa: E731
INDEX = {name: index for index, name in enumerate(LAYERS)}


def score_of(value, runs=None, **more):
    runs = runs or expected(pairs=PAIRS)
    (matrix,) = matrices.build(runs, stored(runs, value, **more), ORDER)
    return scores(matrix)


def test_counterparts_that_are_nearest_score_one_and_of_a_distance_none():
    for forth_or_back in score_of(DIAGONAL):
        assert (forth_or_back.score, forth_or_back.decided(), forth_or_back.count("right")) == (1.0, 9, 9)
    assert [one.score for one in score_of(DIAGONAL, scale="distance")] == [0.0, 0.0]
    assert [one.score for one in score_of(lambda run: 1 - DIAGONAL(run), scale="distance")] == [1.0, 1.0]


def test_the_two_directions_are_scored_apart():
    """bn2 of f is nearest to bn1 of g, which has a nearer layer: only the search from f goes wrong."""
    values = {("bn1", "bn1"): 0.9, ("bn2", "bn1"): 0.8, ("bn2", "bn2"): 0.7, ("bn10", "bn10"): 0.9}
    forth, back = score_of(lambda run: values.get((run["front_layer"], run["end_layer"]), 0.1))
    assert (forth.direction, back.direction) == ("front → end", "end → front")
    assert (forth.score, back.score) == (2 / 3, 1.0)
    assert forth.count("wrong", "bn2") == 3 and forth.taken["bn2"] == {"bn1": 3}


def test_equal_values_are_ties_to_rounding_and_count_against_the_measure():
    forth, _ = score_of(lambda run: 1.0 - 1e-14 * INDEX[run["end_layer"]])
    assert (forth.score, forth.count("tie"), forth.count("wrong")) == (0.0, 9, 0)
    assert forth.taken["bn1"] == {"bn2": 3, "bn10": 3}


def test_a_layer_whose_own_cell_is_undefined_is_left_out_and_one_beside_it_is_counted():
    forth, back = score_of(lambda run: "constant layer" if run["end_layer"] == "bn2" else DIAGONAL(run))
    assert (forth.decided(), forth.count("undefined"), forth.score) == (6, 3, 1.0)
    assert forth.unequal == 6  # one lost candidate for bn1 and for bn10, of three pairs
    assert (back.decided("bn2"), back.unequal) == (0, 0)


def test_nothing_computed_gives_no_score():
    forth, _ = score_of(lambda run: None)
    assert isnan(forth.score) and isnan(forth.interval.mean) and forth.decided() == 0


def test_the_interval_is_over_networks_of_the_share_of_each_pair():
    forth, _ = score_of(lambda run: DIAGONAL(run) if run["end_network"] == "b" else 1 - DIAGONAL(run))
    assert forth.score == pytest.approx(1 / 3)
    assert (forth.interval.mean, forth.interval.units, forth.interval.over) == (pytest.approx(1 / 3), 3, "networks")
    assert forth.interval.half > 0


def test_layers_that_only_one_network_has_are_candidates_but_have_no_counterpart():
    forth, back = score_of(DIAGONAL, expected(pairs=PAIRS, fronts=("bn1", "bn2"), ends=LAYERS))
    assert forth.layers == back.layers == ["bn1", "bn2"]
    assert (forth.chance, back.chance) == (1 / 3, 1 / 2)


@pytest.mark.parametrize(
    "runs",
    [
        [one for one in expected() if one["front_layer"] == one["end_layer"]],
        expected(fronts=("relu1", "relu2")),
        expected(fronts=("bn1",), ends=("bn1",)),
    ],
    ids=["diagonal only", "no common names", "one layer"],
)
def test_a_matrix_that_cannot_be_scored_is_refused(runs):
    with pytest.raises(InputError, match="needs every front layer with every end layer"):
        score_of(DIAGONAL, runs)
