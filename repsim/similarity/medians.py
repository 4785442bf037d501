"""Owns the median of all squared distances between the images of a layer, those of an image to itself included."""

from collections.abc import Sequence

import torch
from torch import Tensor

from repsim.similarity.accumulator import Source, Tile
from repsim.similarity.kernels import Squared


class Distances:
    """Every squared distance between the first `images` images, once: images · (images − 1) / 2 numbers per layer."""

    def __init__(self, sources: Sequence[Source], images: int):
        self._sources, self._images = sources, images
        self._parts: list[Tensor] = []

    def add(self, tile: Tile) -> None:
        """Add a tile's distances between images that are among the first `images`; other tiles, and the diagonal, are left out."""
        if tile.columns.start >= self._images:
            return
        squared = tile.matrices(Squared(), self._sources)
        squared = squared[:, : self._images - tile.rows.start, : self._images - tile.columns.start]
        if tile.diagonal:
            above = torch.triu_indices(*squared.shape[1:], offset=1, device=squared.device)
            self._parts.append(squared[:, above[0], above[1]])
        else:
            self._parts.append(squared.flatten(1))

    def medians(self) -> dict[Source, Tensor]:
        """Of each layer, 0-d fp64: of all images² squared distances, as Kornblith et al. (2019) take it."""
        return {source: self._median([part[at] for part in self._parts]) for at, source in enumerate(self._sources)}

    def _median(self, parts: Sequence[Tensor]) -> Tensor:
        """Of an even number the mean of the middle two."""
        above, n = torch.cat(list(parts)), self._images
        middle = sorted({(n * n - 1) // 2, n * n // 2})
        return torch.stack([_ranked(above, place, n) for place in middle]).mean()


def _ranked(above: Tensor, place: int, images: int) -> Tensor:
    """The number at `place` among all images² in order: first the zeros of the diagonal, then each of `above` twice."""
    if place < images:
        return above.new_zeros(()).double()
    return above.kthvalue((place - images) // 2 + 1).values.double()
