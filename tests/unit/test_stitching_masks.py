"""Masks against correlations by NumPy and brute force."""

import itertools

import numpy as np
import pytest
import torch
from matching_data import moments, related
from torch._subclasses.fake_tensor import FakeTensorMode

from repsim.errors import InputError
from repsim.stitching import masks
from repsim.stitching.moments import NotFinite


def made(kind: str, p: int, q: int, seed: int = 0, data=None) -> np.ndarray:
    found = masks.make(kind, p, q, torch.Generator().manual_seed(seed), None if data is None else moments(*data))
    assert found.shape == (q, p) and found.dtype == torch.bool
    return found.numpy()


def correlation(x: torch.Tensor, y: torch.Tensor) -> np.ndarray:
    """r (q, p)."""
    return np.corrcoef(y.numpy().T, x.numpy().T)[: y.shape[1], y.shape[1] :]


@pytest.mark.parametrize("p, q", [(4, 4), (3, 5), (5, 3)])
def test_identity_joins_equal_numbers(p, q):
    np.testing.assert_array_equal(made("identity", p, q), np.eye(q, p, dtype=bool))


@pytest.mark.parametrize("p, q", [(6, 6), (4, 7), (7, 4)])
def test_random_permutation_is_one(p, q):
    mask = made("random-permutation", p, q)
    assert mask.sum() == min(p, q) and mask.sum(0).max() == 1 and mask.sum(1).max() == 1


def test_random_permutation_follows_its_seed_and_reaches_all():
    draws = {made("random-permutation", 3, 3, seed).tobytes() for seed in range(100)}
    assert len(draws) == 6
    np.testing.assert_array_equal(made("random-permutation", 9, 9, 5), made("random-permutation", 9, 9, 5))


def test_correlations_are_those_of_numpy():
    x, y = related(p=5, q=4)
    np.testing.assert_allclose(masks.correlations(moments(x, y)), correlation(x, y), atol=1e-12)


def test_correlations_with_a_constant_channel_are_zero():
    x, y = related(p=5, q=4)
    x[:, 2], y[:, 1] = 7.3, 0.1
    found = masks.correlations(moments(x, y))
    assert found.isfinite().all() and (found[1] == 0).all() and (found[:, 2] == 0).all()


@pytest.mark.parametrize("seed", range(3))
def test_semi_match_takes_the_best_input_of_every_output(seed):
    data = related(p=6, q=5, seed=seed)
    r = correlation(*data)
    for kind, score in {"semi-match": r, "abs-semi-match": np.abs(r)}.items():
        mask = made(kind, 6, 5, data=data)
        assert (mask.sum(1) == 1).all()
        np.testing.assert_array_equal(mask.argmax(1), score.argmax(1))


def test_a_strong_negative_correlation_counts_for_abs_semi_match_alone():
    x, _ = related(p=3)
    y = -x[:, :1]
    assert made("abs-semi-match", 3, 1, data=(x, y)).argmax() == 0
    assert made("semi-match", 3, 1, data=(x, y)).argmax() != 0


@pytest.mark.parametrize("p, q", [(5, 5), (6, 4), (4, 6)])
def test_hard_match_is_the_best_of_all_matchings(p, q):
    data = related(p=p, q=q, seed=3)
    r = correlation(*data)
    mask = made("hard-match", p, q, data=data)
    small = r if q <= p else r.T
    every = itertools.permutations(range(max(p, q)), min(p, q))
    best = max(sum(small[i, j] for i, j in enumerate(order)) for order in every)
    assert r[mask].sum() == pytest.approx(best)
    assert mask.sum() == min(p, q) and mask.sum(0).max() == 1 and mask.sum(1).max() == 1


def test_soft_match_joins_the_best_of_both_sides():
    data = related(p=6, q=4, seed=5)
    r = correlation(*data)
    expected = np.zeros((4, 6), dtype=bool)
    expected[np.arange(4), r.argmax(1)] = True
    expected[r.argmax(0), np.arange(6)] = True
    np.testing.assert_array_equal(made("soft-match", 6, 4, data=data), expected)


@pytest.mark.parametrize("kind", ["semi-match", "abs-semi-match", "hard-match", "soft-match"])
def test_a_shuffled_layer_is_found_again(kind):
    x, _ = related(n=500, p=8)
    order = torch.randperm(8, generator=torch.Generator().manual_seed(2))
    mask = made(kind, 8, 8, data=(x, 3 * x[:, order] + 1))
    np.testing.assert_array_equal(mask, np.eye(8, dtype=bool)[order])


def test_activations_that_are_not_finite_have_no_best_input():
    x, y = related(p=3, q=3)
    x[0, 0] = torch.nan
    with pytest.raises(NotFinite, match="not all finite"):
        made("semi-match", 3, 3, data=(x, y))


def test_an_unknown_mask_is_refused_with_the_nearest_names():
    with pytest.raises(InputError, match="semi-match"):
        made("semi-mach", 3, 3)


def test_only_the_masks_that_need_moments_ask_for_them():
    for kind in masks.MASKS:
        if kind in masks.FROM_MOMENTS:
            with pytest.raises(AssertionError, match="needs moments"):
                made(kind, 3, 3)
        else:
            made(kind, 3, 3)


@pytest.mark.parametrize("kind", ["identity", "random-permutation"])
def test_a_mask_that_needs_no_moments_lies_where_they_lie(kind):
    """Placed by a mode that only keeps account of devices: there need be no such device."""
    mask = masks.make(kind, 3, 3, torch.Generator().manual_seed(0))
    with FakeTensorMode(allow_non_fake_inputs=True):
        there = moments(torch.ones(4, 3, device="cuda"), torch.ones(4, 3, device="cuda"))
        assert masks.make(kind, 3, 3, torch.Generator(), there).device.type == "cuda"
    assert mask.device.type == "cpu"
