"""Owns the bootstrap over images: which images form a group, how often a draw takes each group, the interval of its draws."""

from collections.abc import Iterator, Sequence
from math import isnan, nan

import torch
from torch import Tensor

from repsim.similarity.request import Sample

LEVEL = 0.95


def groups(sample: Sample) -> int:
    """How many groups sums must be kept apart for: one where nothing is drawn."""
    return sample.groups if sample.draws else 1


def runs(sample: Sample, start: int, count: int) -> Iterator[tuple[int, slice]]:
    """The images start, …, start + count − 1 of the stream group by group: (group, where they are in the batch)."""
    at, stop = start, start + count
    while at < stop:
        group = sample.group(at) if sample.draws else 0
        last = -(-(group + 1) * sample.images // sample.groups) if sample.draws else stop  # the first image of the next group
        yield group, slice(at - start, min(last, stop) - start)
        at = last


def weights(sample: Sample) -> Tensor:
    """How often each draw takes each group: (draws, groups), fp64, on the CPU; the same for every pass over one sample."""
    generator = torch.Generator().manual_seed(sample.seed)
    drawn = torch.randint(sample.groups, (sample.draws, sample.groups), generator=generator)
    return torch.nn.functional.one_hot(drawn, sample.groups).sum(1).double()


def interval(values: Sequence[float | None], value: float | None) -> tuple[float | None, float | None]:
    """The central 95 % of the values drawn, moved by mean of the draws − `value` (Efron & Tibshirani 1993, chapters 10 and 13).

    A draw holds some images twice, which raises every measure that is biased upwards (CKA, CCA, Procrustes, distance
    correlation): moved, the interval is that of what the measure gives on so many different images. Draws in which the
    measure is undefined are left out; (None, None) where those are more than half, or nothing was drawn.
    """
    if not values or value is None:
        return None, None
    drawn = torch.tensor([nan if value is None else value for value in values], dtype=torch.float64)
    low, high = (None if isnan(end) else end for end in torch.stack(intervals(drawn, drawn.new_tensor(value))).tolist())
    return low, high


def intervals(values: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """`interval` of many numbers at once: drawn (draws, …), NaN where undefined, of value (…); NaN where there is no interval."""
    ends = values.new_tensor([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    low, high = values.nanquantile(ends, dim=0) - (values.nanmean(0) - value)
    few = 2 * values.isfinite().sum(0) < len(values)
    return low.masked_fill(few, nan), high.masked_fill(few, nan)
