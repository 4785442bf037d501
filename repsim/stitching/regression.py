"""Owns linear regression from moments, in closed form: least squares, ridge, masked, of low rank, orthogonal.

min_W ‖W x + b − y‖² over the rows of a `Moments`; with b = ȳ − W x̄ only the centred sums matter. All in fp64.
"""

import torch
from torch import Tensor

from repsim.errors import InputError
from repsim.stitching.moments import Moments, solvable
from repsim.stitching.stitcher import Affine

SAFETY = 16  # how many times the rounding of a sum is still rounding


@solvable()
def linear(moments: Moments, ridge: float = 0.0) -> Affine:
    """W = (S_xx⁺ S_xy)ᵀ, b = ȳ − W x̄: ordinary least squares of minimal norm; equals numpy.linalg.lstsq.

    Directions of x that are smaller than the rounding of the moments are cut: they carry nothing. With `ridge` λ > 0
    W = ((S_xx + αI)⁻¹ S_xy)ᵀ, α = λ·tr(S_xx)/p; equals scikit-learn's Ridge(alpha=α).
    Raises NotFinite for activations that are not finite, ArithmeticError where S_xx cannot be factored.
    """
    moments.need_finite()
    return with_bias(moments, _solution(moments, ridge).mT)


def masked(moments: Moments, mask: Tensor, ridge: float = 0.0) -> Affine:
    """Least squares of every output on the inputs that `mask` (q, p) allows it, 0 elsewhere: exact, output by output.

    Outputs that are allowed the same inputs are solved together. λ is relative to tr(S_xx)/p of all inputs.
    """
    weight = moments.xy.mT.new_zeros(mask.shape)
    alpha = _alpha(moments, ridge)
    patterns, which = mask.to(weight.device).unique(dim=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        inputs, outputs = pattern.nonzero().squeeze(-1), (which == number).nonzero().squeeze(-1)
        if len(inputs):
            weight[outputs[:, None], inputs] = _solve(_part(moments, inputs, outputs), alpha).mT
    return with_bias(moments, weight)


def low_rank(moments: Moments, rank: int, ridge: float = 0.0) -> Affine:
    """W = (B V_r V_rᵀ)ᵀ with B = (S_xx + αI)⁺S_xy and V_r the top eigenvectors of S_xyᵀB (Izenman 1975, reduced-rank regression).

    S_xyᵀB = Bᵀ(S_xx + αI)B is what the full fit gains, by direction of y.
    """
    solution = _solution(moments, ridge)
    gain = moments.xy.mT @ solution
    top = torch.linalg.eigh((gain + gain.mT) / 2).eigenvectors[:, -rank:]
    return with_bias(moments, (solution @ top @ top.mT).mT)


def orthogonal(moments: Moments, scaled: bool = False) -> Affine:
    """W = V Uᵀ of the SVD S_xy = U Σ Vᵀ: the best W with WᵀW = I_p (Schönemann 1966); scale Σσ / tr S_xx if `scaled`.

    Needs p ≤ q. Equals scipy.linalg.orthogonal_procrustes of centred data.
    """
    p, q = moments.xy.shape
    if p > q:
        what = f"{p} channels in front cannot be kept apart in {q} behind"
        raise InputError(what, where="stitcher", do="choose layers with no more channels in front than behind")
    left, values, right = torch.linalg.svd(moments.xy, full_matrices=False)
    weight = (left @ right).mT
    if not scaled:
        return with_bias(moments, weight)
    power = moments.xx.trace()
    scale = values.sum() / power if power > 0 else power.new_zeros(())
    return Affine(weight, moments.mean_y - scale * (weight @ moments.mean_x), scale.expand(q))


def with_bias(moments: Moments, weight: Tensor) -> Affine:
    """The map with `weight` (q, p) and its best bias ȳ − W x̄."""
    return Affine(weight, moments.mean_y - weight @ moments.mean_x)


def spread(moments: Moments) -> tuple[Tensor, Tensor]:
    """√S_xx,ii (p,), and which channels (bool) vary by more than their rounding; the others have spread 1."""
    power = moments.xx.diagonal()
    total = power + moments.rows * moments.mean_x.square()
    alive = power > (SAFETY * moments.noise) ** 2 * total
    return torch.where(alive, power, torch.ones_like(power)).sqrt(), alive


def correlation(moments: Moments) -> tuple[Tensor, Tensor, Tensor]:
    """S_xx for channels of unit spread, 0 where a channel is constant; and what `spread` gives."""
    size, alive = spread(moments)
    matrix = moments.xx / torch.outer(size, size) * torch.outer(alive, alive)
    return (matrix + matrix.mT) / 2, size, alive


def floor(moments: Moments) -> float:
    """The part of a correlation matrix's largest eigenvalue that is rounding."""
    return SAFETY * moments.noise + len(moments.xx) * torch.finfo(torch.float64).eps


def _solution(moments: Moments, ridge: float) -> Tensor:
    return _solve(moments, _alpha(moments, ridge))


def _alpha(moments: Moments, ridge: float) -> float:
    if ridge < 0:
        raise InputError(f"a ridge of {ridge} rewards large weights", where="ridge", do="choose 0 or more")
    return ridge * float(moments.xx.trace()) / len(moments.xx)


def _solve(moments: Moments, alpha: float) -> Tensor:
    """(S_xx + αI)⁺ S_xy (p, q)."""
    if not alpha:
        return _least_squares(moments)
    values, vectors = torch.linalg.eigh(moments.xx)
    return vectors @ ((vectors.mT @ moments.xy) / (values.clamp(min=0.0) + alpha)[:, None])


def _least_squares(moments: Moments) -> Tensor:
    """S_xx⁺ S_xy (p, q).

    Solved for channels of unit variance: rounding is relative to each channel's own size, so the rank is cut there.
    """
    matrix, size, _ = correlation(moments)
    values, vectors = torch.linalg.eigh(matrix)
    kept = values > floor(moments) * values[-1]
    values, vectors = values[kept], vectors[:, kept]
    scaled = vectors / size[:, None]
    solution = scaled @ ((scaled.mT @ moments.xy) / values[:, None])
    if bool(kept.all()):
        return solution
    basis = torch.linalg.qr(vectors * size[:, None]).Q  # what x spans: outside of it the minimal norm is 0
    return basis @ (basis.mT @ solution)


def _part(moments: Moments, inputs: Tensor, outputs: Tensor) -> Moments:
    """The moments of some channels only."""
    return Moments(
        moments.rows,
        moments.mean_x[inputs],
        moments.mean_y[outputs],
        moments.xx[inputs[:, None], inputs],
        moments.yy[outputs[:, None], outputs],
        moments.xy[inputs[:, None], outputs],
        moments.noise,
    )
