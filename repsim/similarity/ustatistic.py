"""Owns the unbiased estimate of ‖Cov(x, y)‖_F² over distinct images: what debiased linear CKA is made of.

Image i has m rows X_i (m, p) and Y_i (m, q); C_i = X_iᵀY_i, s_i = X_iᵀ1, t_i = Y_iᵀ1. With a random image and a random
row of it, Cov(x, y) = E[C]/m − E[s] E[t]ᵀ/m², so that

    m²‖Cov‖² = E⟨C_i, C_j⟩ − 2 E[s_iᵀ C_j t_k]/m + E[⟨s_i, s_j⟩⟨t_k, t_l⟩]/m²   over independent images i, j, k, l,

and the mean over all tuples of distinct images is unbiased (a U-statistic): rows of one image never meet. For m = 1
it is HSIC₁ of the linear Gram matrices (Song et al. 2012, equation 5), exactly. Sums over distinct tuples follow from sums
over images by inclusion and exclusion; an image that counts w times is one image of weight w, never two distinct ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

FEWEST = 4  # images, for a tuple of four distinct ones


@dataclass(frozen=True)
class Sums:
    """Sums over the images of every group (g groups), of values shifted by whatever constant; fp64.

    Attributes:
        counts: images of each group.
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

    counts: Sequence[int]
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


def estimate(sums: Sums, positions: int, weights: Tensor | None = None) -> Tensor:
    """The unbiased ‖Cov(x, y)‖_F² of rows (d,), where `positions` is m and group g counts `weights[:, g]` times in each of d draws.

    The mean over tuples of four distinct images by the product of their weights: in all three terms, since only then a
    translation changes nothing. May be negative where the truth is near 0. It means nothing where not `enough` images are drawn.
    """
    powers = _Powers(sums, weights)
    terms = _twos(powers) - 2 * _threes(powers) / positions + _fours(powers) / positions**2
    return terms / (_tuples(powers) * positions**2)


def enough(counts: Sequence[int], weights: Tensor | None = None) -> list[bool]:
    """Whether each draw has four distinct images."""
    if weights is None:
        return [sum(counts) >= FEWEST]
    return [sum(count for count, weight in zip(counts, draw, strict=True) if weight) >= FEWEST for draw in weights.tolist()]


def weighed(by_group: Tensor, weights: Tensor | None) -> Tensor:
    """The sums over groups (g, …) in each draw (d, …), group g counted `weights[:, g]` times (None: once, one draw); read only."""
    if weights is None:
        return by_group if len(by_group) == 1 else by_group.sum(0, keepdim=True)
    return torch.tensordot(weights.to(by_group), by_group, 1)


class _Powers:
    """The sums with every image counted wᵏ times, each made once: where k members of a tuple are one image of weight w."""

    def __init__(self, sums: Sums, weights: Tensor | None):
        self._sums, self._weights = sums, weights
        self._made: dict[tuple[str, int], Tensor] = {}

    def __call__(self, name: str, power: int) -> Tensor:
        """Of each draw (d, …)."""
        key = (name, 1 if self._weights is None else power)
        if key not in self._made:
            weights = None if self._weights is None else self._weights**power
            self._made[key] = weighed(getattr(self._sums, name), weights)
        return self._made[key]

    def images(self, power: int) -> Tensor:
        """Σ wᵏ (d,)."""
        counts = self._sums.norms_x.new_tensor(self._sums.counts)
        return weighed(counts, None if self._weights is None else self._weights**power)


def _tuples(s: _Powers) -> Tensor:
    """The total weight of all tuples of four distinct images."""
    one, two, three, four = (s.images(power) for power in (1, 2, 3, 4))
    return one**4 - 6 * one**2 * two + 3 * two**2 + 8 * one * three - 6 * four


def _twos(s: _Powers) -> Tensor:
    """Σ w_i w_j w_k w_l ⟨C_i, C_j⟩ over distinct i, j, k, l.

    Given i and j the weights of k and l add up to n₁² − n₂ − 2 n₁(w_i + w_j) + 2 w_i² + 2 w_j² + 2 w_i w_j, n_a = Σ wᵃ.
    """
    one, two = s.images(1), s.images(2)
    return (one**2 - two) * _pair(s, 1, 1) - 4 * one * _pair(s, 2, 1) + 4 * _pair(s, 3, 1) + 2 * _pair(s, 2, 2)


def _pair(s: _Powers, a: int, b: int) -> Tensor:
    """Σ w_iᵃ w_jᵇ ⟨C_i, C_j⟩ over distinct i, j."""
    return _inner(s("products", a), s("products", b)) - s("squares", a + b)


def _threes(s: _Powers) -> Tensor:
    """Σ w_i w_j w_k w_l s_iᵀ C_j t_k over distinct i, j, k, l; given i, j, k the weights of l add up to n₁ − w_i − w_j − w_k."""
    return s.images(1) * _triple(s, 1, 1, 1) - _triple(s, 2, 1, 1) - _triple(s, 1, 2, 1) - _triple(s, 1, 1, 2)


def _triple(s: _Powers, a: int, b: int, c: int) -> Tensor:
    """Σ w_iᵃ w_jᵇ w_kᶜ s_iᵀ C_j t_k over distinct i, j, k."""
    x, products, y = s("sum_x", a), s("products", b), s("sum_y", c)
    front_meets = _inner(s("through_x", a + b), y)  # i = j
    end_meets = _inner(x, s("through_y", b + c))  # j = k
    ends_meet = _inner(products, s("outer", a + c))  # i = k
    return _through(x, products, y) - front_meets - end_meets - ends_meet + 2 * s("through", a + b + c)


def _fours(s: _Powers) -> Tensor:
    """Σ w_i w_j w_k w_l ⟨s_i, s_j⟩⟨t_k, t_l⟩ over distinct i, j, k, l."""
    x, y, outer = s("sum_x", 1), s("sum_y", 1), s("outer", 2)
    apart = (_inner(x, x) - s("norms_x", 2)) * (_inner(y, y) - s("norms_y", 2))  # i ≠ j, k ≠ l; the first may meet the last
    one_meets = 4 * _through(x, outer, y) - 2 * _inner(outer, outer)
    three_meet = 4 * (_inner(s("weighed_x", 3), y) + _inner(s("weighed_y", 3), x))
    return apart - one_meets + three_meet - 6 * s("weighed", 4)


def _inner(one: Tensor, other: Tensor) -> Tensor:
    return (one * other).flatten(1).sum(1)


def _through(x: Tensor, matrix: Tensor, y: Tensor) -> Tensor:
    """xᵀMy of each draw."""
    return (x[:, None] @ matrix @ y[..., None]).flatten()
