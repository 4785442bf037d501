"""Owns the ratios of HSIC of all pairs of kernels: values, nulls, draws of a bootstrap, and which kernels are flat."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from repsim.similarity import bootstrap, hsic
from repsim.similarity.footprint import AT_ONCE
from repsim.similarity.hsic import Sums
from repsim.similarity.pairing import Table
from repsim.similarity.request import Sample

OfRatio = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Tables:
    """Plain numbers, fronts by ends: value, its null, its interval (None without a bootstrap)."""

    value: Table
    null: Table
    low: Table | None
    high: Table | None


@dataclass(frozen=True)
class Ratios:
    """Of fronts by ends; NaN where undefined.

    Attributes:
        value, null: the ratio, and its mean over permutations of the images of one side (L, L').
        drawn: of every draw (draws, L, L'); None without a bootstrap.
        flat_fronts, flat_ends: whether a kernel tells no two images apart beyond rounding.
    """

    value: Tensor
    null: Tensor
    drawn: Tensor | None
    flat_fronts: list[bool]
    flat_ends: list[bool]

    def tables(self, of_ratio: OfRatio) -> Tables:
        """What becomes of the ratios."""
        ends = (None, None) if self.drawn is None else bootstrap.intervals(of_ratio(self.drawn), of_ratio(self.value))
        low, high = (None if end is None else end.tolist() for end in ends)
        return Tables(of_ratio(self.value).tolist(), of_ratio(self.null).tolist(), low, high)


def ratios(sums: Sums, debiased: bool, sample: Sample, floors: tuple[Tensor, Tensor]) -> Ratios:
    """HSIC₁ (`debiased`) or HSIC₀ ratios.

    Args:
        sums: of the kernels.
        debiased: which.
        sample: whose draws make the interval.
        floors: what rounding alone makes of the HSIC of a kernel with itself, of both sides, (L,) and (L',).
    """
    estimate = hsic.unbiased if debiased else hsic.biased
    found = estimate(sums)
    null = torch.zeros_like(found.xy) if debiased else hsic.null(sums)
    flat = [own <= floor for own, floor in zip((found.xx, found.yy), floors, strict=True)]
    drawn = [estimate(sums, some).ratio() for some in bootstrap.weights(sample).split(AT_ONCE)] if sample.draws else []
    return Ratios(found.ratio(), null, torch.cat(drawn) if drawn else None, *(side.tolist() for side in flat))
