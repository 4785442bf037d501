"""Owns the readings of a pass over images: made anew from each batch, or once and kept on the device."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import torch
from torch import Tensor

from repsim.stitching.pair import Batch, Needs, Reading

Batches = Callable[[], Iterable[Batch]]


class Readable(Protocol):
    """Frozen networks that read images: a pair of them, or the part of one below a layer."""

    def reader(self, needs: Needs, training: bool = False) -> Callable[[Tensor], Reading]: ...


class Fresh:
    """Reads every batch through the networks; right for augmented images, and where nothing can be kept."""

    def __init__(self, networks: Readable, needs: Needs, training: bool = False):
        self._read = networks.reader(needs, training)

    def read(self, x: Tensor, index: Tensor) -> Reading:
        """The reading of images x, which are those at the positions `index`."""
        return self._read(x)


class Kept:
    """The readings of all images in the order of `batches`; a batch is picked by position. Maps are kept channels-last."""

    def __init__(self, networks: Readable, needs: Needs, batches: Iterable[Batch], training: bool = False):
        read = networks.reader(needs, training)
        readings = [read(x) for x, _ in batches]
        columns = zip(*(reading.tensors() for reading in readings), strict=True)
        joined = iter([_joined(list(column)) for column in columns])
        self._all = readings[0].map(lambda _: next(joined))

    def read(self, x: Tensor, index: Tensor) -> Reading:
        return self._all.map(lambda values: _picked(values, index))


def source(networks: Readable, needs: Needs, batches: Batches, images: int, budget: int, training: bool = False) -> Fresh | Kept:
    """Keep the readings of `images` images (0: they may not be kept) where they fit into `budget` bytes."""
    if images:
        x, _ = next(iter(batches()))
        if footprint(networks, needs, x) * images <= budget:
            return Kept(networks, needs, batches(), training)
    return Fresh(networks, needs, training)


def in_order(readings: Fresh | Kept, batches: Iterable[Batch]) -> Iterator[tuple[Reading, Tensor]]:
    """(reading, labels) of each batch of a pass in the order of the images."""
    first = 0
    for x, y in batches:
        yield readings.read(x, torch.arange(first, first + len(x), device=x.device)), y
        first += len(x)


def footprint(networks: Readable, needs: Needs, x: Tensor) -> int:
    """Bytes that the reading of one image takes; x holds at least one."""
    return sum(tensor.numel() * tensor.element_size() for tensor in networks.reader(needs)(x[:1]).tensors())


def _joined(parts: list[Tensor]) -> Tensor:
    return torch.cat([part.movedim(1, -1) if part.dim() == 4 else part for part in parts])


def _picked(values: Tensor, index: Tensor) -> Tensor:
    """A batch; a map has its channels at axis 1 again, its memory stays channels-last."""
    picked = values[index]
    return picked.movedim(-1, 1) if picked.dim() == 4 else picked
