"""Owns direct matching: the map of each family that brings f's activation nearest to g's, exactly, from moments.

min_T ‖T x − y‖² over the rows of a `Moments`, all in fp64. Families with a bias use centred sums (b = ȳ − W x̄), families
without one (permutation, G_ReLU, Birkhoff) uncentred ones. How near a map comes is measured here as well.
"""

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor

from repsim.errors import InputError
from repsim.stitching import birkhoff
from repsim.stitching.assignment import g_relu, permutation
from repsim.stitching.doubly import doubly_stochastic
from repsim.stitching.lasso import lasso
from repsim.stitching.linear import Lasso, Linear, LowRank
from repsim.stitching.moments import Moments, solvable
from repsim.stitching.orthogonal import Orthogonal
from repsim.stitching.permutations import Birkhoff, Permutation, Wreath
from repsim.stitching.regression import SAFETY, linear, low_rank, masked, orthogonal
from repsim.stitching.stitcher import Affine, Stitcher


@solvable()
def match(stitcher: Stitcher, moments: Moments, ridge: float = 0.0) -> Affine:
    """The exact optimum of the stitcher's own family, as its options are; `ridge` as in `regression.linear`.

    Raises InputError for a ridge that the family cannot have and for widths that do not fit it, NotFinite for activations
    that are not; ArithmeticError where an iteration does not converge (lasso, Birkhoff) or a matrix cannot be factored.
    """
    moments.need_finite()
    if not ridge:
        return MATCHES[type(stitcher)](stitcher, moments)
    if type(stitcher) not in RIDGED:
        what = f"a {stitcher.family} stitcher is not matched with a ridge"
        raise InputError(what, where="ridge", do=f"leave it out, or choose {' or '.join(kind.family for kind in RIDGED)}")
    return RIDGED[type(stitcher)](stitcher, moments, ridge)


def residual(moments: Moments, affine: Affine) -> float:
    """Σ‖S(x) − y‖² / Σ‖y − ȳ‖² (the denominator is centred: 1 is what the best constant scores, more is worse).

    Give moments of images that the map has not seen. NaN where y is constant.
    """
    weight = _weight(moments, affine)
    offset = weight @ moments.mean_x - moments.mean_y
    if affine.bias is not None:
        offset = offset + birkhoff.exact(affine.bias).to(offset.device)
    variance = moments.yy.trace()
    error = variance - 2 * (weight.mT * moments.xy).sum() + ((weight @ moments.xx) * weight).sum()
    return float((error + moments.rows * offset.square().sum()) / variance) if variance > 0 else float("nan")


def cka(moments: Moments, affine: Affine | None = None) -> float | None:
    """Linear CKA ‖S_xy‖_F² / (‖S_xx‖_F ‖S_yy‖_F) of S(x), or of x itself, with y (Kornblith et al. 2019, section 3).

    The biased value, over rows as examples. None where one of the two is constant or not finite.
    """
    xx, xy, mean = moments.xx, moments.xy, moments.mean_x
    if affine is not None:
        weight = _weight(moments, affine)
        xx, xy, mean = weight @ xx @ weight.mT, weight @ xy, weight.abs() @ mean.abs()
    if not (_varies(moments, xx, mean) and _varies(moments, moments.yy, moments.mean_y)):
        return None
    value = float(xy.square().sum() / (_norm(xx) * _norm(moments.yy)))
    return value if math.isfinite(value) else None


def _weight(moments: Moments, affine: Affine) -> Tensor:
    return birkhoff.exact(affine.matrix).to(moments.xx.device)


def _varies(moments: Moments, gram: Tensor, mean: Tensor) -> bool:
    """Whether a centred sum is more than the rounding of values around `mean`; False where it is not finite."""
    power = gram.trace()
    return bool(power > (SAFETY * moments.noise) ** 2 * (power + moments.rows * mean.square().sum()))


def _norm(gram: Tensor) -> Tensor:
    return gram.square().sum().sqrt()


def _linear(stitcher: Linear, moments: Moments, ridge: float = 0.0) -> Affine:
    return linear(moments, ridge) if stitcher.mask is None else masked(moments, stitcher.mask, ridge)


def _lasso(stitcher: Lasso, moments: Moments) -> Affine:
    """The penalty is that of the stitcher; without one it is a linear stitcher."""
    return lasso(moments, stitcher.lasso_weight, stitcher.mask) if stitcher.lasso_weight else _linear(stitcher, moments)


def _low_rank(stitcher: LowRank, moments: Moments, ridge: float = 0.0) -> Affine:
    return low_rank(moments, len(stitcher.inner), ridge)


def _orthogonal(stitcher: Orthogonal, moments: Moments) -> Affine:
    return orthogonal(moments, stitcher.scaled)


def _one_to_one(_: Stitcher, moments: Moments) -> Affine:
    return permutation(moments)


def _wreath(_: Stitcher, moments: Moments) -> Affine:
    return g_relu(moments)


def _birkhoff(stitcher: Birkhoff, moments: Moments) -> Affine:
    return g_relu(moments) if stitcher.scaled else doubly_stochastic(moments)


MATCHES: dict[type[Stitcher], Callable[[Any, Moments], Affine]] = {
    Linear: _linear,
    LowRank: _low_rank,
    Lasso: _lasso,
    Orthogonal: _orthogonal,
    Permutation: _one_to_one,
    Wreath: _wreath,
    Birkhoff: _birkhoff,
}
RIDGED: dict[type[Stitcher], Callable[[Any, Moments, float], Affine]] = {Linear: _linear, LowRank: _low_rank}
