"""Owns long vectors, one number for every pair of images of each layer: in memory, or in a scratch file where they are too many."""

import os
import tempfile

import numpy as np
import torch
from torch import Tensor

from repsim.similarity import footprint
from repsim.similarity.ranks import doubled_ranks, snapped

STEP = 2**18  # entries of each vector taken to fp64 at once


class Vectors:
    """`count` vectors of `length` entries each, filled piece by piece and then replaced by their ranks, in their own place."""

    def __init__(self, count: int, length: int, dtype: torch.dtype):
        self.length, self._filled = length, 0
        self._values = _room(count, length, dtype)

    def append(self, piece: Tensor) -> slice:
        """Add (count, m) entries; returns where they are."""
        where = slice(self._filled, self._filled + piece.shape[1])
        self._values[:, where] = piece.to(self._values.device)
        self._filled = where.stop
        return where

    def moments(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each vector, fp64, both (count,)."""
        mean = self._sum(torch.zeros((), dtype=torch.float64, device=device), 1) / self.length
        return mean, (self._sum(mean, 2) / self.length).sqrt()

    def _sum(self, middle: Tensor, power: int) -> Tensor:
        parts = (part.to(middle) - middle[..., None] for part in self._values.split(STEP, 1))
        return torch.stack([part.pow(power).sum(1) for part in parts]).sum(0)

    def rank(self, device: torch.device) -> None:
        """Replace the entries of each vector by their doubled ranks; those that only rounding parts are tied."""
        assert self._filled == self.length, "not all pairs have come"
        for values, ranks in zip(self._values, self._ranks(), strict=True):
            values = values.to(device)
            ranks.copy_(doubled_ranks(snapped(values, values.mean(dtype=torch.float64))))

    def ranks(self, where: slice) -> Tensor:
        """Their doubled ranks at `where`: (count, m) int32."""
        return self._ranks()[:, where]

    def _ranks(self) -> Tensor:
        return self._values.view(torch.int32)[:, : self.length]


def _room(count: int, length: int, dtype: torch.dtype) -> Tensor:
    if count * length * dtype.itemsize <= footprint.RANKED_ROOM:
        return torch.empty(count, length, dtype=dtype)
    kind = np.float64 if dtype == torch.float64 else np.float32
    with tempfile.TemporaryFile(prefix="repsim-ranks-") as file:
        os.ftruncate(file.fileno(), count * length * dtype.itemsize)
        return torch.from_numpy(np.memmap(file, kind, "r+", shape=(count, length)))
