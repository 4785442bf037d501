"""Owns the unbiased estimate of ‖Cov(x, y)‖_F² over distinct images: what debiased linear CKA is made of.

Image i has m rows X_i (m, p) and Y_i (m, q); C_i = X_iᵀY_i, s_i = X_iᵀ1, t_i = Y_iᵀ1. With a random image and a random
row of it, Cov(x, y) = E[C]/m − E[s] E[t]ᵀ/m², so that

    m²‖Cov‖² = E⟨C_i, C_j⟩ − 2 E[s_iᵀ C_j t_k]/m + E[⟨s_i, s_j⟩⟨t_k, t_l⟩]/m²   over independent images i, j, k, l,

and the mean over all tuples of distinct images is unbiased (a U-statistic): rows of one image never meet. For m = 1
it is HSIC₁ of the linear Gram matrices (Song et al. 2012, equation 5), exactly. Sums over distinct tuples follow from sums
over images by inclusion and exclusion; an image that counts w times is one image of weight w, never two distinct ones.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

FEWEST = 4  # images, for a tuple of four distinct ones


@dataclass(frozen=True)
class Sums:
    """Sums over the images of every group (g groups), of values shifted by whatever constant; fp64.

    Attributes:
        counts: images (g,).
        sum_x, sum_y: Σ s_i (g, p), Σ t_i (g, q).
        norms_x, norms_y: Σ‖s_i‖², Σ‖t_i‖² (g,).
        products: Σ C_i (g, p, q).
        squares: Σ‖C_i‖² (g,).
        through_x, through_y: Σ C_iᵀ s_i (g, q), Σ C_i t_i (g, p).
        through: Σ s_iᵀ C_i t_i (g,).
        outer: Σ s_i t_iᵀ (g, p, q).
        weighed_x, weighed_y: Σ‖s_i‖² t_i (g, q), Σ‖t_i‖² s_i (g, p).
        weighed: Σ‖s_i‖²‖t_i‖² (g,).
    """

    counts: Tensor
    sum_x: Tensor
    sum_y: Tensor
    norms_x: Tensor
    norms_y: Tensor
    products: Tensor
    squares: Tensor
    through_x: Tensor
    through_y: Tensor
    through: Tensor
    outer: Tensor
    weighed_x: Tensor
    weighed_y: Tensor
    weighed: Tensor


def estimate(sums: Sums, positions: int, weights: Tensor | None = None) -> Tensor | None:
    """The unbiased ‖Cov(x, y)‖_F² of rows, a scalar, where `positions` is m and group g counts `weights[g]` times.

    May be negative where the truth is near 0. None where fewer than four images have a weight.
    """
    w = torch.ones_like(sums.norms_x) if weights is None else weights.to(sums.norms_x)
    if (sums.counts * (w > 0)).sum() < FEWEST:
        return None
    pairs, triples, quadruples = _tuples(sums.counts, w)
    twos, threes, fours = _twos(sums, w), _threes(sums, w), _fours(sums, w)
    return (twos / pairs - 2 * threes / (positions * triples) + fours / (positions**2 * quadruples)) / positions**2


def _tuples(counts: Tensor, w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The total weight of all pairs, triples and quadruples of distinct images."""
    one, two, three, four = ((counts * w**power).sum() for power in (1, 2, 3, 4))
    triples = one**3 - 3 * one * two + 2 * three
    return one**2 - two, triples, one**4 - 6 * one**2 * two + 3 * two**2 + 8 * one * three - 6 * four


def _twos(s: Sums, w: Tensor) -> Tensor:
    """Σ ⟨C_i, C_j⟩ over distinct i, j."""
    return weighed(s.products, w).square().sum() - weighed(s.squares, w**2)


def _threes(s: Sums, w: Tensor) -> Tensor:
    """Σ s_iᵀ C_j t_k over distinct i, j, k."""
    x, y, products = weighed(s.sum_x, w), weighed(s.sum_y, w), weighed(s.products, w)
    front_meets = weighed(s.through_x, w**2) @ y  # i = j
    end_meets = x @ weighed(s.through_y, w**2)  # j = k
    ends_meet = (products * weighed(s.outer, w**2)).sum()  # i = k
    return x @ products @ y - front_meets - end_meets - ends_meet + 2 * weighed(s.through, w**3)


def _fours(s: Sums, w: Tensor) -> Tensor:
    """Σ ⟨s_i, s_j⟩⟨t_k, t_l⟩ over distinct i, j, k, l."""
    x, y, outer = weighed(s.sum_x, w), weighed(s.sum_y, w), weighed(s.outer, w**2)
    norms_x, norms_y = weighed(s.norms_x, w**2), weighed(s.norms_y, w**2)
    apart = (x @ x - norms_x) * (y @ y - norms_y)  # i ≠ j and k ≠ l; of the front ones, some meet some of the end ones
    one_meets = 4 * (x @ outer @ y) - 2 * outer.square().sum()
    three_meet = 4 * (weighed(s.weighed_x, w**3) @ y + weighed(s.weighed_y, w**3) @ x)
    return apart - one_meets + three_meet - 6 * weighed(s.weighed, w**4)


def weighed(by_group: Tensor, weights: Tensor | None) -> Tensor:
    """The sum over groups (g, …), group g counted `weights[g]` times (None: once)."""
    return by_group.sum(0) if weights is None else torch.tensordot(weights.to(by_group), by_group, 1)
