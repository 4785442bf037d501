"""Projections onto the Birkhoff polytope, against POT and against points whose projection is known."""

import itertools

import numpy as np
import ot
import pytest
import torch

from repsim.stitching import birkhoff

pytestmark = pytest.mark.filterwarnings("ignore:scipy.optimize:DeprecationWarning")


def random(*shape: int, seed: int = 0, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_pot(matrix: np.ndarray) -> np.ndarray:
    """The same projection as regularised optimal transport (Blondel et al. 2018), an independent solver."""
    n = len(matrix)
    uniform = np.full(n, 1 / n)
    plan = ot.smooth.smooth_ot_dual(uniform, uniform, -matrix, reg=n, reg_type="l2", stopThr=1e-15, numItermax=10_000)
    return n * plan


@pytest.mark.parametrize("n", [2, 5, 16, 40])
@pytest.mark.parametrize("scale", [0.05, 1.0])
def test_projection_is_the_one_of_optimal_transport(n, scale):
    matrices = random(3, n, n, seed=n, scale=scale)
    projected = birkhoff.euclidean(matrices)
    atol = 1e-8 if scale < 1 else 1e-7  # where POT's L-BFGS stops; the optimality conditions below are sharper
    for matrix, point in zip(matrices.numpy(), projected.matrix.numpy(), strict=True):
        np.testing.assert_allclose(point, by_pot(matrix), atol=atol)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0, 1e4])
@pytest.mark.parametrize("n", [1, 3, 24, 100])
def test_projection_meets_the_optimality_conditions(n, scale):
    """P is doubly stochastic, and ⟨A − P, V − P⟩ ≤ 0 for the best vertex V: together they prove P to be nearest."""
    matrix = random(n, n, seed=n, scale=scale)
    projected = birkhoff.euclidean(matrix)
    point = projected.matrix
    assert projected.error <= 1e-10
    assert point.min() >= 0
    torch.testing.assert_close(point.sum(0), torch.ones(n, dtype=torch.float64), atol=1e-10, rtol=0)
    torch.testing.assert_close(point.sum(1), torch.ones(n, dtype=torch.float64), atol=1e-10, rtol=0)
    slope = matrix - point
    vertex = torch.eye(n, dtype=torch.float64)[birkhoff.best_permutation(slope)]
    assert ((vertex - point) * slope).sum() <= 1e-9 * max(1.0, scale) * n


def test_projection_keeps_what_is_doubly_stochastic():
    inside = birkhoff.sinkhorn(torch.rand(20, 20, generator=torch.Generator().manual_seed(1)), sweeps=500)
    torch.testing.assert_close(birkhoff.euclidean(inside).matrix, inside, atol=1e-10, rtol=0)


def test_projection_of_a_large_multiple_of_a_permutation_is_the_permutation():
    permutation = torch.eye(12)[torch.randperm(12, generator=torch.Generator().manual_seed(2))]
    torch.testing.assert_close(birkhoff.euclidean(50 * permutation).matrix, permutation.double(), atol=1e-10, rtol=0)


def test_projection_of_a_stack_equals_those_of_its_members():
    stack = random(2, 3, 9, 9)
    together = birkhoff.euclidean(stack)
    for i, j in itertools.product(range(2), range(3)):
        torch.testing.assert_close(together.matrix[i, j], birkhoff.euclidean(stack[i, j]).matrix, atol=1e-9, rtol=0)
    assert together.duals.shape == (2, 3, 2, 9)


def test_start_from_the_last_duals_changes_nothing_but_the_work(monkeypatch):
    matrix = random(30, 30)
    nearby = matrix + 1e-3 * random(30, 30, seed=5)
    cold = birkhoff.euclidean(nearby)
    duals = birkhoff.euclidean(matrix).duals
    monkeypatch.setattr(birkhoff, "NEWTON_STEPS", 4)
    warm = birkhoff.euclidean(nearby, duals)
    assert warm.error <= 1e-10
    torch.testing.assert_close(warm.matrix, cold.matrix, atol=1e-9, rtol=0)


def test_projection_that_runs_out_of_steps_says_so(monkeypatch):
    monkeypatch.setattr(birkhoff, "NEWTON_STEPS", 1)
    assert birkhoff.euclidean(random(30, 30)).error > 1e-3


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_matrix_that_is_not_finite_spoils_no_other(bad):
    stack = random(3, 8, 8)
    alone = birkhoff.euclidean(stack[[0, 2]]).matrix
    stack[1, 3, 3] = bad
    projected = birkhoff.euclidean(stack)
    assert projected.matrix[1].isnan().all() and projected.error[1] == float("inf")
    torch.testing.assert_close(projected.matrix[[0, 2]], alone, atol=1e-9, rtol=0)


def test_projection_leaves_its_input_alone():
    matrix = random(6, 6)
    before = matrix.clone()
    birkhoff.euclidean(matrix)
    birkhoff.sinkhorn(matrix)
    assert torch.equal(matrix, before)


def test_sinkhorn_makes_sums_one_but_is_not_the_nearest_point():
    matrix = random(10, 10, scale=0.3).abs() + 0.1 * torch.eye(10)
    swept = birkhoff.sinkhorn(matrix, sweeps=200)
    torch.testing.assert_close(swept.sum(1), torch.ones(10, dtype=torch.float64), atol=1e-9, rtol=0)
    assert (swept - matrix).norm() > (birkhoff.euclidean(matrix).matrix - matrix).norm() + 1e-3


def test_sinkhorn_cannot_revive_a_row_that_was_clamped_to_zero():
    matrix = torch.rand(4, 4, generator=torch.Generator().manual_seed(0))
    matrix[0] = -1.0
    assert torch.equal(birkhoff.sinkhorn(matrix)[0], torch.zeros(4, dtype=torch.float64))


def test_rounding_finds_the_best_of_all_permutations():
    matrix = random(6, 6, seed=3)
    best = max(itertools.permutations(range(6)), key=lambda p: sum(matrix[i, j].item() for i, j in enumerate(p)))
    assert birkhoff.best_permutation(matrix).tolist() == list(best)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_a_score_that_is_not_finite_counts_as_the_lowest(bad):
    matrix = random(5, 5, seed=4)
    lowest = matrix.clone()
    lowest[0, 1] = lowest[3, 3] = matrix.min()
    matrix[0, 1] = matrix[3, 3] = bad
    assert birkhoff.best_permutation(matrix).tolist() == birkhoff.best_permutation(lowest).tolist()


def test_scores_none_of_which_is_finite_still_give_a_permutation():
    assert sorted(birkhoff.best_permutation(torch.full((4, 4), torch.nan)).tolist()) == [0, 1, 2, 3]
