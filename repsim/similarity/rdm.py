"""Owns the dissimilarities of two images in one layer: the entries of representational dissimilarity matrices (RDMs)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from repsim.similarity.accumulator import Ready, Source, Tile
from repsim.similarity.kernels import Squared

Kind = Literal["correlation", "euclidean", "sqeuclidean", "cosine"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SHIFTS = ("euclidean", "sqeuclidean")  # kinds that do not see a vector that is added to all images
READY: dict[str, Ready] = {"correlation": "correlation", "cosine": "cosine", "euclidean": "shifted", "sqeuclidean": "shifted"}


@dataclass(frozen=True)
class Rdm:
    """d(x, x') of two images, never below 0, and 0 of an image with itself.

    correlation: 1 − Pearson's r of their values, each image less its own mean; cosine: 1 − cos(x, x'); euclidean: ‖x − x'‖;
    sqeuclidean: ‖x − x'‖². An image without variation (correlation) or of zeros (cosine) is at 1 from every other image.

    The first two come from ‖u − u'‖² / 2 of rows u of length 1, less what they share: images that are nearly parallel, as all are
    where activations have a large mean, keep their digits.
    """

    kind: Kind = "correlation"
    wants: None = None
    centred: bool = False

    @property
    def ready(self) -> Ready:
        return READY[self.kind]

    def of(self, tile: Tile, sources: Sequence[Source]) -> Tensor:
        if self.kind not in SHIFTS:
            return torch.stack([_half_squared(tile, self.ready, source) for source in sources])
        squared = tile.matrices(Squared(), sources)
        return squared if self.kind == "sqeuclidean" else squared.sqrt()


def still(tile: Tile, kernel: Rdm, source: Source) -> int:
    """How many images of a diagonal tile have no direction: no variation (correlation), or zeros only (cosine)."""
    if kernel.kind in SHIFTS:
        return 0
    return int((~_directed(tile.first.ready(kernel.ready, source))).sum())


def same(kernel: Rdm, mean: Tensor, spread: Tensor, noise: float) -> Tensor:
    """Whether dissimilarities of such mean and standard deviation differ by rounding alone; `noise` as of `Facts.blur`."""
    floor = 0.0 if kernel.kind in SHIFTS else noise**2
    return spread <= noise * mean.abs() + floor


def _half_squared(tile: Tile, ready: Ready, source: Source) -> Tensor:
    x, y = tile.first.ready(ready, source), tile.second.ready(ready, source)
    without = [(~_directed(rows)).to(rows) for rows in (x, y)]
    shift = x.mean(0)
    x, y = x - shift, y - shift
    squared = torch.addmm(_outer(x, y, *without), x, y.mT, alpha=-2).clamp_(min=0)
    if tile.diagonal:
        squared.diagonal().zero_()
    return squared.mul_(0.5)


def _outer(x: Tensor, y: Tensor, x_lift: Tensor, y_lift: Tensor) -> Tensor:
    """‖x_i‖² + ‖y_j‖², and 1 more for each row that was 0 where all others had length 1."""
    return (x.square().sum(1) + x_lift)[:, None] + (y.square().sum(1) + y_lift)[None, :]


def _directed(rows: Tensor) -> Tensor:
    return rows.any(1)
