"""Matching of channels against brute force, optimal transport and NumPy; G_ReLU by construction; published values."""

import itertools
import math

import numpy as np
import ot
import pytest
import torch
from moment_fixtures import centred, fixture_a, fixture_c, normal, related, rotation

from repsim.similarity.matching import (
    correlation_match,
    correlation_match_soft,
    permutation_angular,
    permutation_match,
    permutation_procrustes,
    permutation_procrustes_squared,
    wreath_cosine,
    wreath_procrustes,
)
from repsim.similarity.procrustes import nbs

CENTRED = [
    permutation_match,
    permutation_procrustes,
    permutation_procrustes_squared,
    permutation_angular,
    correlation_match,
    correlation_match_soft,
]
SHAPES = [(4, 4), (5, 3), (2, 5)]


def best(scores: np.ndarray) -> float:
    """The largest sum over all one-to-one matchings, by trying them all."""
    tall = scores if scores.shape[0] <= scores.shape[1] else scores.T
    rows = range(len(tall))
    return max(tall[rows, list(columns)].sum() for columns in itertools.permutations(range(tall.shape[1]), len(tall)))


def unit(rows: np.ndarray) -> np.ndarray:
    """Channels of norm 1; a channel of zeros as it is."""
    norms = np.linalg.norm(rows, axis=0)
    return rows / np.where(norms > 0, norms, 1)


def positive(n: int = 40, p: int = 5, seed: int = 0) -> torch.Tensor:
    return normal(n, p, seed=seed).relu()


def shuffled(x: torch.Tensor, seed: int = 3) -> torch.Tensor:
    """G_ReLU: the channels in another order, each with a positive scale of its own."""
    generator = torch.Generator().manual_seed(seed)
    width = x.shape[-1]
    return (x * torch.rand(width, generator=generator).add(0.1))[..., torch.randperm(width, generator=generator)]


# permutations


def test_published_values_of_fixture_a():
    x, y = fixture_a()
    assert permutation_procrustes_squared(x, y).value == pytest.approx(0.5533972047, abs=5e-11)
    assert permutation_angular(x, y).value == pytest.approx(0.762225, abs=5e-7)
    assert correlation_match(x, y).value == pytest.approx(0.7208951225, abs=5e-11)


@pytest.mark.parametrize(("p", "q"), SHAPES)
def test_the_match_is_the_best_of_all_permutations(p, q):
    x, y = related(p=p, q=q)
    u, v = centred(x), centred(y)
    expected = best(u.T @ v) / (np.linalg.norm(u) * np.linalg.norm(v))
    assert permutation_match(x, y).value == pytest.approx(expected, abs=1e-13)
    assert permutation_procrustes(x, y).value == pytest.approx(math.sqrt(2 - 2 * expected), abs=1e-12)
    assert permutation_angular(x, y).value == pytest.approx(math.acos(expected), abs=1e-12)


def test_the_match_is_optimal_transport_between_channels():
    x, y = related(p=30, q=30)
    u, v = centred(x), centred(y)
    scores, even = u.T @ v, np.full(30, 1 / 30)
    gain = 30 * (ot.emd(even, even, scores.max() - scores) * scores).sum()
    assert permutation_match(x, y).value == pytest.approx(gain / (np.linalg.norm(u) * np.linalg.norm(v)), abs=1e-12)


def test_a_permuted_layer_is_itself_and_a_rotated_one_is_not():
    x, _ = related()
    assert permutation_procrustes(x, 2 * x[:, [3, 1, 4, 0, 2]] + 1).value == pytest.approx(0.0, abs=1e-7)
    assert float(permutation_procrustes(x, x @ rotation(5))) > 0.1


def test_no_permutation_beats_the_best_rotation():
    x, y = related(p=6, q=4)
    assert float(permutation_match(x, y)) < float(nbs(x, y))


def test_a_channel_against_its_negative_is_as_far_as_can_be():
    x = normal(20, 1)
    assert permutation_match(x, -x).value == pytest.approx(-1.0, abs=1e-14)
    assert permutation_procrustes(x, -x).value == pytest.approx(2.0, abs=1e-7)
    assert permutation_procrustes_squared(x, -x).value == pytest.approx(4.0, abs=1e-12)
    assert permutation_angular(x, -x).value == pytest.approx(math.pi, abs=1e-7)


# correlations


@pytest.mark.parametrize(("p", "q"), SHAPES)
def test_hard_and_soft_matches_are_read_from_numpys_correlations(p, q):
    x, y = related(p=p, q=q)
    matrix = np.corrcoef(x.T, y.T)[:p, p:]
    assert correlation_match(x, y).value == pytest.approx(best(matrix) / min(p, q), abs=1e-12)
    expected = (matrix.max(0).mean() + matrix.max(1).mean()) / 2
    assert correlation_match_soft(x, y).value == pytest.approx(expected, abs=1e-12)


def test_correlations_ignore_the_scale_of_every_channel_and_the_permutation_match_does_not():
    x, y = related()
    scaled = shuffled(x) + 3
    for measure in (correlation_match, correlation_match_soft):
        assert measure(scaled, y).value == pytest.approx(measure(x, y).value, abs=1e-12)
    assert abs(float(permutation_match(scaled, y)) - float(permutation_match(x, y))) > 1e-3


def test_constant_channels_are_counted_and_left_out_of_the_correlations():
    x, y = related(p=4)
    x_dead = torch.cat([x[:, :2], torch.full((len(x), 1), 100.0), x[:, 2:]], 1)
    found = correlation_match(x_dead, y)
    assert found.value == pytest.approx(correlation_match(x, y).value, abs=1e-12)
    assert found.details == {"dead_x": 1, "dead_y": 0}
    assert correlation_match_soft(x_dead, y).value == pytest.approx(correlation_match_soft(x, y).value, abs=1e-12)
    assert correlation_match(x_dead, x_dead).value == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("measure", CENTRED, ids=lambda measure: measure.__name__)
def test_a_constant_layer_has_nothing_to_match(measure):
    x, _ = related()
    found = measure(torch.full_like(x, 3.0), x)
    assert found.value is None
    assert found.status == "constant layer (front)"


# G_ReLU


def test_published_values_of_fixture_c():
    x, y = fixture_c()
    assert wreath_procrustes(x, y).value == pytest.approx(0.6547319, abs=5e-8)
    assert wreath_cosine(x, y).value == pytest.approx(0.7615799, abs=5e-8)


@pytest.mark.parametrize(("p", "q"), SHAPES)
def test_wreath_measures_are_the_best_of_all_permutations_of_unit_channels(p, q):
    x, y = positive(p=p), positive(p=q, seed=1) + positive(p=q, seed=2)
    u, v = unit(x.numpy()), unit(y.numpy())
    a = best(u.T @ v)
    distance = math.sqrt((p + q - 2 * a) / (4 * max(p, q)))
    assert wreath_procrustes(x, y).value == pytest.approx(1 - distance, abs=1e-12)
    assert wreath_cosine(x, y).value == pytest.approx(a / min(p, q), abs=1e-12)


def test_the_wreath_distance_is_half_of_what_the_mean_cosine_lacks():
    x, y = positive(), positive(seed=4)
    assert (1 - float(wreath_procrustes(x, y))) ** 2 == pytest.approx((1 - float(wreath_cosine(x, y))) / 2, abs=1e-12)


def test_g_relu_leaves_the_wreath_measures_alone_and_a_rotation_does_not():
    x, y = positive(), positive(seed=4)
    for measure in (wreath_procrustes, wreath_cosine):
        assert measure(shuffled(x), y).value == pytest.approx(measure(x, y).value, abs=1e-12)
        assert measure(x, shuffled(x)).value == pytest.approx(1.0, abs=1e-7)
        assert float(measure(x, x @ rotation(5))) < 0.9


def test_negative_scales_and_shifts_are_no_part_of_g_relu():
    x, _ = related()
    assert float(wreath_cosine(x, -x)) < 0
    assert float(wreath_cosine(x, x + 20)) < 1 - 1e-2


def test_without_negative_activations_the_wreath_similarity_has_a_floor():
    x, y = torch.zeros(6, 2, dtype=torch.float64), torch.zeros(6, 2, dtype=torch.float64)
    x[0, 0] = x[1, 1] = y[2, 0] = y[3, 1] = 1  # nothing in common
    assert wreath_procrustes(x, y).value == pytest.approx(1 - 1 / math.sqrt(2), abs=1e-12)
    assert wreath_cosine(x, y).value == pytest.approx(0.0, abs=1e-14)


def test_a_dead_channel_is_counted_and_stays_zero():
    x, y = positive(p=4), positive(p=4, seed=1)
    dead = torch.cat([x, torch.zeros(len(x), 1, dtype=torch.float64)], 1)
    assert wreath_cosine(dead, y).value == pytest.approx(wreath_cosine(x, y).value, abs=1e-12)
    assert wreath_cosine(dead, y).details == {"dead_x": 1, "dead_y": 0}
    a = best(unit(dead.numpy()).T @ unit(y.numpy()))
    assert wreath_procrustes(dead, y).value == pytest.approx(1 - math.sqrt((8 - 2 * a) / 20), abs=1e-12)
    assert wreath_procrustes(dead, shuffled(dead)).value == pytest.approx(1.0, abs=1e-7)


@pytest.mark.parametrize("measure", [wreath_procrustes, wreath_cosine], ids=lambda measure: measure.__name__)
def test_a_layer_of_zeros_has_no_wreath_similarity_and_a_constant_one_has(measure):
    x = positive()
    assert measure(x, torch.zeros_like(x)).value is None
    assert measure(x, torch.zeros_like(x)).status == "constant layer (zero)"
    assert measure(x, torch.ones_like(x)).value is not None


def test_the_null_is_the_match_of_shifted_images():
    x, y = positive(), positive(seed=4)
    for measure in (wreath_procrustes, correlation_match, permutation_match):
        assert measure(x, y).null == pytest.approx(measure(x, y.roll(1, 0)).value, abs=1e-14)
