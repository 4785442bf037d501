"""Owns gathering, tile by tile, the sums of all pairs of kernels of two sides that HSIC is made of."""

from collections.abc import Sequence

import torch
from torch import Tensor

from repsim.similarity import bootstrap
from repsim.similarity.accumulator import Kernel, Source, Tile
from repsim.similarity.hsic import Half, Sums
from repsim.similarity.products import summable
from repsim.similarity.request import Sample

RUN = 4096  # products that are summed in their own precision before fp64 takes over


class KernelSums:
    """One kernel of all fronts and all ends."""

    def __init__(self, kernel: Kernel, fronts: Sequence[Source], ends: Sequence[Source], sample: Sample):
        self.kernel, self._sample = kernel, sample
        self.x, self.y = Layers(kernel, fronts, sample), Layers(kernel, ends, sample)
        self._cross: Tensor | None = None

    def add(self, tile: Tile) -> None:
        """Add a tile, and its mirror image."""
        x, y = self.x.take(tile), self.y.take(tile)
        if self._cross is None:
            groups = bootstrap.groups(self._sample)
            self._cross = summable(x.new_zeros(())).new_zeros(groups, groups, len(x), len(y))
        for (g, rows), (h, columns) in self.x.pieces(tile):
            found = products(x[:, rows, columns], y[:, rows, columns])
            self._cross[g, h] += found
            if not tile.diagonal:
                self._cross[h, g] += found

    def sums(self) -> Sums:
        """Of all tiles."""
        assert self._cross is not None, "no tile came"
        sizes = [where.stop - where.start for _, where in bootstrap.runs(self._sample, 0, self._sample.images)]
        return Sums(self._cross, self.x.half(), self.y.half(), self._cross.new_tensor(sizes))


class Layers:
    """One kernel of all layers of one side.

    Where its rows are far from 0 on average, their means over the first block are taken off, k(x, x') − f(x) − f(x'): no
    centred measure sees it, and sums of numbers near 0 keep their digits.
    """

    def __init__(self, kernel: Kernel, sources: Sequence[Source], sample: Sample):
        self._kernel, self.sources, self._sample = kernel, list(sources), sample
        self._begun = False

    def take(self, tile: Tile) -> Tensor:
        """The centred kernels of a tile (L, a, b), 0 on the diagonal; what is theirs alone is summed."""
        entries = tile.matrices(self._kernel, self.sources)
        if not self._begun:
            self._begin(entries)
        entries = self._centred(tile, entries)
        if tile.diagonal:
            entries = self._without_diagonal(tile, entries)
        self._sum(tile, entries)
        return entries

    def half(self) -> Half:
        return Half(self._own, self._rows, self._diagonal)

    def level(self) -> Tensor:
        """How large entries are (L,): their mean square in the first tile as they come, or in all once they are centred."""
        images = self._diagonal.shape[1]
        others = self._own.sum((0, 1)) / max(1, images * (images - 1))
        return torch.maximum(self._first, others + self._diagonal.square().mean(1))

    def pieces(self, tile: Tile):
        """(group, where in the tile) of rows and of columns, of all pieces of one pair of groups."""
        rows, columns = (bootstrap.runs(self._sample, s.start, s.stop - s.start) for s in (tile.rows, tile.columns))
        columns = list(columns)
        return [(one, other) for one in rows for other in columns]

    def _begin(self, entries: Tensor) -> None:
        groups, images, layers = bootstrap.groups(self._sample), self._sample.images, len(entries)
        zero = summable(entries.new_zeros(()))
        self._own = zero.new_zeros(groups, groups, layers)
        self._rows, self._diagonal = zero.new_zeros(layers, images, groups), zero.new_zeros(layers, images)
        self._landmarks = entries.new_zeros(layers, images)
        self._first = _square_mean(entries.flatten(1)) + _square_mean(entries.diagonal(dim1=1, dim2=2))
        self._begun = True

    def _centred(self, tile: Tile, entries: Tensor) -> Tensor:
        if self._kernel.centred:
            return entries
        if tile.rows.start == 0:
            mean = entries.mean(1)
            if tile.diagonal:
                self._offset = mean.mean(1, keepdim=True) / 2
            self._landmarks[:, tile.columns] = mean - self._offset
        shifted = entries - self._landmarks[:, tile.rows, None]
        return shifted.sub_(self._landmarks[:, None, tile.columns])

    def _without_diagonal(self, tile: Tile, entries: Tensor) -> Tensor:
        self._diagonal[:, tile.rows] = summable(entries.diagonal(dim1=1, dim2=2))
        entries = entries.clone() if self._kernel.centred else entries
        entries.diagonal(dim1=1, dim2=2).zero_()
        return entries

    def _sum(self, tile: Tile, entries: Tensor) -> None:
        for (g, rows), (h, columns) in self.pieces(tile):
            piece = entries[:, rows, columns]
            own = summable(torch.linalg.vector_norm(piece, dim=2)).square().sum(1)
            self._own[g, h] += own
            self._rows[:, _moved(rows, tile.rows), h] += summable(piece.sum(2))
            if not tile.diagonal:
                self._own[h, g] += own
                self._rows[:, _moved(columns, tile.columns), g] += summable(piece.sum(1))


def products(x: Tensor, y: Tensor) -> Tensor:
    """Σ x y over the entries of (L, a, b) and (L', a, b), of all pairs (L, L'); fp64 from runs of about RUN entries on."""
    layers, a, b = x.shape
    lines = next(count for count in range(max(1, min(a, RUN // b)), 0, -1) if a % count == 0)
    runs = x.reshape(layers, a // lines, lines * b).transpose(0, 1)
    others = y.reshape(len(y), a // lines, lines * b).permute(1, 2, 0)
    return summable(torch.bmm(runs, others)).sum(0)


def _square_mean(entries: Tensor) -> Tensor:
    return summable(torch.linalg.vector_norm(entries, dim=1)).square() / entries.shape[1]


def _moved(where: slice, by: slice) -> slice:
    return slice(where.start + by.start, where.stop + by.start)
