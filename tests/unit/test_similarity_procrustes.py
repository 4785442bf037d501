"""Shape measures against SciPy, published values and their definitions on the rows themselves."""

import math

import numpy as np
import pytest
import scipy.linalg
import scipy.spatial
import torch
from moment_fixtures import centred, fixture_a, fixture_b, fixture_c, normal, related, rotation

from repsim.errors import InputError
from repsim.similarity import singular
from repsim.similarity.cca import cca, cca_squared
from repsim.similarity.moments import between
from repsim.similarity.procrustes import (
    nbs,
    ortho_procrustes,
    procrustes,
    procrustes_angular,
    procrustes_half,
    procrustes_scaled,
    procrustes_size_and_shape,
    procrustes_squared,
    shape,
)
from repsim.similarity.similarity import OK
from repsim.similarity.singular import SMALL

DISTANCES = [procrustes, procrustes_squared, procrustes_half, procrustes_angular, procrustes_scaled]
PUBLISHED = {
    procrustes_squared: 0.527489,
    procrustes: 0.726285,
    procrustes_half: 0.263745,
    procrustes_angular: 0.743276,
    procrustes_scaled: 0.457928,
    procrustes_size_and_shape: 30.0833,
}


def padded(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Zeros behind the channels of the narrower one."""
    width = max(x.shape[1], y.shape[1])
    return tuple(np.pad(rows, ((0, 0), (0, width - rows.shape[1]))) for rows in (x, y))  # pyright: ignore


def nu(x: np.ndarray, y: np.ndarray) -> float:
    """By singular values of the rows' own product."""
    return float(np.linalg.svd(x.T @ y, compute_uv=False).sum() / (np.linalg.norm(x) * np.linalg.norm(y)))


def partly_whitened(rows: np.ndarray, alpha: float) -> np.ndarray:
    """X(αI + (1 − α)(XᵀX)^{−½}) with the total variance of X, by SciPy's matrix functions."""
    root = scipy.linalg.inv(scipy.linalg.sqrtm(rows.T @ rows))
    mixed = rows @ (alpha * np.eye(len(root)) + (1 - alpha) * np.real(root))
    return mixed * np.linalg.norm(rows) / np.linalg.norm(mixed)


# values


def test_published_core_of_fixtures_a_and_b():
    assert nbs(*fixture_a()).value == pytest.approx(0.7362553106, abs=5e-11)
    assert nbs(*fixture_b()).value == pytest.approx(0.8716868988, abs=5e-11)


@pytest.mark.parametrize("measure", PUBLISHED, ids=lambda measure: measure.__name__)
def test_published_scalings_of_fixture_a(measure):
    assert measure(*fixture_a()).value == pytest.approx(PUBLISHED[measure], rel=2e-6)


def test_published_similarity_of_fixture_c_is_not_centred():
    x, y = fixture_c()
    assert ortho_procrustes(x, y).value == pytest.approx(0.6599008, abs=5e-8)
    rows = [layer.flatten(0, 1).numpy() for layer in (x, y)]
    assert ortho_procrustes(x, y).value == pytest.approx(1 - math.sqrt(2 - 2 * nu(*rows)) / 2, abs=1e-12)


def test_the_core_is_what_scipys_rotation_gains():
    x, y = related(p=4, q=4)
    gain = scipy.linalg.orthogonal_procrustes(centred(x), centred(y))[1]
    assert nbs(x, y).value == pytest.approx(gain / (np.linalg.norm(centred(x)) * np.linalg.norm(centred(y))), abs=1e-13)


@pytest.mark.parametrize(("p", "q"), [(4, 4), (5, 3), (2, 6)])
def test_the_scaled_distance_is_scipys_disparity_with_zeros_for_missing_channels(p, q):
    x, y = related(p=p, q=q)
    disparity = scipy.spatial.procrustes(*padded(centred(x), centred(y)))[2]
    assert procrustes_scaled(x, y).value == pytest.approx(disparity, abs=1e-12)


def test_size_and_shape_is_what_the_best_rotation_leaves():
    x, y = related(p=4, q=4)
    turn = scipy.linalg.orthogonal_procrustes(centred(x), centred(y))[0]
    assert procrustes_size_and_shape(x, y).value == pytest.approx(np.linalg.norm(centred(x) @ turn - centred(y)), rel=1e-12)


def test_size_and_shape_of_a_scaled_layer_is_the_difference_of_sizes():
    x, _ = related()
    size = np.linalg.norm(centred(x))
    assert procrustes_size_and_shape(x, 3 * x @ rotation(5)).value == pytest.approx(2 * size, rel=1e-12)


@pytest.mark.parametrize("measure", DISTANCES, ids=lambda measure: measure.__name__)
def test_a_rotated_scaled_and_shifted_layer_is_no_distance_away(measure):
    x, _ = related()
    assert measure(x, 0.1 * x @ rotation(5) + 4).value == pytest.approx(0.0, abs=1e-7)
    assert measure(x, x).value == pytest.approx(0.0, abs=1e-7)


def test_a_stretched_layer_is_some_distance_away():
    x, _ = related()
    assert float(procrustes(x, x * torch.tensor([1.0, 1, 1, 1, 9]))) > 0.05


def test_shifts_move_ortho_procrustes_and_rotations_do_not():
    x, y = related()
    assert ortho_procrustes(x @ rotation(5) * 3, y).value == pytest.approx(ortho_procrustes(x, y).value, abs=1e-12)
    assert abs(float(ortho_procrustes(x + 5, y)) - float(ortho_procrustes(x, y))) > 1e-2


def test_the_angle_is_a_metric_on_random_layers():
    layers = [normal(30, width, seed=width) for width in (2, 3, 5, 7)]
    angle = np.array([[float(procrustes_angular(x, y)) for y in layers] for x in layers])
    assert np.allclose(angle, angle.T, atol=1e-7)
    assert all(angle[i, k] <= angle[i, j] + angle[j, k] + 1e-12 for i in range(4) for j in range(4) for k in range(4))


@pytest.mark.parametrize("width", [SMALL + 20, SMALL])
def test_fewer_images_than_channels_are_compared_within_the_images(width):
    x, y = normal(40, width), normal(40, width + 10, seed=1)
    assert nbs(x, y).value == pytest.approx(nu(centred(x), centred(y)), abs=1e-11)


def test_a_wide_layer_is_compared_to_eight_digits():
    x = normal(500, SMALL + 40) * torch.logspace(0, -4, SMALL + 40, dtype=torch.float64)
    y = x @ normal(SMALL + 40, SMALL + 20, seed=1) + normal(500, SMALL + 20, seed=2)
    assert nbs(x, y).value == pytest.approx(nu(centred(x), centred(y)), abs=1e-8)


def test_large_means_of_single_precision_leave_the_shape_alone():
    x, y = related(n=200)
    far = [(rows + 100).float() for rows in (x, y)]
    assert nbs(*far).value == pytest.approx(nbs(x, y).value, abs=1e-5)


def test_all_scalings_of_a_pair_share_its_singular_values(monkeypatch):
    calls, moments = [], between(*related())
    decompose = torch.linalg.svdvals
    monkeypatch.setattr(singular.torch.linalg, "svdvals", lambda matrix: calls.append(1) or decompose(matrix))
    values = [measure.of(moments).value for measure in [nbs, *DISTANCES, procrustes_size_and_shape, shape]]
    assert None not in values
    assert len(calls) == 1


def test_many_more_channels_than_images_give_the_same_by_either_way():
    x, y = normal(12, 40) + 5, normal(12, 30, seed=1) - 3
    for measure in (nbs, procrustes_size_and_shape, shape, ortho_procrustes):
        assert measure(x, y).value == pytest.approx(measure.of(between(x, y)).value, abs=1e-10)
    assert shape(x, y, alpha=0.5).value == pytest.approx(shape.of(between(x, y), alpha=0.5).value, abs=1e-10)


# partial whitening


@pytest.mark.parametrize(("p", "q"), [(4, 4), (5, 3)])
@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.9])
def test_partial_whitening_is_its_definition_on_the_rows(alpha, p, q):
    x, y = related(p=p, q=q)
    expected = math.acos(nu(partly_whitened(centred(x), alpha), partly_whitened(centred(y), alpha)))
    assert shape(x, y, alpha=alpha).value == pytest.approx(expected, abs=1e-10)


def test_without_whitening_the_shape_is_the_procrustes_angle():
    x, y = related()
    assert shape(x, y).value == shape(x, y, alpha=1.0).value == procrustes_angular(x, y).value


def test_whitened_layers_of_equal_rank_are_the_mean_correlation_apart():
    x, y = related(p=4, q=4)
    assert shape(x, y, alpha=0.0).value == pytest.approx(math.acos(float(cca(x, y))), abs=1e-10)


def test_whitened_layers_of_other_ranks_are_the_sum_of_correlations_over_the_mean_rank_apart():
    x, y = related(p=5, q=3)
    expected = math.acos(3 * float(cca(x, y)) / math.sqrt(15))
    assert shape(x, y, alpha=0.0).value == pytest.approx(expected, abs=1e-10)
    assert shape(x, y, alpha=0.0).details == {"rank_x": 5, "rank_y": 3}


def test_only_full_whitening_ignores_invertible_maps():
    x, y = related()
    mapped = x @ normal(5, 5, seed=6)
    assert shape(mapped, y, alpha=0.0).value == pytest.approx(shape(x, y, alpha=0.0).value, abs=1e-8)
    assert abs(float(shape(mapped, y, alpha=0.5)) - float(shape(x, y, alpha=0.5))) > 1e-3


def test_between_the_ends_the_unit_of_the_activations_matters():
    x, y = related()
    assert shape(1e-3 * x, y, alpha=0.5).value != pytest.approx(float(shape(x, y, alpha=0.5)), abs=1e-4)
    for alpha in (0.0, 1.0):
        assert shape(1e-3 * x, y, alpha=alpha).value == pytest.approx(shape(x, y, alpha=alpha).value, abs=1e-9)


def test_full_whitening_of_too_few_images_says_that_it_means_nothing():
    assert shape(*fixture_b(), alpha=0.0).status.startswith("ranks 19 + 19 exceed n − 1")
    assert shape(*fixture_b(), alpha=0.5).status == OK
    assert cca_squared(*fixture_b()).status == shape(*fixture_b(), alpha=0.0).status


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_an_alpha_outside_its_range_is_refused(alpha):
    with pytest.raises(InputError, match="alpha"):
        shape(*related(), alpha=alpha)


# undefined


@pytest.mark.parametrize("measure", [nbs, *DISTANCES, procrustes_size_and_shape, shape], ids=lambda measure: measure.__name__)
def test_a_constant_layer_has_no_shape(measure):
    x, _ = related()
    found = measure(x, torch.full_like(x, 3.0))
    assert found.value is None
    assert found.status == "constant layer (end)"


def test_ortho_procrustes_takes_a_constant_layer_but_not_zeros():
    x, _ = related()
    assert ortho_procrustes(x, torch.full_like(x, 3.0)).status == OK
    assert ortho_procrustes(x, torch.zeros_like(x)).value is None
    assert ortho_procrustes(x, torch.zeros_like(x)).status.startswith("constant layer")
