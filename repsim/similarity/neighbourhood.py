"""Owns what is kept of one layer while tiles go by for measures of neighbours: who they are, how far, and what centres that."""

from functools import cached_property

import torch
from torch import Tensor

from repsim.similarity import rdm
from repsim.similarity.accumulator import Facts, Source, Tile
from repsim.similarity.nearest import Nearest
from repsim.similarity.ranks import snapped
from repsim.similarity.rdm import Rdm


class Neighbourhood:
    """The k neighbours of each of n images in one layer.

    Attributes:
        still: how many images have no direction (see `rdm.still`).
    """

    _nearest: Nearest | None = None
    _distances: Tensor
    _furthest: Tensor
    _scale: Tensor  # of distances: their mean in the first tile

    def __init__(self, kernel: Rdm, source: Source, k: int, images: int):
        self.source, self.k, self.images, self.still = source, k, images, 0
        self._kernel = kernel

    def add(self, tile: Tile) -> None:
        """Take a tile; the order of tiles does not matter."""
        (distance,) = tile.matrices(self._kernel, [self.source])
        nearest = self._nearest or self._begin(distance)
        distance = snapped(distance, self._scale)
        self._furthest = torch.maximum(self._furthest, distance.amax())
        self._distances[tile.rows] += distance.sum(1, dtype=torch.float64)
        if tile.diagonal:
            self.still += rdm.still(tile, self._kernel, self.source)
            distance.fill_diagonal_(torch.inf)
        else:
            self._distances[tile.columns] += distance.sum(0, dtype=torch.float64)
            nearest.offer(tile.columns.start, tile.rows.start, distance.mT)
        nearest.offer(tile.rows.start, tile.columns.start, distance)

    @property
    def index(self) -> Tensor:
        """Of the neighbours of each image, ascending: (n, k)."""
        return self._sorted[0]

    @cached_property
    def centred(self) -> Tensor:
        """U-centred −d of each image and its neighbours, in the order of `index`: (n, k), fp64.

        U_ij = −d_ij + (r_i + r_j)/(n − 2) − Σr/((n − 1)(n − 2)) with r_i = Σ_j d_ij. What depends on one image alone cancels:
        of the squared distance of unit rows, 2 − 2cos, it is twice that of the cosine.
        """
        (index, distance), n = self._sorted, self.images
        rows = self._distances / (n - 2)
        return rows[:, None] + rows[index] - rows.sum() / (n - 1) - distance

    def flat(self, facts: Facts) -> bool:
        """Whether all images are equally far apart, up to rounding: nobody is nearest."""
        assert self._nearest
        mean = self._distances.sum() / (self.images * (self.images - 1))
        return bool(rdm.same(self._kernel, mean, self._furthest - self._nearest.distance.amin(), facts.blur(self.source)))

    @cached_property
    def _sorted(self) -> tuple[Tensor, Tensor]:
        assert self._nearest
        return self._nearest.sorted()

    def _begin(self, like: Tensor) -> Nearest:
        self._distances = torch.zeros(self.images, dtype=torch.float64, device=like.device)
        self._furthest = like.new_zeros(())
        self._scale = like.mean(dtype=torch.float64)
        self._nearest = Nearest(self.images, self.k, like)
        return self._nearest
