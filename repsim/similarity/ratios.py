"""Owns the ratios of HSIC of all pairs of kernels, as lists of plain numbers: value, null, interval, and which kernels are flat."""

from dataclasses import dataclass

import torch
from torch import Tensor

from repsim.similarity import bootstrap, hsic
from repsim.similarity.footprint import AT_ONCE
from repsim.similarity.hsic import Sums
from repsim.similarity.pairing import Table
from repsim.similarity.request import Sample

ROUNDING = 4  # how many times the rounding of an entry is still rounding


@dataclass(frozen=True)
class Ratios:
    """Of fronts by ends; NaN where undefined.

    Attributes:
        value, null: the ratio, and its mean over permutations of the images of one side.
        low, high: of the bootstrap; None without one.
        flat_fronts, flat_ends: whether a kernel tells no two images apart beyond rounding.
    """

    value: Table
    null: Table
    low: Table | None
    high: Table | None
    flat_fronts: list[bool]
    flat_ends: list[bool]


def ratios(sums: Sums, debiased: bool, sample: Sample, levels: tuple[Tensor, Tensor], noise: float) -> Ratios:
    """HSIC₁ (`debiased`) or HSIC₀ ratios.

    Args:
        sums: of the kernels.
        debiased: which.
        sample: whose draws make the interval.
        levels: mean squares of the entries of the kernels of both sides, (L,) and (L',).
        noise: relative rounding of an entry.
    """
    estimate = hsic.unbiased if debiased else hsic.biased
    found = estimate(sums)
    null = torch.zeros_like(found.xy) if debiased else hsic.null(sums)
    flat = [own <= (ROUNDING * noise) ** 2 * level for own, level in zip((found.xx, found.yy), levels, strict=True)]
    low, high = None, None
    if sample.draws:
        drawn = torch.cat([estimate(sums, some).ratio() for some in bootstrap.weights(sample).split(AT_ONCE)])
        low, high = (end.tolist() for end in bootstrap.intervals(drawn))
    return Ratios(found.ratio().tolist(), null.tolist(), low, high, *(side.tolist() for side in flat))
