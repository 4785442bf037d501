"""Canonical correlations against statsmodels, scikit-learn and their definitions, published values, ranks and nulls."""

from collections.abc import Hashable
from dataclasses import replace

import numpy as np
import pytest
import torch
from moment_fixtures import centred, fixture_a, fixture_b, normal, related, shuffles
from sklearn.cross_decomposition import CCA
from statsmodels.multivariate.cancorr import CanCorr

from repsim.errors import InputError
from repsim.similarity import spectrum
from repsim.similarity.cca import cca, cca_squared, pwcca, pwcca_reversed, svcca, svcca_squared
from repsim.similarity.moments import Drawn, between
from repsim.similarity.similarity import OK
from repsim.similarity.singular import SMALL, nuclear, singular_values
from repsim.similarity.stream import Stream

ALL = [cca, cca_squared, svcca, svcca_squared, pwcca, pwcca_reversed]


def correlations(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """By QR of the centred rows, never by moments."""
    return np.linalg.svd(np.linalg.qr(x)[0].T @ np.linalg.qr(y)[0], compute_uv=False)


def kept(rows: np.ndarray, variance: float) -> np.ndarray:
    """The scores of the fewest principal components that hold `variance`."""
    left, values, _ = np.linalg.svd(rows, full_matrices=False)
    held = np.cumsum(values**2) / np.sum(values**2)
    count = int(np.argmax(held >= variance)) + 1
    return left[:, :count] * values[:count]


def weighted(x: np.ndarray, y: np.ndarray) -> float:
    """PWCCA from the variates themselves."""
    basis = np.linalg.qr(x)[0]
    left, rho, _ = np.linalg.svd(basis.T @ np.linalg.qr(y)[0], full_matrices=False)
    alpha = np.abs((basis @ left).T @ x).sum(1)
    return float(alpha @ rho / alpha.sum())


# values


def test_published_values_of_fixture_a():
    x, y = fixture_a()
    assert cca(x, y).value == pytest.approx(0.7310139588, abs=5e-11)
    assert cca_squared(x, y).value == pytest.approx(0.5453963322, abs=5e-11)
    assert pwcca(x, y).value == pytest.approx(0.7346677196, abs=5e-11)
    assert pwcca_reversed(x, y).value == pytest.approx(0.7368405675, abs=5e-11)
    assert svcca(x, y).value == pytest.approx(0.7310139588, abs=5e-11)
    assert svcca(x, y, variance=0.9).value == pytest.approx(0.7057648081, abs=5e-11)


def test_svcca_says_how_many_components_it_kept():
    x, y = fixture_a()
    assert svcca(x, y).details == {"components_x": 10, "components_y": 10}
    assert svcca_squared(x, y, variance=0.9).details == {"components_x": 9, "components_y": 9}


def test_correlations_are_those_of_statsmodels():
    x, y = related()
    rho = np.asarray(CanCorr(centred(y), centred(x)).cancorr)
    assert cca(x, y).value == pytest.approx(np.mean(rho), abs=1e-12)
    assert cca_squared(x, y).value == pytest.approx(np.mean(np.square(rho)), abs=1e-12)


def test_correlations_are_those_of_scikit_learn():
    x, y = related()
    u, v = CCA(3, tol=1e-12, max_iter=20_000).fit_transform(x.numpy(), y.numpy())
    rho = [np.corrcoef(u[:, i], v[:, i])[0, 1] for i in range(3)]
    assert cca(x, y).value == pytest.approx(np.mean(rho), abs=1e-9)


@pytest.mark.parametrize("variance", [0.5, 0.9, 0.99, 1.0])
def test_svcca_is_principal_components_and_then_cca(variance):
    x, y = related(p=7, q=5)
    rho = correlations(kept(centred(x), variance), kept(centred(y), variance))
    assert svcca(x, y, variance=variance).value == pytest.approx(rho.mean(), abs=1e-11)
    assert svcca_squared(x, y, variance=variance).value == pytest.approx((rho**2).mean(), abs=1e-11)


@pytest.mark.parametrize(("p", "q"), [(5, 3), (3, 5), (4, 4)])
def test_pwcca_is_its_definition_on_the_variates_in_both_directions(p, q):
    x, y = related(p=p, q=q)
    assert pwcca(x, y).value == pytest.approx(weighted(centred(x), centred(y)), abs=1e-11)
    assert pwcca_reversed(x, y).value == pytest.approx(weighted(centred(y), centred(x)), abs=1e-11)


def test_details_of_pwcca_reversed_name_the_ranks_of_the_right_layers():
    x, y = related(p=5, q=3)
    assert pwcca_reversed(x, y).details == pwcca(x, y).details == {"rank_x": 5, "rank_y": 3}
    assert pwcca_reversed(x[:8], y[:8]).status == pwcca(x[:8], y[:8]).status
    assert pwcca(x[:8], y[:8]).status.startswith("ranks 5 + 3 exceed")


@pytest.mark.parametrize("measure", ALL)
def test_a_layer_is_itself(measure):
    x, _ = related()
    assert measure(x, x).value == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("measure", [cca, cca_squared])
def test_cca_ignores_invertible_maps_and_svcca_does_not(measure):
    x, y = related(p=5)
    mapped = x @ normal(5, 5, seed=7) * torch.logspace(-3, 3, 5, dtype=torch.float64) + 5
    assert measure(mapped, y).value == pytest.approx(measure(x, y).value, abs=1e-9)
    assert abs(float(svcca(mapped, y)) - float(svcca(x, y))) > 1e-2


# ranks


@pytest.mark.parametrize("measure", [cca, cca_squared, pwcca])
def test_more_channels_than_images_correlate_perfectly_and_the_status_says_so(measure):
    found = measure(*fixture_b())
    assert found.value == pytest.approx(1.0, abs=1e-12)
    assert found.status == "ranks 19 + 19 exceed n − 1 = 19: correlations of 1 by construction"
    assert found.details == {"rank_x": 19, "rank_y": 19}


def test_the_status_begins_where_correlations_must_be_1():
    x, y = normal(9, 5), normal(9, 4, seed=1)
    assert cca(x[:, :4], y).status == OK  # 4 + 4 = 9 − 1
    assert cca(x, y).status.startswith("ranks 5 + 4 exceed n − 1 = 8")
    assert float(cca(x[:, :4], y)) < 1 - 1e-3


def test_a_copied_and_a_constant_channel_change_nothing_but_the_width():
    x, y = related(p=4)
    wider = torch.cat([x, 3 * x[:, :2], torch.full((len(x), 1), 7.0)], 1)
    for measure in (cca, cca_squared):
        found = measure(wider, y)
        assert found.value == pytest.approx(measure(x, y).value, abs=1e-9)
        assert found.details["rank_x"] == 4


def test_channels_of_very_different_sizes_all_count():
    x, y = related(p=4)
    scaled = x * torch.tensor([1e-6, 1.0, 1e3, 1e6])
    assert cca(scaled, y).value == pytest.approx(cca(x, y).value, abs=1e-9)
    assert cca(scaled, y).details["rank_x"] == 4


def test_directions_below_the_rounding_of_the_products_are_cut():
    x, y = related(n=500, p=4)
    blurred = torch.cat([x, x[:, :1] + 1e-5 * normal(500, 1, seed=8)], 1)
    moments = between(blurred, y)
    assert cca.of(moments).details["rank_x"] == 5
    coarse = replace(moments, noise=torch.finfo(torch.float32).eps, known_x={}, known_y={})
    assert cca.of(coarse).details["rank_x"] == 4
    assert cca.of(coarse).value == pytest.approx(cca(x, y).value, abs=1e-6)


def test_large_means_of_single_precision_leave_the_correlations_alone():
    x, y = related(n=200)
    far = [(rows + 100).float() for rows in (x, y)]
    assert cca(*far).value == pytest.approx(cca(x, y).value, abs=1e-4)
    assert cca(*far).details["rank_x"] == 5


@pytest.mark.parametrize("measure", ALL)
def test_a_constant_layer_is_undefined(measure):
    x, _ = related()
    found = measure(x, torch.full((len(x), 4), 3.0, dtype=torch.float64))
    assert found.value is None
    assert found.status == "constant layer (end)"
    assert found.null is None
    assert measure(torch.ones_like(x), x).status == "constant layer (front)"


@pytest.mark.parametrize("variance", [0.0, -1.0, 1.5, float("nan")])
def test_a_share_of_variance_that_is_none_is_refused(variance):
    with pytest.raises(InputError, match="variance"):
        svcca(*related(), variance=variance)


# nulls


@pytest.mark.parametrize("measure", [cca_squared, svcca_squared])
def test_the_null_is_the_mean_over_all_orders_of_the_images(measure):
    x, y = normal(5, 2), normal(5, 1, seed=1)
    mean = np.mean([measure.of(between(x, other)).value for other in shuffles(y)])
    assert measure(x, y).null == pytest.approx(mean, abs=1e-12)


@pytest.mark.parametrize("measure", [cca, pwcca])
def test_without_a_formula_the_null_is_that_of_shifted_images(measure):
    x, y = related()
    assert measure(x, y).null == measure(x, y.roll(1, 0)).value


def test_rows_of_one_image_are_no_examples_for_the_formula_of_the_null():
    x, y = normal(30, 4, 2), normal(30, 4, 3, seed=1)
    assert cca_squared(x, y).null == pytest.approx(cca_squared(x, y.roll(1, 0)).value)


# cost


def test_a_layer_is_decomposed_once_however_many_pairs_it_is_in(monkeypatch):
    calls = []
    decompose = torch.linalg.eigh
    monkeypatch.setattr(spectrum.torch.linalg, "eigh", lambda matrix: calls.append(len(matrix)) or decompose(matrix))
    x = normal(50, 4)
    layers: dict[Hashable, torch.Tensor] = {width: normal(50, 1, width, seed=width) for width in (2, 3, 5)}
    stream = Stream({("x", end): False for end in layers})
    stream.add({"x": x[:, None]}, layers)
    drawn = Drawn(stream)
    for end in layers:
        moments = drawn.moments("x", end)
        for measure in (cca, cca_squared, pwcca, pwcca_reversed):
            assert measure.of(moments).value is not None
    assert sorted(calls) == [2, 3, 4, 5]


@pytest.mark.parametrize("shape", [(SMALL + 30, SMALL + 60), (SMALL + 60, SMALL + 30)])
def test_singular_values_of_wide_matrices_are_right_to_the_square_root_of_rounding(shape):
    matrix = normal(*shape) * torch.logspace(0, -9, shape[1], dtype=torch.float64)
    values = torch.linalg.svdvals(matrix)
    found = singular_values(matrix).sort(descending=True).values
    assert (found - values).abs().max() < 1.5e-8 * values[0]
    assert nuclear(matrix).item() == pytest.approx(values.sum().item(), rel=1e-8)
