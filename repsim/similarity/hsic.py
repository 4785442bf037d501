"""Owns HSIC, the squared covariance of two kernels, from sums over pairs of distinct images: biased and unbiased, weighted or not.

Sums are kept by group of images, so that a draw of the bootstrap, which takes group g w_g times, needs no images again.
All pairs of kernels of two sides are computed at once. Everything is fp64.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

FEWEST = 4  # images that the unbiased estimate takes
ENTRY = 4  # how many times the rounding of an entry is still rounding
Join = Callable[[Tensor, Tensor], Tensor]  # (…, L, n), (…, L', n) → sums of products over n: of all pairs, flat, or each by itself


@dataclass(frozen=True)
class Half:
    """Sums of L kernels K of one side, over g groups; without the diagonal.

    Attributes:
        own: Σ K_ij² over i of one group and j ≠ i of another (g, g, L).
        rows: of each image Σ K_ij over j ≠ i of a group (L, n, g).
        diagonal: K_ii (L, n).
    """

    own: Tensor
    rows: Tensor
    diagonal: Tensor


@dataclass(frozen=True)
class Sums:
    """`cross`: Σ K_ij L_ij over i of one group and j ≠ i of another (g, g, L, L'); `sizes`: images of each group (g,)."""

    cross: Tensor
    x: Half
    y: Half
    sizes: Tensor


@dataclass(frozen=True)
class Hsic:
    """Of all pairs xy (…, L, L'), of the kernels of a side with themselves xx (…, L) and yy (…, L')."""

    xy: Tensor
    xx: Tensor
    yy: Tensor

    def ratio(self) -> Tensor:
        """CKA: xy / √(xx yy) (…, L, L'); NaN where a kernel has no variance of its own."""
        scale = (self.xx.clamp(min=0)[..., :, None] * self.yy.clamp(min=0)[..., None, :]).sqrt()
        return torch.where(scale > 0, self.xy / scale, torch.nan)


class _Margins(NamedTuple):
    """Σ_j w_j K_ij and Σ_j w_j² K_ij over j ≠ i (d, L, n), and K_ii (L, n)."""

    once: Tensor
    twice: Tensor
    diagonal: Tensor


def biased(sums: Sums, weights: Tensor | None = None) -> Hsic:
    """HSIC₀ = tr(KHLH) / (n − 1)², H = I − 11ᵀ/n (Gretton et al. 2005); needs n ≥ 2.

    With w_i times image i, n = Σ w_i and r_i = Σ_j w_j K_ij with the diagonal, s_i likewise of L, tr(KHLH) is
    Σ w_i w_j K_ij L_ij − 2/n Σ w_i r_i s_i + Σ w_i r_i Σ w_i s_i / n²: an image taken twice is two equal images.

    Args:
        sums: of the kernels.
        weights: how often each of d draws takes each group (d, g), results then are (d, …); None: once.
    """
    by_group, of_image = _weights(sums, weights)
    n = of_image.sum(-1)

    def estimate(cross: Tensor, x: _Margins, y: _Margins, join: Join) -> Tensor:
        rows_x, rows_y = (side.once + of_image * side.diagonal for side in (x, y))
        total_x, total_y = ((of_image * rows).sum(-1, keepdim=True) for rows in (rows_x, rows_y))
        products = _between(cross, by_group, by_group) + join(of_image * x.diagonal, of_image * y.diagonal)
        return (products - 2 / n * join(of_image * rows_x, rows_y) + join(total_x, total_y) / n**2) / (n - 1) ** 2

    return _each(sums, weights, estimate)


def unbiased(sums: Sums, weights: Tensor | None = None) -> Hsic:
    """HSIC₁: the mean of K_ij (L_ij + L_kl − 2 L_ik) over distinct images i, j, k, l (Song et al. 2012, equation 5).

    With w_i times image i the tuple counts w_i w_j w_k w_l; it is still of distinct images, so that none meets its own copy.
    By inclusion and exclusion, S_p = Σ w_i^p, Q_pq = Σ w_i^p w_j^q K_ij L_ij, a_i = Σ w_j K_ij, a'_i = Σ w_j² K_ij over j ≠ i, and
    b, b' of L, the sum over tuples is

        (S_1² − S_2) Q_11 − 2 S_1 Q_12 + 2 Q_22 + Σ w_i a_i Σ w_i b_i − 2 Σ (S_1 w_i + w_i²) a_i b_i + 2 Σ w_i (a_i b'_i + a'_i b_i)

    and what is added to a kernel as f(x) + f(x') drops out exactly. The kernels' diagonals are not read. Fewer than four
    distinct images give NaN.

    Args:
        sums: of the kernels.
        weights: how often each of d draws takes each group (d, g), results then are (d, …); None: once.
    """
    by_group, of_image = _weights(sums, weights)
    one, two, three, four = (torch.sum(of_image**power, -1) for power in (1, 2, 3, 4))
    tuples = one**4 - 6 * one**2 * two + 3 * two**2 + 8 * one * three - 6 * four
    squared = by_group**2

    def estimate(cross: Tensor, x: _Margins, y: _Margins, join: Join) -> Tensor:
        pairs = (one**2 - two) * _between(cross, by_group, by_group) - 2 * one * _between(cross, by_group, squared)
        pairs = pairs + 2 * _between(cross, squared, squared)
        total_x, total_y = ((of_image * side.once).sum(-1, keepdim=True) for side in (x, y))
        left = torch.cat((x.once, 2 * of_image * x.twice), -1)
        right = torch.cat((2 * of_image * y.twice - 2 * (one[..., None] * of_image + of_image**2) * y.once, y.once), -1)
        return (pairs + join(total_x, total_y) + join(left, right)) / tuples

    return _each(sums, weights, estimate)


def null(sums: Sums) -> Tensor:
    """The mean over permutations of the images of one side of the biased ratio: tr(HKH) tr(HLH) / (n − 1) in place of tr(KHLH)."""
    n, found = sums.sizes.sum(), biased(sums)
    traces = [(1 - 1 / n) * side.diagonal.sum(-1) - side.rows.sum((-1, -2)) / n for side in (sums.x, sums.y)]
    return Hsic(torch.outer(*traces) / (n - 1) ** 3, found.xx, found.yy).ratio()


def _each(sums: Sums, weights: Tensor | None, estimate: Callable[[Tensor, _Margins, _Margins, Join], Tensor]) -> Hsic:
    by_group, _ = _weights(sums, weights)
    x, y = (_margins(side, by_group) for side in (sums.x, sums.y))
    pairs = estimate(sums.cross.flatten(2), x, y, _pairs).unflatten(-1, sums.cross.shape[2:])
    own = [estimate(side.own, margins, margins, _selves) for side, margins in ((sums.x, x), (sums.y, y))]
    return Hsic(*(part[0] if weights is None else part for part in (pairs, *own)))


def _weights(sums: Sums, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """How often each draw takes each group (d, g), and each image (d, 1, n), to be met with (d, L, n)."""
    by_group = torch.ones_like(sums.sizes)[None] if weights is None else weights.to(sums.sizes)
    return by_group, by_group.repeat_interleave(sums.sizes.long(), dim=1)[:, None]


def _margins(half: Half, by_group: Tensor) -> _Margins:
    once, twice = (half.rows @ torch.cat((by_group, by_group**2)).mT).movedim(-1, 0).chunk(2)
    return _Margins(once, twice, half.diagonal)


def _between(cross: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Σ w_g w'_h cross_gh of weights (d, g) and sums (g, g, k): (d, k)."""
    return (first[:, :, None] * second[:, None]).flatten(1) @ cross.flatten(0, 1)


def _pairs(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.mT).flatten(-2)


def _selves(x: Tensor, y: Tensor) -> Tensor:
    return (x * y).sum(-1)
