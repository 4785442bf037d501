"""Owns sums over pairs of images, of the dissimilarities of many layers, kept apart by the groups of the two images."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from repsim.similarity import bootstrap
from repsim.similarity.accumulator import Tile
from repsim.similarity.request import Sample

STEP = 2**18  # pairs of images taken to fp64 at once


class Piece(NamedTuple):
    """Pairs of a tile whose images belong to groups `first` ≤ `second`; of a triangle only those above the diagonal."""

    first: int
    second: int
    rows: slice
    columns: slice
    triangle: bool

    def of(self, matrices: Tensor) -> Tensor:
        """Its entries of matrices (L, a, b): (L, m)."""
        part = matrices[:, self.rows, self.columns]
        if not self.triangle:
            return part.flatten(1)
        i, j = torch.triu_indices(part.shape[1], part.shape[2], offset=1, device=part.device)
        return part[:, i, j]


def pieces(tile: Tile, sample: Sample) -> Iterator[Piece]:
    """A tile by pairs of groups, every pair of different images once."""
    for first, rows in _runs(tile.rows, sample):
        for second, columns in _runs(tile.columns, sample):
            if not tile.diagonal or first <= second:
                yield Piece(first, second, rows, columns, tile.diagonal and first == second)


def _runs(where: slice, sample: Sample) -> Iterator[tuple[int, slice]]:
    return bootstrap.runs(sample, where.start, where.stop - where.start)


@dataclass(frozen=True)
class Sums:
    """Over pairs of images: how many, Σa, Σa² (…, L), Σb, Σb² (…, L'), Σab (…, L, L'); fp64."""

    pairs: Tensor
    x: Tensor
    xx: Tensor
    y: Tensor
    yy: Tensor
    xy: Tensor

    def moved(self, x: Tensor, y: Tensor) -> "Sums":
        """The sums of a + x (L,) and b + y (L',)."""
        n = self.pairs[..., None]
        xx, yy = self.xx + 2 * x * self.x + n * x * x, self.yy + 2 * y * self.y + n * y * y
        cross = self.x[..., :, None] * y + x[:, None] * self.y[..., None, :] + n[..., None] * x[:, None] * y
        return Sums(self.pairs, self.x + n * x, xx, self.y + n * y, yy, self.xy + cross)

    def pearson(self) -> Tensor:
        """Correlation of each a with each b, (…, L, L'); NaN where one is constant."""
        n = self.pairs[..., None]
        xx, yy = self.xx - self.x**2 / n, self.yy - self.y**2 / n
        return _ratio(self.xy - self.x[..., :, None] * self.y[..., None, :] / n[..., None], xx, yy)

    def cosine(self) -> Tensor:
        """Σab / √(Σa² Σb²), (…, L, L')."""
        return _ratio(self.xy, self.xx, self.yy)

    def cosine_null(self) -> Tensor:
        """Mean cosine over all orders of the images of one side: every a then meets every b equally often."""
        return _ratio(self.x[..., :, None] * self.y[..., None, :] / self.pairs[..., None, None], self.xx, self.yy)


class Cells:
    """`Sums` for every pair of groups, of a − x and b − y: numbers near 0 keep the digits of a correlation near 1."""

    def __init__(self, sample: Sample, x: Tensor, y: Tensor):
        """`x` (L,) and `y` (L',): about the means, fp64."""
        self.x, self.y = x, y
        self._groups = bootstrap.groups(sample)
        self._first, self._second = torch.triu_indices(self._groups, self._groups, device=x.device)
        sizes = {"pairs": (), "x": (len(x),), "xx": (len(x),), "y": (len(y),), "yy": (len(y),), "xy": (len(x), len(y))}
        self._sums = {name: x.new_zeros(len(self._first), *size) for name, size in sizes.items()}

    def add(self, first: int, second: int, a: Tensor, b: Tensor) -> None:
        """Add a (L, m) and b (L', m) of m pairs of images of the groups `first` ≤ `second`."""
        cell = first * (2 * self._groups - first - 1) // 2 + second  # row after row of a triangle
        self._sums["pairs"][cell] += a.shape[1]
        for x, y in zip(a.split(STEP, 1), b.split(STEP, 1), strict=True):
            x, y = x.to(self.x) - self.x[:, None], y.to(self.y) - self.y[:, None]
            found = {"x": x.sum(1), "xx": x.square().sum(1), "y": y.sum(1), "yy": y.square().sum(1), "xy": x @ y.mT}
            for name, value in found.items():
                self._sums[name][cell] += value

    def moments(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Mean and standard deviation of each a, and of each b."""
        total = self.total()
        return _moments(total.x, total.xx, total.pairs, self.x), _moments(total.y, total.yy, total.pairs, self.y)

    def total(self) -> Sums:
        return Sums(**{name: value.sum(0) for name, value in self._sums.items()})

    def drawn(self, weights: Tensor) -> Sums:
        """With group g taken w_g times: a pair counts w_g w_h times, and no image meets its own copies. `weights` (draws, g)."""
        weights = weights.to(self.x)
        both = weights[:, self._first] * weights[:, self._second]
        return Sums(**{name: torch.tensordot(both, value, 1) for name, value in self._sums.items()})


def _moments(total: Tensor, squares: Tensor, pairs: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    mean = total / pairs
    return mean + shift, (squares / pairs - mean**2).clamp_(min=0).sqrt()


def _ratio(xy: Tensor, xx: Tensor, yy: Tensor) -> Tensor:
    """xy / √(xx yy); what rounding pushes out of [−1, 1] is put back."""
    return (xy / (xx[..., :, None] * yy[..., None, :]).sqrt()).clamp(-1, 1)
