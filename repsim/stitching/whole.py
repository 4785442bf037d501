"""Owns the stitched network as a function of images, with gradients to them: what an attack sees."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from repsim.stitching import batchnorm
from repsim.stitching.packing import Seat
from repsim.stitching.pair import Pair


class Whole:
    """K stitched networks side by side: x (K·n, c, h, w) in [0, 1] → logits (K·n, classes), image k·n + i through the k-th.

    f normalises what it is given, so attacks and clamping happen in pixel space. Where a residual branch passes the cut
    by, it is g's own of the same images, and gradients go through it too. The K seats share both layers. fp32.
    """

    def __init__(self, pair: Pair, seats: Sequence[Seat]):
        first = seats[0]
        self._seats, self._read = seats, pair.through(first.front_layer, first.end_layer)
        self._own = [seat.statistics for seat in seats if seat.statistics is not None]
        self._suffix = pair.suffix(first.end_layer) if self._own else pair.fused_suffix(first.end_layer)[0]

    def __call__(self, x: Tensor) -> Tensor:
        value, carried = self._read(x)
        parts = value.chunk(len(self._seats))
        stitched = torch.cat([seat.stitcher(part) for seat, part in zip(self._seats, parts, strict=True)])
        with self._statistics():
            return self._suffix(stitched, *carried)

    def _statistics(self) -> AbstractContextManager[None]:
        return batchnorm.apart(self._suffix, self._own, "running") if self._own else nullcontext()
