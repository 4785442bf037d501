"""Direct matching against independent solvers: NumPy, alternating least squares, brute force, and optimality."""

import itertools

import numpy as np
import pytest
import torch

from repsim.errors import InputError
from repsim.stitching import birkhoff, matching
from repsim.stitching.moments import Moments, Stream
from repsim.stitching.stitchers import STITCHERS, Affine


def data(n: int = 200, p: int = 6, q: int = 4, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Related rows x (n, p) and y (n, q) with means of their own."""
    generator = torch.Generator().manual_seed(seed)
    x = (
        torch.randn(n, p, generator=generator, dtype=torch.float64) @ torch.randn(p, p, generator=generator, dtype=torch.float64)
        + 2
    )
    noise = torch.randn(n, q, generator=generator, dtype=torch.float64)
    return x, x @ torch.randn(p, q, generator=generator, dtype=torch.float64) + noise - 1


def moments(x: torch.Tensor, y: torch.Tensor) -> Moments:
    stream = Stream([("x", "y")])
    for one, other in zip(x.split(64), y.split(64), strict=True):
        stream.add({"x": one}, {"y": other})
    return stream.moments(("x", "y"))


def error(affine: Affine, x: torch.Tensor, y: torch.Tensor) -> float:
    bias = 0 if affine.bias is None else affine.bias
    return (x @ affine.matrix.T + bias - y).square().sum().item()


def test_linear_is_numpy_least_squares_with_bias():
    x, y = data()
    found = matching.linear(moments(x, y))
    design = np.column_stack([x.numpy(), np.ones(len(x))])
    solution = np.linalg.lstsq(design, y.numpy(), rcond=None)[0]
    np.testing.assert_allclose(found.weight, solution[:-1].T, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.bias, solution[-1], rtol=1e-8)


def test_linear_cuts_directions_that_carry_nothing_and_takes_the_solution_of_minimal_norm():
    x, y = data(p=4)
    doubled = torch.cat([x, x[:, :2], torch.full((len(x), 1), 7.0, dtype=torch.float64)], 1)
    found = matching.linear(moments(doubled, y))
    centred = (doubled - doubled.mean(0)).numpy()
    solution = np.linalg.lstsq(centred, (y - y.mean(0)).numpy(), rcond=1e-10)[0]
    np.testing.assert_allclose(found.weight, solution.T, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_lowrank_is_the_limit_of_alternating_least_squares(rank):
    x, y = data(p=6, q=5)
    u, v = (x - x.mean(0)).numpy(), (y - y.mean(0)).numpy()
    inner = np.random.default_rng(0).normal(size=(6, rank))
    for _ in range(2000):
        outer = np.linalg.lstsq(u @ inner, v, rcond=None)[0]
        # min over A of ‖U A C − V‖: A = U⁺ V C⁺
        inner = np.linalg.lstsq(u, v @ np.linalg.pinv(outer), rcond=None)[0]
    found = matching.low_rank(moments(x, y), rank)
    np.testing.assert_allclose(found.weight.T, inner @ outer, atol=1e-6)
    assert torch.linalg.matrix_rank(found.weight) == rank


def test_lowrank_of_full_rank_is_linear():
    x, y = data()
    torch.testing.assert_close(matching.low_rank(moments(x, y), 4).weight, matching.linear(moments(x, y)).weight)


def test_permutation_is_the_best_of_all():
    x, y = data(p=5, q=5)
    found = matching.permutation(moments(x, y))
    best = min((x[:, list(order)] - y).square().sum().item() for order in itertools.permutations(range(5)))
    assert error(found, x, y) == pytest.approx(best)


def test_g_relu_is_the_best_of_all_permutations_with_their_best_scales():
    x, y = (torch.relu(part) for part in data(p=5, q=5))
    x[:, 3] = 0  # a dead channel
    found = matching.g_relu(moments(x, y))

    def least(order: tuple[int, ...]) -> float:
        moved = x[:, list(order)].numpy()
        scale = np.clip((moved * y.numpy()).sum(0) / np.clip((moved**2).sum(0), 1e-300, None), 0, None)
        return float(((moved * scale - y.numpy()) ** 2).sum())

    assert error(found, x, y) == pytest.approx(min(map(least, itertools.permutations(range(5)))))
    assert found.scales is not None and found.scales.min() >= 0 and found.scales.isfinite().all()


def test_birkhoff_matching_satisfies_the_optimality_condition():
    """⟨∇, W − V⟩ ≤ 0 for the best vertex V: no doubly stochastic matrix is better."""
    x, y = data(n=300, p=12, q=12)
    found = matching.doubly_stochastic(moments(x, y))
    weight = found.weight
    torch.testing.assert_close(weight.sum(0), torch.ones(12, dtype=torch.float64), atol=1e-9, rtol=0)
    slope = (weight @ x.T - y.T) @ x
    vertex = torch.eye(12, dtype=torch.float64)[birkhoff.best_permutation(-slope)]
    assert (slope * (weight - vertex)).sum() <= 1e-8 * y.square().sum()


def test_birkhoff_matching_recovers_a_doubly_stochastic_map():
    x, _ = data(p=7)
    truth = birkhoff.sinkhorn(torch.rand(7, 7, generator=torch.Generator().manual_seed(3)), sweeps=300)
    torch.testing.assert_close(matching.doubly_stochastic(moments(x, x @ truth.T)).weight, truth, atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    "kind, options",
    [("linear", {}), ("lowrank", {"rank": 2}), ("permutation", {}), ("birkhoff", {}), ("birkhoff", {"scales": True})],
)
def test_residual_from_moments_is_the_residual_of_the_rows(kind, options):
    x, y = data(p=5, q=5)
    affine = matching.match(STITCHERS[kind](5, 5, **options), moments(x, y))
    expected = error(affine, x, y) / (y - y.mean(0)).square().sum().item()
    assert matching.residual(moments(x, y), affine) == pytest.approx(expected)


def test_residual_of_the_mean_is_one():
    x, y = data()
    constant = Affine(torch.zeros(4, 6, dtype=torch.float64), y.mean(0))
    assert matching.residual(moments(x, y), constant) == pytest.approx(1.0)


def test_channels_of_unequal_number_cannot_be_matched_one_to_one():
    with pytest.raises(InputError, match="6 in front, 4 behind"):
        matching.permutation(moments(*data()))
