"""Comparisons become matrices whose layers stand in the order of the networks, and whose cells tell what they lack."""

from math import isnan

import pytest
from comparison_rows import LAYERS, ORDER, expected, stored

from repsim import matrices

PAIRS = (("a", "b"), ("a", "c"), ("b", "c"))


def one_matrix(runs, value, **more):
    (found,) = matrices.build(runs, stored(runs, value, **more), ORDER)
    return found


def test_layers_stand_in_the_order_of_the_network_whatever_the_order_of_the_runs():
    runs = list(reversed(expected(fronts=("logits", *LAYERS))))
    matrix = one_matrix(runs, lambda run: 0.5)
    assert matrix.front_layers == ("bn1", "bn2", "bn10", "logits")
    assert matrix.end_layers == ("bn1", "bn2", "bn10")


def test_a_cell_is_the_mean_over_pairs_with_its_spread_and_its_count():
    runs = expected(pairs=PAIRS)
    cell = one_matrix(runs, lambda run: 0.1 * run["end_seed"] + 0.1 * run["front_seed"]).cells["bn1", "bn2"]
    assert cell.values == pytest.approx([0.1, 0.2, 0.3])
    assert (cell.mean, cell.std, cell.null) == pytest.approx((0.2, 0.1, 0.125))
    assert (cell.expected, cell.missing, cell.troubles) == (3, 0, {})


def test_a_cell_of_one_pair_has_no_spread_and_an_empty_one_no_mean():
    runs = expected()
    matrix = one_matrix(runs, lambda run: None if run["front_layer"] == "bn1" else 0.5)
    assert isnan(matrix.cells["bn2", "bn1"].std)
    assert isnan(matrix.cells["bn1", "bn1"].mean) and isnan(matrix.cells["bn1", "bn1"].null)
    assert matrix.missing == 3


def test_a_status_is_kept_with_its_places_and_never_averaged():
    runs = expected(pairs=PAIRS)
    dead = lambda run: "constant layer" if run["front_layer"] == "bn2" and run["front_network"] == "a" else 0.5  # noqa: E731
    matrix = one_matrix(runs, dead)
    assert matrix.cells["bn2", "bn1"].values == [0.5]
    assert matrix.cells["bn2", "bn1"].troubles == {"constant layer": 2}
    assert matrix.troubles == {"constant layer": [("bn2", end) for end in LAYERS]}


def test_a_number_that_means_nothing_is_shown_with_its_status():
    runs = expected()
    matrix = one_matrix(runs, lambda run: 1.0, status="rank of both ≥ n − 1")
    assert matrix.means == [1.0] * 9 and list(matrix.troubles) == ["rank of both ≥ n − 1"]


def test_only_what_differs_within_a_measure_names_its_matrices():
    runs = expected(measures=("cka_rbf",), bandwidth=(0.2, 0.4))
    runs += [{**one, "run_id": f"p{one['run_id']}"} for one in expected(measures=("cka",), bandwidth=(0.5,), front_rank=(None, 2))]
    names = [matrix.name for matrix in matrices.build(runs, {}, ORDER)]
    assert names == ["cka_rbf, bandwidth 0.2", "cka_rbf, bandwidth 0.4", "cka, front rank full", "cka, front rank 2"]


def test_architectures_are_never_averaged_together_and_one_network_is_named_with_its_seed():
    runs = expected(pairs=PAIRS)
    runs += [{**one, "run_id": f"o{one['run_id']}", "end_arch": "other"} for one in expected()]
    assert [matrix.title for matrix in matrices.build(runs, {}, ORDER)] == ["cka: net × net", "cka: net:0 × other:1"]


def test_what_is_not_asked_for_has_no_cell_and_what_is_not_stored_is_missing():
    runs = [one for one in expected() if one["front_layer"] == one["end_layer"]]
    matrix = one_matrix(runs, lambda run: None)
    assert set(matrix.cells) == {(name, name) for name in LAYERS}
    assert (matrix.missing, matrix.means, matrix.scale, matrix.images) == (3, [], "", ())


def test_checkpoints_are_frames_in_the_order_of_their_epochs_and_the_last_comes_last():
    runs = expected(pairs=(("a", "a"),), front_epoch=(None, 100, 20), end_epoch=(None,))
    (title, film), *rest = matrices.frames(runs, stored(runs, lambda run: (run["front_epoch"] or 200) / 200), ORDER).items()
    assert (title, rest) == ("cka: net:0 × net:0", [])
    assert list(film) == ["20", "100", "last"]
    assert [matrix.means[0] for matrix in film.values()] == [0.1, 0.5, 1.0]


def test_two_networks_at_the_same_epochs_are_frames_too_and_pairs_at_other_epochs_are_other_pairs():
    runs = [one for one in expected(front_epoch=(1, 2), end_epoch=(1, 2)) if one["front_epoch"] == one["end_epoch"]]
    (film,) = matrices.frames(runs, {}, ORDER).values()
    assert list(film) == ["1", "2"]
    matrix = matrices.build(runs, {}, ORDER)
    assert [one.pairs for one in matrix] == [(("a@1", "b@1"),), (("a@2", "b@2"),)]
