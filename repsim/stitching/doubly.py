"""Owns direct matching over the Birkhoff polytope: the doubly stochastic map that brings x nearest to y."""

import torch
from torch import Tensor

from repsim.stitching import birkhoff
from repsim.stitching.assignment import need_square
from repsim.stitching.moments import Moments
from repsim.stitching.stitcher import Affine

STEPS = 5000
GAP = 1e-9  # of Σ‖y‖²


def doubly_stochastic(moments: Moments) -> Affine:
    """argmin ½‖W x − y‖² over doubly stochastic W: FISTA with the exact projection and restarts.

    Step 1/λ_max(Σxxᵀ); stops when the Frank–Wolfe gap max_V ⟨∇, W − V⟩, which bounds the distance from the optimum,
    is below 1e-9 of Σ‖y‖². Raises ArithmeticError where that is not reached.
    """
    need_square(moments)
    xx, yy, xy = moments.raw()
    step = 1.0 / torch.linalg.eigvalsh(xx)[-1].clamp(min=torch.finfo(xx.dtype).tiny)
    weight = ahead = torch.full_like(xx, 1.0 / len(xx))
    speed, duals = 1.0, None
    for count in range(STEPS):
        if count % 10 == 0 and _gap(weight, xx, xy) <= GAP * yy.trace():
            return Affine(weight)
        projected = birkhoff.euclidean(ahead - step * (ahead @ xx - xy.mT), duals)
        new, duals = projected.matrix, projected.duals
        if ((ahead - new) * (new - weight)).sum() > 0:
            speed = 1.0  # the momentum points uphill (O'Donoghue & Candès 2015)
        faster = (1 + (1 + 4 * speed**2) ** 0.5) / 2
        ahead, weight, speed = new + (speed - 1) / faster * (new - weight), new, faster
    raise ArithmeticError(f"matching over the Birkhoff polytope did not converge in {STEPS} steps")


def _gap(weight: Tensor, xx: Tensor, xy: Tensor) -> Tensor:
    """max_V ⟨∇, W − V⟩ over permutations V."""
    slope = weight @ xx - xy.mT
    index = birkhoff.best_permutation(-slope)
    return (slope * weight).sum() - slope.gather(1, index[:, None]).sum()
