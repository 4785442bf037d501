"""Owns the lasso from moments: min_W 1/(2n)‖W x + b − y‖² + λ‖W‖₁ for all outputs at once, to the last digits.

In channels of unit variance, C = corr(x) (p, p), c = cov(x, y) (p, q) and V (p, q) their coefficients: every output
minimises ½vᵀCv − cᵀv + Σ t_i|v_i|, t_i = λ / √var(x_i), on its own. Coordinate descent (Friedman et al. 2010) finds
most of the signs; feature-sign steps (Lee et al. 2007: solve for the support with its signs held, search the segment to
that point exactly) find the rest and make the answer exact. Both lower the objective in every step.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from repsim.errors import InputError
from repsim.stitching.moments import Moments
from repsim.stitching.regression import correlation, floor, with_bias
from repsim.stitching.stitcher import Affine

ROUNDS = 500
SWEEPS = 3  # of coordinate descent in every round
BLOCK = 32  # coordinates between two updates of the whole gradient
TOLERANCE = 1e-10  # of the largest |c|: how far an optimality condition may be from true
SLACK = 64  # how many times its rounding a gradient may be off
NEVER = 1e150  # the threshold of an input that is not allowed


@dataclass(frozen=True)
class _Problem:
    """C (p, p), and for m outputs c (p, m) and the thresholds t (p, m)."""

    gram: Tensor
    cross: Tensor
    threshold: Tensor

    def of(self, outputs: Tensor) -> "_Problem":
        """The same for some outputs."""
        return _Problem(self.gram, self.cross[:, outputs], self.threshold[:, outputs])


def lasso(moments: Moments, penalty: float, mask: Tensor | None = None) -> Affine:
    """The lasso with weight λ = `penalty` on ‖W‖₁ (a sum), no penalty on b; equals scikit-learn's Lasso(alpha=λ).

    Stops when the optimality conditions hold: |r_i| ≤ t_i, and r_i = t_i·sign v_i where v_i ≠ 0, r = c − Cv.
    Constant channels get 0, and so does what `mask` (q, p) does not allow.
    Raises InputError for a λ that is not positive, ArithmeticError where the conditions are not reached.
    """
    if penalty <= 0:
        raise InputError(
            f"a lasso with weight {penalty} is none", where="lasso_weight", do="choose more than 0, or stitcher: linear"
        )
    matrix, size, alive = correlation(moments)
    deviation = size[alive] / moments.rows**0.5
    cross = moments.xy[alive] / (moments.rows * deviation[:, None])
    threshold = (penalty / deviation)[:, None].expand_as(cross)
    if mask is not None:
        threshold = threshold.masked_fill(~mask.to(threshold.device).mT[alive], NEVER)
    weight = torch.zeros_like(moments.xy)
    gram = _certain(matrix[alive][:, alive], floor(moments))
    weight[alive] = _minimise(_Problem(gram, cross, threshold)) / deviation[:, None]
    return with_bias(moments, weight.mT)


def _certain(gram: Tensor, rounding: float) -> Tensor:
    """C with the eigenvalues below its rounding raised to it: rounding then cannot make a direction pay."""
    if not len(gram):
        return gram
    values, vectors = torch.linalg.eigh(gram)
    return gram + (vectors * (rounding * values[-1] - values).clamp(min=0.0)) @ vectors.mT


def _minimise(problem: _Problem) -> Tensor:
    """V (p, q); outputs that are done wait for the others."""
    values = torch.zeros_like(problem.cross)
    todo = torch.arange(values.shape[1] if len(values) else 0, device=values.device)
    for _ in range(ROUNDS):
        todo = todo[_error(problem.of(todo), values[:, todo]) > 0]
        if not len(todo):
            return values
        part = problem.of(todo)
        values[:, todo] = _feature_sign(part, _descend(part, values[:, todo]))
    raise ArithmeticError(f"the lasso did not converge in {ROUNDS} rounds")


def _error(problem: _Problem, values: Tensor) -> Tensor:
    """By how much each output misses an optimality condition, less what is allowed (m,)."""
    slope = problem.cross - problem.gram @ values
    held = (slope - problem.threshold * values.sign()).abs()
    free = slope.abs() - problem.threshold
    rounding = SLACK * torch.finfo(values.dtype).eps * values.abs().sum(0)
    return torch.where(values != 0, held, free).amax(0) - TOLERANCE * problem.cross.abs().amax(0) - rounding


def _descend(problem: _Problem, values: Tensor) -> Tensor:
    """Coordinate descent, all outputs side by side: v_i = soft(v_i + r_i / C_ii, t_i / C_ii)."""
    values = values.clone()
    for _ in range(SWEEPS):
        for block in torch.arange(len(values), device=values.device).split(BLOCK):
            _descend_block(problem, values, block)
    return values


def _descend_block(problem: _Problem, values: Tensor, block: Tensor) -> None:
    """One sweep of some coordinates; r is brought up to date within the block only."""
    slope = problem.cross[block] - problem.gram[block] @ values
    inner = problem.gram[block][:, block]
    reach = problem.threshold[block] / inner.diagonal()[:, None]
    for row, i in enumerate(block.tolist()):
        wanted = values[i] + slope[row] / inner[row, row]
        new = wanted - wanted.clamp(-reach[row], reach[row])
        slope -= inner[:, row, None] * (new - values[i])
        values[i] = new


def _feature_sign(problem: _Problem, values: Tensor) -> Tensor:
    """From each output's V towards the minimum on its support with its signs, as far as the objective falls."""
    step = torch.zeros_like(values)
    for output in range(values.shape[1]):
        support = values[:, output].nonzero().squeeze(-1)
        step[support, output] = _goal(problem, values, support, output) - values[support, output]
    step = torch.where(step.isfinite().all(0), step, torch.zeros_like(step))
    crossing = torch.where(step * values < 0, -values / step, torch.full_like(values, torch.inf))
    length = _line_search(problem, values, step, crossing)
    return torch.where(crossing == length, torch.zeros_like(values), values + length * step)


def _goal(problem: _Problem, values: Tensor, support: Tensor, output: int) -> Tensor:
    """C_AA⁻¹ (c_A − t_A sign v_A) on the support A."""
    right = problem.cross[support, output] - problem.threshold[support, output] * values[support, output].sign()
    factor, _ = torch.linalg.cholesky_ex(problem.gram[support[:, None], support])
    return torch.cholesky_solve(right[:, None], factor).squeeze(-1)


def _line_search(problem: _Problem, values: Tensor, step: Tensor, crossing: Tensor) -> Tensor:
    """argmin over τ in [0, 1] of the objective at V + τ·step, for every output (m,).

    Its derivative is slope + curvature·τ, and jumps by 2t_i|step_i| where entry i crosses 0: the first τ where it is not negative.
    """
    curvature = (step * (problem.gram @ step)).sum(0)
    slope = (step * (problem.gram @ values - problem.cross + problem.threshold * values.sign())).sum(0)
    order = crossing.argsort(0)
    jumps = (2 * problem.threshold * step.abs()).gather(0, order).cumsum(0)
    zero, one = torch.zeros_like(slope)[None], torch.ones_like(slope)[None]
    ends = torch.cat((crossing.gather(0, order).clamp(max=1.0), one))  # of the pieces between two crossings
    starts = torch.cat((zero, ends[:-1]))
    slopes = slope + torch.cat((zero, jumps))
    rising = slopes + curvature * ends >= 0
    rising[-1] = True
    piece = rising.to(torch.uint8).argmax(0, keepdim=True)
    least = -slopes.gather(0, piece) / curvature.clamp(min=torch.finfo(slope.dtype).tiny)
    return least.clamp(starts.gather(0, piece), ends.gather(0, piece)).squeeze(0)
