"""Owns the readings of a pass over images: made anew from each batch, or once and kept on the device."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from repsim.stitching.pair import Batch, Needs, Pair, Reading

Batches = Callable[[], Iterable[Batch]]


class Fresh:
    """Reads every batch through the networks; right for augmented images, and where nothing can be kept."""

    def __init__(self, pair: Pair, needs: Needs, training: bool = False):
        self._read = pair.reader(needs, training)

    def read(self, x: Tensor, index: Tensor) -> Reading:
        """The reading of images x, which are those at the positions `index`."""
        return self._read(x)


class Kept:
    """The readings of all images in the order of `batches`; a batch is picked by position. Maps are kept channels-last."""

    def __init__(self, pair: Pair, needs: Needs, batches: Iterable[Batch], training: bool = False):
        read = pair.reader(needs, training)
        readings = [read(x) for x, _ in batches]
        columns = zip(*(reading.tensors() for reading in readings), strict=True)
        joined = iter([_joined(list(column)) for column in columns])
        self._all = readings[0].map(lambda _: next(joined))

    def read(self, x: Tensor, index: Tensor) -> Reading:
        return self._all.map(lambda values: _picked(values, index))


def source(pair: Pair, needs: Needs, batches: Batches, images: int, budget: int, training: bool = False) -> Fresh | Kept:
    """Keep the readings of `images` images (0: they may not be kept) where they fit into `budget` bytes."""
    if images:
        x, _ = next(iter(batches()))
        if footprint(pair, needs, x) * images <= budget:
            return Kept(pair, needs, batches(), training)
    return Fresh(pair, needs, training)


def in_order(readings: Fresh | Kept, batches: Iterable[Batch]) -> Iterator[tuple[Reading, Tensor]]:
    """(reading, labels) of each batch of a pass in the order of the images."""
    first = 0
    for x, y in batches:
        yield readings.read(x, torch.arange(first, first + len(x), device=x.device)), y
        first += len(x)


def footprint(pair: Pair, needs: Needs, x: Tensor) -> int:
    """Bytes that the reading of one image takes; x holds at least one."""
    return sum(tensor.numel() * tensor.element_size() for tensor in pair.reader(needs)(x[:1]).tensors())


def _joined(parts: list[Tensor]) -> Tensor:
    return torch.cat([part.movedim(1, -1) if part.dim() == 4 else part for part in parts])


def _picked(values: Tensor, index: Tensor) -> Tensor:
    """A batch; a map has its channels at axis 1 again, its memory stays channels-last."""
    picked = values[index]
    return picked.movedim(-1, 1) if picked.dim() == 4 else picked
