"""Owns direct matching: the map of each family that brings f's activation nearest to g's, in closed form from moments.

min_T ‖T x − y‖² over the rows of a `Moments`. Families with a bias use centred moments (b = ȳ − W x̄), families
without one (permutation, G_ReLU, Birkhoff) the uncentred ones. All in fp64.
"""

import torch
from torch import Tensor

from repsim.errors import InputError
from repsim.stitching import birkhoff
from repsim.stitching.moments import Moments
from repsim.stitching.stitchers import Affine, Birkhoff, Linear, LowRank, Permutation, Stitcher

STEPS = 5000
GAP = 1e-9  # of Σ‖y‖²


def linear(moments: Moments) -> Affine:
    """W = (S_xx⁺ S_xy)ᵀ, b = ȳ − W x̄: ordinary least squares of minimal norm; equals numpy.linalg.lstsq.

    Directions of x that are smaller than the rounding of the moments are cut: they carry nothing.
    """
    return _with_bias(moments, _least_squares(moments).mT)


def low_rank(moments: Moments, rank: int) -> Affine:
    """W = (B V_r V_rᵀ)ᵀ with B = S_xx⁺S_xy and V_r the top eigenvectors of BᵀS_xxB (reduced-rank regression, Izenman 1975)."""
    solution = _least_squares(moments)
    fitted = solution.mT @ moments.xx @ solution
    top = torch.linalg.eigh((fitted + fitted.mT) / 2).eigenvectors[:, -rank:]
    return _with_bias(moments, (solution @ top @ top.mT).mT)


def permutation(moments: Moments) -> Affine:
    """argmax_π Σ_j ⟨x_π(j), y_j⟩ (linear assignment on the uncentred Σxyᵀ)."""
    _need_square(moments)
    index = birkhoff.best_permutation(moments.raw()[2].mT)
    return Affine(_one_hot(index, moments.xx))


def g_relu(moments: Moments) -> Affine:
    """A permutation with non-negative scales: assignment on max(0, ⟨x_i, y_j⟩)² / ‖x_i‖², s_j = max(0, ⟨x_i, y_j⟩) / ‖x_i‖².

    Godfrey et al. 2022: the intertwiner group of ReLU. Dead inputs (‖x_i‖ = 0) gain nothing and scale by 0.
    """
    _need_square(moments)
    xx, _, xy = moments.raw()
    power = xx.diagonal()[:, None]
    inner = xy.clamp(min=0.0)
    alive = power > power.max() * moments.noise
    gain = torch.where(alive, inner.square() / power, torch.zeros_like(inner))
    scale = torch.where(alive, inner / power, torch.zeros_like(inner))
    index = birkhoff.best_permutation(gain.mT)
    return Affine(_one_hot(index, xx), scales=scale[index, torch.arange(len(index), device=xx.device)])


def doubly_stochastic(moments: Moments) -> Affine:
    """argmin ½‖W x − y‖² over doubly stochastic W: FISTA with the exact projection and restarts.

    Step 1/λ_max(Σxxᵀ); stops when the Frank–Wolfe gap max_V ⟨∇, W − V⟩, which bounds the distance from the optimum,
    is below 1e-9 of Σ‖y‖². Raises ArithmeticError where that is not reached.
    """
    _need_square(moments)
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


def match(stitcher: Stitcher, moments: Moments) -> Affine:
    """The exact optimum of the stitcher's own family."""
    if isinstance(stitcher, LowRank):
        return low_rank(moments, len(stitcher.inner))
    if isinstance(stitcher, Birkhoff):
        return g_relu(moments) if stitcher.scaled else doubly_stochastic(moments)
    return {Linear: linear, Permutation: permutation}[type(stitcher)](moments)


def residual(moments: Moments, affine: Affine) -> float:
    """Σ‖S(x) − y‖² / Σ‖y − ȳ‖² (the denominator is centred: 1 is what the best constant scores, more is worse).

    Give moments of images that the map has not seen. NaN where y is constant.
    """
    weight = birkhoff.exact(affine.matrix).to(moments.xx.device)
    offset = weight @ moments.mean_x - moments.mean_y
    if affine.bias is not None:
        offset = offset + birkhoff.exact(affine.bias).to(offset.device)
    variance = moments.yy.trace()
    error = variance - 2 * (weight.mT * moments.xy).sum() + ((weight @ moments.xx) * weight).sum()
    return float((error + moments.rows * offset.square().sum()) / variance) if variance > 0 else float("nan")


def _least_squares(moments: Moments) -> Tensor:
    """S_xx⁺ S_xy (p, q).

    Solved for channels of unit variance: rounding is relative to each channel's own size, so the rank is cut there.
    """
    spread, alive = _spread(moments)
    correlation = moments.xx / torch.outer(spread, spread) * torch.outer(alive, alive)
    values, vectors = torch.linalg.eigh(correlation)
    kept = values > (16 * moments.noise + len(values) * torch.finfo(values.dtype).eps) * values[-1]
    values, vectors = values[kept], vectors[:, kept]
    scaled = vectors / spread[:, None]
    solution = scaled @ ((scaled.mT @ moments.xy) / values[:, None])
    if bool(kept.all()):
        return solution
    basis = torch.linalg.qr(vectors * spread[:, None]).Q  # what x spans: outside of it the minimal norm is 0
    return basis @ (basis.mT @ solution)


def _spread(moments: Moments) -> tuple[Tensor, Tensor]:
    """√S_xx,ii, and 1 where it is more than the rounding of a constant channel (else spread 1 and 0)."""
    power = moments.xx.diagonal()
    total = power + moments.rows * moments.mean_x.square()
    alive = power > (16 * moments.noise) ** 2 * total
    return torch.where(alive, power, torch.ones_like(power)).sqrt(), alive.to(power.dtype)


def _with_bias(moments: Moments, weight: Tensor) -> Affine:
    return Affine(weight, moments.mean_y - weight @ moments.mean_x)


def _gap(weight: Tensor, xx: Tensor, xy: Tensor) -> Tensor:
    """max_V ⟨∇, W − V⟩ over permutations V."""
    slope = weight @ xx - xy.mT
    index = birkhoff.best_permutation(-slope)
    return (slope * weight).sum() - slope.gather(1, index[:, None]).sum()


def _one_hot(index: Tensor, like: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(index, len(index)).to(like.dtype)


def _need_square(moments: Moments) -> None:
    p, q = moments.xy.shape
    if p != q:
        raise InputError(f"channels cannot be matched one to one: {p} in front, {q} behind", where="front_layer, end_layer")
