"""Linear CKA against dcor, published values, Gram matrices and all orders of the images."""

from math import acos, pi

import dcor
import numpy as np
import pytest
import torch
from moment_fixtures import fixture_a, fixture_b, fixture_c, normal, related, rotation, shuffles
from test_similarity_moments import X, Y, passed, requests, squared_covariance
from torch import Tensor

from repsim.errors import InputError
from repsim.similarity.linear import cka, cka_angular, cka_debiased
from repsim.similarity.measures import MEASURES
from repsim.similarity.moments import between
from repsim.similarity.request import Sample
from repsim.similarity.similarity import OK
from repsim.similarity.tiles import TilePass

ALL = [cka, cka_debiased, cka_angular]
pytestmark = pytest.mark.filterwarnings("ignore:Distance covariance is not guaranteed")  # of dcor, at exponent 2


def by_gram(x: Tensor, y: Tensor) -> float:
    k, other = (one @ one.T for one in (x - x.mean(0), y - y.mean(0)))
    return float((k * other).sum() / (k.norm() * other.norm()))


@pytest.mark.parametrize(
    ("fixture", "biased", "debiased"), [(fixture_a, 0.5576132566, 0.5134564895), (fixture_b, 0.6718973743, 0.0240805570)]
)
def test_both_values_are_those_published_and_those_of_dcor(fixture, biased, debiased):
    x, y = fixture()
    assert cka(x, y).value == pytest.approx(biased, abs=1e-10)
    assert cka_debiased(x, y).value == pytest.approx(debiased, abs=1e-10)
    assert cka(x, y).value == pytest.approx(dcor.distance_correlation_sqr(x.numpy(), y.numpy(), exponent=2), rel=1e-12)
    assert cka_debiased(x, y).value == pytest.approx(dcor.u_distance_correlation_sqr(x.numpy(), y.numpy(), exponent=2), abs=1e-12)


def test_maps_flattened_and_by_channel_have_the_values_published():
    x, y = fixture_c()
    flat = x.flatten(1), y.flatten(1)
    assert cka(*flat).value == pytest.approx(0.9157311, abs=1e-7)
    assert cka_debiased(*flat).value == pytest.approx(0.0106911, abs=1e-7)
    assert cka(x, y).value == pytest.approx(0.0174737, abs=1e-7)
    assert cka(x.mean(1), y.mean(1)).value == pytest.approx(0.2610467, abs=1e-7)


def test_by_channel_debiasing_leaves_out_whole_images_and_not_only_the_diagonal_of_rows():
    x, y = fixture_c()
    rows = x.reshape(-1, 6).numpy(), y.reshape(-1, 6).numpy()
    assert dcor.u_distance_correlation_sqr(*rows, exponent=2) == pytest.approx(0.0028178, abs=1e-7)
    some = x[:8, :5], y[:8, :5]
    xy, xx, yy = squared_covariance(*some), squared_covariance(some[0], some[0]), squared_covariance(some[1], some[1])
    assert cka_debiased(*some).value == pytest.approx(xy / np.sqrt(xx * yy), rel=1e-10)
    assert cka_debiased(x, y).value != pytest.approx(0.0028178, abs=1e-4)


def test_the_angle_is_the_arc_cosine_of_the_biased_value():
    x, y = fixture_a()
    assert cka_angular(x, y).value == pytest.approx(acos(0.5576132566), abs=1e-9)
    assert cka_angular(x, x).value == pytest.approx(0, abs=1e-7)
    apart = torch.eye(6, dtype=torch.float64)
    found = cka_angular(torch.stack((apart[0] - apart[1],), 1), torch.stack((apart[2] - apart[3],), 1))
    assert found.value == pytest.approx(pi / 2)


@pytest.mark.parametrize("measure", ["cka", "cka_rbf", "distance_correlation", "wreath_cka_biased"])
def test_rounding_pushes_no_biased_value_over_1(measure):
    for seed in range(20):
        x = torch.randn(25, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        assert MEASURES[measure](x, 3 * x).value <= 1


def test_a_layer_is_most_similar_to_itself():
    x, _ = related()
    assert cka(x, x).value == pytest.approx(1, rel=1e-12)
    assert cka_debiased(x, 3 * x @ rotation(5) - 7).value == pytest.approx(1, rel=1e-10)


@pytest.mark.parametrize("measure", [cka, cka_debiased])
def test_the_null_is_the_mean_over_all_orders_of_the_images(measure):
    x, y = related(5, 2, 3)
    values = [float(measure.of(between(x, shuffled))) for shuffled in shuffles(y)]
    assert measure(x, y).null == pytest.approx(np.mean(values), rel=1e-9, abs=1e-12)


def test_debiased_values_of_unrelated_layers_scatter_around_0_where_biased_ones_are_near_1():
    x, y = normal(64, 4096), normal(64, 4096, seed=1)
    assert cka(x, y).value == pytest.approx(0.985, abs=0.002)
    assert cka(x, y).null == pytest.approx(cka(x, y).value, abs=0.002)
    assert abs(float(cka_debiased(x, y))) < 0.1
    values = [float(cka_debiased(normal(20, 50, seed=seed), normal(20, 40, seed=seed + 1))) for seed in range(0, 80, 2)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(40) < 0.1
    assert min(values) < 0 < max(values)


@pytest.mark.parametrize("positions", [1, 3])
def test_layers_wider_than_their_rows_are_compared_in_the_space_of_those(positions):
    x, y = normal(9, positions, 200) + 5, normal(9, positions, 3, seed=1)
    y += x[..., :3]
    x, y = (side.squeeze(1) for side in (x, y))
    for measure in ALL:
        found = measure(x, y)
        assert found.value == pytest.approx(measure.of(between(x, y)).value, rel=1e-10), measure.__name__
    if positions == 1:
        assert cka(x, y).value == pytest.approx(by_gram(x, y), rel=1e-10)


def test_single_precision_with_a_mean_of_100_stays_right():
    x, y = normal(64, 1024) + 100, normal(64, 512, seed=1) + 100
    y[:, :100] += x[:, :100] - 100
    single = x.float(), y.float()
    for measure in ALL:
        assert measure(*single).value == pytest.approx(measure(x, y).value, abs=2e-6), measure.__name__


@pytest.mark.parametrize("measure", ALL)
@pytest.mark.parametrize("width", [3, 30])
def test_a_constant_layer_has_a_status_in_place_of_a_value(measure, width):
    still = torch.full((10, width), 0.1)
    for x, y, side in ((still, normal(10, 2), "front"), (normal(10, 2), still, "end"), (still, still, "both")):
        found = measure(x, y)
        assert (found.value, found.null, found.status) == (None, None, f"constant layer ({side})")
    dead = normal(10, 3).clone()
    dead[:, 1] = 0
    assert measure(dead, normal(10, 2)).status == OK


def test_values_nulls_and_intervals_are_those_made_of_pairs_of_images():
    x, y = related(23)
    asked, drawn = requests("cka", "cka_debiased", "cka_angular", view="flatten"), {"groups": 5, "draws": 40, "seed": 1}
    tiles = TilePass(asked, Sample(23, **drawn), block=7)
    blocks = list(zip(x.split(7), y.split(7), strict=True))
    tiles.run(lambda block: ({X: blocks[block][0]}, {Y: blocks[block][1]}), lambda share, text: None)
    other = tiles.results()
    for request, found in passed(asked, {X: x}, {Y: y}, 6, **drawn).items():
        pairs = other[request]
        assert found.value == pytest.approx(pairs.value, rel=1e-10), request.measure
        between_draws = 1e-3 if request.measure == "cka_angular" else 1e-10  # quantiles lie between two draws, angles bend there
        assert (found.low, found.high) == pytest.approx((pairs.low, pairs.high), rel=between_draws), request.measure
        assert found.null == pytest.approx(pairs.null, rel=1e-10, abs=1e-14), request.measure


def test_debiasing_takes_four_images():
    found = cka_debiased(normal(3, 2), normal(3, 2, seed=1))
    assert (found.value, found.null) == (None, None) and "3 images" in found.status
    assert cka_debiased(normal(4, 2), normal(4, 2, seed=1)).value is not None
    assert cka(normal(3, 2), normal(3, 2, seed=1)).value is not None


def test_a_layer_that_is_one_outlier_resembles_nothing_once_debiased():
    x = torch.zeros(10, 3, dtype=torch.float64)
    x[4] = 5
    assert cka_debiased(x, normal(10, 2)).value is None
    assert cka_debiased(x, normal(10, 2)).status == "all images are equally alike (front)"
    assert cka_debiased(x, x).status == "all images are equally alike (both)"
    assert cka(x, normal(10, 2)).value is not None


@pytest.mark.parametrize("measure", ALL)
def test_what_is_no_pair_of_representations_is_refused(measure):
    for x, y in ((normal(5, 2), normal(6, 2)), (normal(5), normal(5)), (torch.ones(5, 2, dtype=torch.int32), normal(5, 2))):
        with pytest.raises(InputError):
            measure(x, y)
    with pytest.raises(InputError, match="has no option 'bandwidth'"):
        measure(normal(5, 2), normal(5, 2), bandwidth=1.0)


def test_measures_keep_their_docstrings():
    for measure in ALL:
        assert measure.__doc__ and "Undefined" in measure.__doc__
