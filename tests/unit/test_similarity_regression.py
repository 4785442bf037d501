"""Regression measures against scikit-learn, GULP against its predictors, nulls against all orders of the images."""

import numpy as np
import pytest
import torch
from moment_fixtures import centred, fixture_a, fixture_b, normal, related, rotation, shuffles
from sklearn.linear_model import LinearRegression, Ridge

from repsim.errors import InputError
from repsim.similarity.cca import cca_squared
from repsim.similarity.moments import between
from repsim.similarity.regression import gulp, regression, regression_reversed, ridge, ridge_reversed
from repsim.similarity.similarity import OK

ALL = [regression, regression_reversed, ridge, ridge_reversed, gulp]


def r_squared(model, x: torch.Tensor, y: torch.Tensor) -> float:
    """Of all outputs together, from scikit-learn's predictions."""
    left = y.numpy() - model.fit(x.numpy(), y.numpy()).predict(x.numpy())
    return 1 - np.sum(left**2) / np.sum(centred(y) ** 2)


def predictor(rows: np.ndarray, ridge: float) -> np.ndarray:
    """P (n, n): targets to the predictions of ridge regression on the rows."""
    gram = rows.T @ rows
    return rows @ np.linalg.solve(gram + ridge * np.trace(gram) / len(gram) * np.eye(len(gram)), rows.T)


def gulp_of_paper(x: np.ndarray, y: np.ndarray, penalty: float) -> float:
    """With covariances of layers of unit total variance, as the paper writes it; squared."""
    x, y = (np.sqrt(len(rows)) * rows / np.linalg.norm(rows) for rows in (x, y))
    n = len(x)
    inverse_x, inverse_y = (np.linalg.inv(rows.T @ rows / n + penalty * np.eye(rows.shape[1])) for rows in (x, y))
    xx, yy, xy = x.T @ x / n, y.T @ y / n, x.T @ y / n
    own = np.trace(inverse_x @ xx @ inverse_x @ xx) + np.trace(inverse_y @ yy @ inverse_y @ yy)
    return own - 2 * np.trace(inverse_x @ xy @ inverse_y @ xy.T)


# R²


def test_published_values_of_fixture_a():
    x, y = fixture_a()
    assert regression(x, y).value == pytest.approx(0.5677425706, abs=1e-10)
    assert gulp(x, y, ridge=0.0).value == pytest.approx(9.0920733562, abs=5e-10)


@pytest.mark.parametrize(("p", "q"), [(5, 3), (3, 5)])
def test_regression_is_the_one_of_scikit_learn_in_both_directions(p, q):
    x, y = related(p=p, q=q)
    assert regression(x, y).value == pytest.approx(r_squared(LinearRegression(), x, y), abs=1e-12)
    assert regression_reversed(x, y).value == pytest.approx(r_squared(LinearRegression(), y, x), abs=1e-12)


def test_ridge_and_gulp_of_a_direction_between_rounding_of_the_largest_and_of_the_whole_have_numbers():
    """It counts for the rank, and is no part of the components that hold all of the variance."""
    x, y = np.linalg.qr(centred(normal(200, 100, seed=1)))[0], normal(200, 3, seed=2)
    x[:, -1] *= 5e-7
    front, penalty = torch.from_numpy(x), 0.1
    alpha = penalty * np.sum(x**2) / 100
    assert ridge(front, y, ridge=penalty).value == pytest.approx(r_squared(Ridge(alpha=alpha), front, y), abs=1e-12)
    assert ridge_reversed(y, front, ridge=penalty).value == pytest.approx(ridge(front, y, ridge=penalty).value, abs=1e-12)
    assert gulp(front, front, ridge=penalty).value == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("penalty", [1e-3, 0.1, 10.0])
@pytest.mark.parametrize("n", [60, 4])
def test_ridge_is_the_one_of_scikit_learn_in_both_directions(penalty, n):
    x, y = related(n=n)
    front, end = (Ridge(alpha=penalty * np.sum(centred(rows) ** 2) / rows.shape[1]) for rows in (x, y))
    assert ridge(x, y, ridge=penalty).value == pytest.approx(r_squared(front, x, y), abs=1e-11)
    assert ridge_reversed(x, y, ridge=penalty).value == pytest.approx(r_squared(end, y, x), abs=1e-11)


def test_no_ridge_is_regression_and_much_of_it_predicts_nothing():
    x, y = related()
    assert ridge(x, y, ridge=0.0) == regression(x, y)
    assert ridge_reversed(x, y, ridge=0.0) == regression_reversed(x, y)
    assert ridge(x, y, ridge=1e6).value == pytest.approx(0.0, abs=1e-5)


def test_regression_ignores_invertible_maps_of_what_predicts_only():
    x, y = related()
    assert regression(x @ normal(5, 5, seed=8) + 3, y).value == pytest.approx(regression(x, y).value, abs=1e-9)
    assert regression(x, 2 * y @ rotation(3)).value == pytest.approx(regression(x, y).value, abs=1e-11)
    assert abs(float(regression(x, y * torch.tensor([1.0, 1.0, 9.0]))) - float(regression(x, y))) > 1e-3


def test_ridge_does_not_depend_on_the_units_of_either_layer():
    x, y = related()
    assert ridge(1e3 * x, 1e-2 * y).value == pytest.approx(ridge(x, y).value, abs=1e-12)
    assert gulp(1e3 * x, 1e-2 * y).value == pytest.approx(gulp(x, y).value, abs=1e-11)


def test_as_many_channels_as_images_fit_anything_and_the_status_says_so():
    found = regression(*fixture_b())
    assert found.value == pytest.approx(1.0, abs=1e-12)
    assert found.status == "rank 19 of n − 1 = 19: any target is fitted"
    assert regression(normal(9, 7), normal(9, 2, seed=1)).status == OK
    assert ridge(*fixture_b()).status == OK


def test_details_name_the_rank_of_the_layer_that_predicts():
    x, y = related(p=5, q=3)
    assert regression(x, y).details == {"rank_x": 5}
    assert regression_reversed(x, y).details == {"rank_y": 3}


# GULP


@pytest.mark.parametrize("penalty", [0.0, 0.01, 1.0])
def test_gulp_is_the_distance_of_the_predictors(penalty):
    x, y = related(p=4, q=6)
    apart = predictor(centred(x), penalty) - predictor(centred(y), penalty)
    assert gulp(x, y, ridge=penalty).value == pytest.approx(np.sum(apart**2), rel=1e-10)


def test_gulp_is_that_of_the_paper_with_its_penalty_on_unit_variance():
    x, y = related(p=4, q=4)
    assert gulp(x, y, ridge=0.2).value == pytest.approx(gulp_of_paper(centred(x), centred(y), 0.2 / 4), rel=1e-11)


def test_gulp_without_a_ridge_says_what_canonical_correlations_say():
    x, y = related(p=4, q=3)
    assert gulp(x, y, ridge=0.0).value == pytest.approx(7 - 2 * 3 * float(cca_squared(x, y)), abs=1e-11)


def test_gulp_of_a_layer_and_itself_is_0():
    x, _ = related()
    for penalty in (0.0, 0.1):
        assert gulp(x, 4 * x @ rotation(5) - 1, ridge=penalty).value == pytest.approx(0.0, abs=1e-10)


def test_gulp_without_a_ridge_means_nothing_for_too_few_images():
    assert gulp(*fixture_b(), ridge=0.0).status.startswith("ranks 19 + 19 exceed n − 1")
    assert gulp(*fixture_b(), ridge=0.1).status == OK


# nulls and what is undefined


@pytest.mark.parametrize("measure", ALL, ids=lambda measure: measure.__name__)
def test_the_null_is_the_mean_over_all_orders_of_the_images(measure):
    x, y = normal(5, 2), normal(5, 1, seed=1)
    mean = np.mean([measure.of(between(x, other)).value for other in shuffles(y)])
    assert measure(x, y).null == pytest.approx(mean, abs=1e-12)


@pytest.mark.parametrize("measure", ALL, ids=lambda measure: measure.__name__)
@pytest.mark.parametrize("constant", ["front", "end"])
def test_a_constant_layer_predicts_nothing_and_is_predicted_by_nothing(measure, constant):
    x, _ = related()
    flat = torch.full_like(x, 3.0)
    found = measure(flat, x) if constant == "front" else measure(x, flat)
    assert found.value is None
    assert found.null is None
    assert found.status == f"constant layer ({constant})"


@pytest.mark.parametrize("penalty", [-1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("measure", [ridge, ridge_reversed, gulp], ids=lambda measure: measure.__name__)
def test_a_ridge_that_is_no_penalty_is_refused(measure, penalty):
    with pytest.raises(InputError, match="ridge"):
        measure(*related(), ridge=penalty)
