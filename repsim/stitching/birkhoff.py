"""Owns the Birkhoff polytope (doubly stochastic matrices): projections onto it, and rounding to its vertices.

All functions take a stack of square matrices (..., n, n), work in fp64, and leave their input alone.
"""

from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

TOLERANCE = 1e-10  # of every row and column sum
NEWTON_STEPS = 200
HALVINGS = 60


@dataclass(frozen=True)
class Projection:
    """The nearest points, the duals (..., 2, n) to start the next projection from, and the largest error of a row or column sum."""

    matrix: Tensor
    duals: Tensor
    error: Tensor


def exact(tensor: Tensor) -> Tensor:
    """A detached fp64 copy, on the CPU where the device (MPS) has no fp64."""
    device = "cpu" if tensor.device.type == "mps" else tensor.device
    return tensor.detach().to(device=device, dtype=torch.float64, copy=True)


def euclidean(matrices: Tensor, duals: Tensor | None = None) -> Projection:
    """argmin_P ½‖P − A‖_F² over doubly stochastic P, for every A of the stack.

    The dual is min_{u,v} ½‖[A + u1ᵀ + 1vᵀ]₊‖² − 1ᵀu − 1ᵀv with P = [A + u1ᵀ + 1vᵀ]₊; it is solved by a damped
    semismooth Newton method with a line search (Li, Sun & Toh 2020, "On the efficient computation of a projection
    onto the Birkhoff polytope"), whose 2n×2n system is reduced to n×n. Two to four steps from the duals of a nearby
    matrix. A matrix that is not finite gives NaN; one that did not converge says so
    by `error`, which is else at most `TOLERANCE` (or the rounding of its largest entry).
    """
    stack = exact(matrices)
    n = stack.shape[-1]
    flat = _centred(stack.reshape(-1, n, n))
    finite = flat.isfinite().all(-1).all(-1)
    flat[~finite] = 0.0
    start = flat.new_zeros(len(flat), 2, n) if duals is None else exact(duals).reshape(-1, 2, n).nan_to_num(0.0, 0.0, 0.0)
    points, start, error = _newton(flat, start)
    points[~finite], error[~finite] = torch.nan, torch.inf
    lead = stack.shape[:-2]
    return Projection(points.reshape(stack.shape), start.reshape(*lead, 2, n), error.reshape(lead))


def sinkhorn(matrices: Tensor, sweeps: int = 16) -> Tensor:
    """Clamp at 0, then divide rows and columns by their sums `sweeps` times (Godfrey et al. 2022, appendix).

    It reproduces the paper and is not the nearest point: a row that is clamped to zero stays zero.
    """
    points = exact(matrices).clamp_(min=0.0)
    tiny = torch.finfo(points.dtype).tiny
    for _ in range(sweeps):
        points /= points.sum(-1, keepdim=True).clamp_(min=tiny)
        points /= points.sum(-2, keepdim=True).clamp_(min=tiny)
    return points


def best_permutation(score: Tensor) -> Tensor:
    """argmax_π Σ_j score[j, π(j)] over injections π (Hungarian algorithm): the column index for every row, as int64.

    Score is (rows, columns) with rows ≤ columns. Rounds a doubly stochastic matrix to its nearest vertex. A score that is
    not finite counts as the lowest that is, so that what has diverged is still given some permutation.
    """
    values = exact(score).cpu()
    known = values.isfinite()
    lowest = values[known].min() if bool(known.any()) else 0.0
    rows, columns = linear_sum_assignment(values.masked_fill(~known, lowest).numpy(), maximize=True)
    assert len(rows) == len(score), "more rows than columns cannot all be assigned"
    return torch.as_tensor(columns, dtype=torch.int64, device=score.device)


def _centred(stack: Tensor) -> Tensor:
    """Row and column means set to 1/n: the same projection, by duals of modest size."""
    n = stack.shape[-1]
    stack = stack - stack.mean(-1, keepdim=True)
    return stack - stack.mean(-2, keepdim=True) + 1.0 / n


def _newton(stack: Tensor, duals: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Minimise the dual of every matrix of (k, n, n); members that have converged wait for the others."""
    duals = _better_start(stack, duals)
    points, value, gradient = _dual(stack, duals)
    error, span = gradient.abs().amax((-1, -2)), stack.abs().amax((-1, -2))
    enough = (torch.finfo(stack.dtype).eps * span).clamp(min=TOLERANCE)
    for _ in range(NEWTON_STEPS):
        todo = (error > enough).nonzero().squeeze(-1)
        if not len(todo):
            break
        direction = _direction(points[todo], gradient[todo], span[todo])
        moved, found = _line_search(stack[todo], duals[todo], direction, value[todo], gradient[todo])
        if not found.any():
            break  # rounding: no member can go lower
        duals[todo] = moved
        points[todo], value[todo], gradient[todo] = _dual(stack[todo], moved)
        error[todo] = gradient[todo].abs().amax((-1, -2))
    return points, duals, error


def _better_start(stack: Tensor, duals: Tensor) -> Tensor:
    """The given duals where they beat zero duals, else zero."""
    zero = torch.zeros_like(duals)
    better = _dual(stack, duals)[1] < _dual(stack, zero)[1]
    return torch.where(better[:, None, None], duals, zero)


def _dual(stack: Tensor, duals: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """P (k, n, n), the dual's value (k,), and its gradient (k, 2, n): row sums − 1 and column sums − 1."""
    points = (stack + duals[:, 0, :, None] + duals[:, 1, None, :]).clamp_(min=0.0)
    value = 0.5 * points.square().sum((-1, -2)) - duals.sum((-1, -2))
    gradient = torch.stack((points.sum(-1), points.sum(-2)), 1) - 1.0
    return points, value, gradient


def _direction(points: Tensor, gradient: Tensor, span: Tensor) -> Tensor:
    """−(H + εI)⁻¹∇ with H = [diag(r) M; Mᵀ diag(c)], M the support of P, r and c its row and column counts.

    ε follows the gradient: damping far away (a row may have an empty support), Newton's step close by.
    """
    support = (points > 0).to(points.dtype)
    size = gradient.abs().amax((-1, -2))
    damping = (1e-2 * size / span.clamp(min=1.0)).clamp(1e-10, 1e-2)[:, None]
    rows, columns = support.sum(-1) + damping, support.sum(-2) + damping
    scaled = support / rows[:, :, None]
    schur = torch.diag_embed(columns) - support.mT @ scaled
    right = gradient[:, 1] - (scaled.mT @ gradient[:, 0, :, None]).squeeze(-1)
    factor, _ = torch.linalg.cholesky_ex(schur)
    v = -torch.cholesky_solve(right[:, :, None], factor).squeeze(-1)
    u = -(gradient[:, 0] + (support @ v[:, :, None]).squeeze(-1)) / rows
    step = torch.stack((u, v), 1)
    descends = step.isfinite().all(-1).all(-1) & ((step * gradient).sum((-1, -2)) < 0)
    return torch.where(descends[:, None, None], step, -gradient / points.shape[-1])


def _line_search(stack: Tensor, duals: Tensor, step: Tensor, value: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Halve each member's step until the dual has fallen enough (Armijo) or its gradient has shrunk: new duals, and who moved."""
    slope = 1e-4 * (step * gradient).sum((-1, -2))
    error = gradient.abs().amax((-1, -2))
    size = torch.ones_like(value)
    found = torch.zeros_like(value, dtype=torch.bool)
    for _ in range(HALVINGS):
        _, trial, slant = _dual(stack, duals + size[:, None, None] * step)
        # close to the optimum the value's change drowns in rounding, the gradient's does not
        found |= (trial <= value + size * slope) | (slant.abs().amax((-1, -2)) < 0.5 * error)
        if found.all():
            break
        size = torch.where(found, size, 0.5 * size)
    size = torch.where(found, size, torch.zeros_like(size))
    return duals + size[:, None, None] * step, found
