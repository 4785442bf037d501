"""Objectives where nothing varies: values by their definition, and gradients that are finite."""

import numpy as np
import pytest
import torch
from matching_data import normal
from torch import Tensor

from repsim.stitching import targets


def gradient(loss, stitched: Tensor) -> tuple[Tensor, Tensor]:
    """The losses (K,) and the gradient of their sum."""
    stitched = stitched.clone().requires_grad_()
    values = loss(stitched)
    return values.detach(), torch.autograd.grad(values.sum(), stitched)[0]


def cka_by_numpy(x: np.ndarray, y: np.ndarray) -> float:
    """Of rows, as the norm of cross-covariances."""
    x, y = x - x.mean(0), y - y.mean(0)
    return float(np.linalg.norm(x.T @ y) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)))


@pytest.mark.parametrize("factor", [1e-15, 1.0, 1e15])
def test_cka_of_a_batch_is_that_of_its_rows_at_every_scale(factor):
    stitched, own = normal(2, 6, 3, 2, 2), normal(6, 4, 2, 2, seed=1) + 3
    found = targets.batch_cka((factor * stitched).float(), own.float())
    rows = own.movedim(1, -1).reshape(-1, 4).numpy()
    expected = [cka_by_numpy(one.movedim(1, -1).reshape(-1, 3).numpy(), rows) for one in stitched]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_gradient_of_cka_is_the_slope_along_a_direction():
    stitched, own, way = normal(1, 8, 3), normal(8, 4, seed=1), normal(1, 8, 3, seed=2)
    _, slope = gradient(lambda x: targets.batch_cka(x, own), stitched.float())
    ends = [cka_by_numpy((stitched + step * way)[0].numpy(), own.numpy()) for step in (-1e-5, 1e-5)]
    assert (slope * way).sum().item() == pytest.approx((ends[1] - ends[0]) / 2e-5, rel=1e-4)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e4])
def test_cka_with_a_constant_stitched_value_is_zero_and_so_is_its_gradient(constant):
    stitched, own = normal(2, 50, 3).float(), normal(50, 4, seed=1).float()
    stitched[0] = constant
    value, slope = gradient(lambda x: targets.batch_cka(x, own), stitched)
    assert value[0] == 0 and (slope[0] == 0).all()
    alone, slope_alone = gradient(lambda x: targets.batch_cka(x, own), stitched[1:])
    torch.testing.assert_close((value[1:], slope[1:]), (alone, slope_alone))
    assert value[1] > 0 and slope[1].abs().max() > 0


@pytest.mark.parametrize("own", [torch.full((50, 4), 0.3), torch.zeros(50, 4)])
def test_cka_with_a_constant_layer_is_zero_and_so_is_its_gradient(own):
    value, slope = gradient(lambda x: targets.batch_cka(x, own), normal(2, 50, 3).float())
    assert value.tolist() == [0, 0] and (slope == 0).all()


def test_cka_of_one_row_is_zero_and_so_is_its_gradient():
    value, slope = gradient(lambda x: targets.batch_cka(x, normal(1, 4, seed=1)), normal(2, 1, 3).float())
    assert value.tolist() == [0, 0] and (slope == 0).all()


def test_a_stitched_value_that_has_diverged_does_not_pass_for_a_constant_one():
    stitched, own = normal(3, 20, 3).float(), normal(20, 4, seed=1).float()
    stitched[0, 0, 0], stitched[1, 0, 0] = torch.nan, torch.inf
    value = targets.batch_cka(stitched, own)
    assert value[:2].isnan().all() and 0 < value[2] < 1


def test_match_is_the_error_relative_to_what_varies():
    stitched, own = normal(2, 5, 3, 2, 2), normal(5, 3, 2, 2, seed=1) + 4
    spread = own.numpy().transpose(1, 0, 2, 3).reshape(3, -1).var(1).sum() * 20
    expected = ((stitched - own) ** 2).sum((1, 2, 3, 4)) / spread
    torch.testing.assert_close(targets.match(stitched, own), expected)


def test_match_of_one_image_of_a_vector_is_relative_to_its_size():
    stitched, own = normal(2, 1, 3).float(), normal(1, 3, seed=1).float()
    value, slope = gradient(lambda x: targets.match(x, own), stitched)
    size = own.square().sum()
    torch.testing.assert_close(value, (stitched - own).square().sum((1, 2)) / size)
    torch.testing.assert_close(slope, 2 * (stitched - own) / size)


@pytest.mark.parametrize("loss", [targets.match, targets.latent])
def test_errors_against_a_dead_layer_are_relative_to_nothing(loss):
    stitched, own = normal(2, 4, 3).float(), torch.zeros(4, 3)
    value, slope = gradient(lambda x: loss(x, own), stitched)
    torch.testing.assert_close(value, stitched.square().sum((1, 2)))
    torch.testing.assert_close(slope, 2 * stitched)
