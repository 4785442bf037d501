"""Owns direct matching over the Birkhoff polytope: the doubly stochastic map that brings x nearest to y.

min ½tr(W S Wᵀ) − tr(W B), S = Σxxᵀ, B = Σxyᵀ, over W ≥ 0 with rows and columns that sum to 1: a convex quadratic program.
Accelerated projected gradients find the face of the optimum, Newton steps on the face its last digits.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from repsim.stitching import birkhoff
from repsim.stitching.assignment import need_square
from repsim.stitching.moments import Moments
from repsim.stitching.stitcher import Affine

ROUNDS = 200
GRADIENT_STEPS = 30  # in every round
FACE_STEPS = 10  # likewise; each that is blocked leaves for a smaller face
GAP = 1e-9  # of Σ‖y‖²
LARGEST = 5e7  # numbers that the systems of a face may take
RIDGE = 1e-13  # of the largest entry of a system that may be singular


@dataclass(frozen=True)
class _Program:
    """S (n, n) and Bᵀ (n, n)."""

    gram: Tensor
    target: Tensor

    def slope(self, weight: Tensor) -> Tensor:
        return weight @ self.gram - self.target

    def value(self, weight: Tensor) -> Tensor:
        return (weight * (0.5 * weight @ self.gram - self.target)).sum()

    def gap(self, weight: Tensor) -> Tensor:
        """max_V ⟨∇, W − V⟩ over permutations V (Frank–Wolfe): no doubly stochastic matrix is better by more."""
        slope = self.slope(weight)
        vertex = birkhoff.best_permutation(-slope)
        return (slope * weight).sum() - slope.gather(1, vertex[:, None]).sum()


def doubly_stochastic(moments: Moments) -> Affine:
    """argmin ½‖W x − y‖² over doubly stochastic W.

    Stops when the Frank–Wolfe gap, which bounds the distance from the optimum, is below 1e-9 of Σ‖y‖².
    Raises InputError for widths that differ, ArithmeticError where the gap is not reached.
    """
    need_square(moments)
    xx, yy, xy = moments.raw()
    program = _Program(xx, xy.mT)
    weight = torch.full_like(xx, 1.0 / len(xx))
    for _ in range(ROUNDS):
        weight = _on_face(program, _descend(program, weight))
        if program.gap(weight) <= GAP * yy.trace():
            return Affine(weight)
    raise ArithmeticError(f"matching over the Birkhoff polytope did not converge in {ROUNDS} rounds")


def _descend(program: _Program, weight: Tensor) -> Tensor:
    """FISTA with the exact projection and restarts (Beck & Teboulle 2009; O'Donoghue & Candès 2015)."""
    step = 1.0 / _steepest(program.gram)
    ahead, speed, duals = weight, 1.0, None
    for _ in range(GRADIENT_STEPS):
        projected = birkhoff.euclidean(ahead - step * program.slope(ahead), duals)
        new, duals = projected.matrix, projected.duals
        if ((ahead - new) * (new - weight)).sum() > 0:
            speed = 1.0  # the momentum points uphill
        faster = (1 + (1 + 4 * speed**2) ** 0.5) / 2
        ahead, weight, speed = new + (speed - 1) / faster * (new - weight), new, faster
    return weight


def _steepest(gram: Tensor) -> Tensor:
    """The largest curvature along the polytope: that of S without the direction 1, as the rows of W − W' sum to 0."""
    centred = gram - gram.mean(0)
    centred = centred - centred.mean(1, keepdim=True)
    return torch.linalg.eigvalsh(centred)[-1].clamp(min=torch.finfo(gram.dtype).tiny)


def _on_face(program: _Program, weight: Tensor) -> Tensor:
    """Towards the minimum on the face of the positive entries; an entry that reaches 0 on the way leaves the face."""
    start = weight
    for _ in range(FACE_STEPS):
        goal = _face_minimum(program, weight)
        if goal is None:
            break
        blocked = torch.where(goal < 0, weight / (weight - goal), torch.inf)
        length = blocked.min().clamp(max=1.0)
        weight = (weight + length * (goal - weight)).clamp(min=0.0).masked_fill(blocked <= length, 0.0)
        if length == 1:
            break
    weight = birkhoff.euclidean(weight).matrix  # the sums again to the last digit
    return weight if program.value(weight) <= program.value(start) else start


def _face_minimum(program: _Program, weight: Tensor) -> Tensor | None:
    """argmin of the program over matrices that are 0 where W is, with rows and columns that sum to 1; None if it is out of reach.

    Row i of it is M_i (b_i + u_i + v), M_i = S⁻¹ on the row's own support; row sums give u, column sums a system for v.
    """
    n, support = len(weight), weight > 0
    most = int(support.sum(1).max())
    if n * most**2 > LARGEST:
        return None
    index = support.to(torch.uint8).topk(most, 1).indices
    inside = support.gather(1, index).to(weight.dtype)
    inverse = _inverses(program.gram, index, inside)
    if inverse is None:
        return None
    target = program.target.gather(1, index)
    sums = inverse.sum(-1)
    weights = sums / sums.sum(-1, keepdim=True)
    core = inverse - sums[:, :, None] * weights[:, None, :]  # M_i for targets whose effect on the row's sum u_i takes back
    fixed = weights + _times(core, target)
    columns = index[:, :, None] * n + index[:, None, :]
    system = weight.new_zeros(n * n).index_add_(0, columns.flatten(), core.flatten()).view(n, n)
    missing = weight.new_ones(n).index_add_(0, index.flatten(), -fixed.flatten())
    v = _solved(system, missing)
    goal = torch.zeros_like(weight).scatter_add_(1, index, fixed + _times(core, v[index]))
    return goal if bool(goal.isfinite().all()) else None


def _inverses(gram: Tensor, index: Tensor, inside: Tensor) -> Tensor | None:
    """S⁻¹ on every row's support (n, k, k), 0 beside it; None where S has no inverse there."""
    among = inside[:, :, None] * inside[:, None, :]
    parts = gram[index[:, :, None], index[:, None, :]] * among + torch.diag_embed(1.0 - inside)
    ridge = RIDGE * gram.diagonal().max() * torch.eye(index.shape[1], dtype=gram.dtype, device=gram.device)
    factor, failed = torch.linalg.cholesky_ex(parts + ridge)
    return None if bool(failed.any()) else torch.cholesky_inverse(factor) * among


def _solved(system: Tensor, right: Tensor) -> Tensor:
    """A solution of a system that is consistent but singular: the columns' sums add up to the rows'. One step of refinement."""
    ridge = RIDGE * system.diagonal().max() * torch.eye(len(system), dtype=system.dtype, device=system.device)
    factor, _ = torch.linalg.cholesky_ex(system + ridge)
    first = torch.cholesky_solve(right[:, None], factor)
    return (first + torch.cholesky_solve(right[:, None] - system @ first, factor)).squeeze(-1)


def _times(matrices: Tensor, vectors: Tensor) -> Tensor:
    return (matrices @ vectors[:, :, None]).squeeze(-1)
