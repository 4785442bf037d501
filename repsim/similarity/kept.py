"""Owns where a walk over pairs of images finds the activations of a block: kept from the first pass, or made again."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from repsim.data.batches import ordered
from repsim.data.images import Images
from repsim.similarity.blocks import Activations
from repsim.similarity.positions import Slice
from repsim.similarity.reading import Batch, Pair, with_slices
from repsim.similarity.request import Value

Wanted = tuple[Sequence[Value], Sequence[Value]]  # of f and of g
Cuts = tuple[Iterable[Slice], Iterable[Slice]]
Read = Callable[[int, int], Batch]  # first image, one behind the last → their values


class Kept:
    """The values of all images, where they were made."""

    def __init__(self, wanted: Wanted, images: int):
        self._wanted, self._images, self._done = wanted, images, 0
        self._front: dict[Value, Tensor] = {}
        self._end: dict[Value, Tensor] = {}

    def add(self, batch: Batch) -> None:
        """Add the next images."""
        count = len(next(iter(batch.front.values())))
        for whole, values, wanted in ((self._front, batch.front, self._wanted[0]), (self._end, batch.end, self._wanted[1])):
            for value in wanted:
                if value not in whole:
                    whole[value] = values[value].new_empty(self._images, *values[value].shape[1:])
                whole[value][self._done : self._done + count] = values[value]
        self._done += count

    def read(self, start: int, stop: int) -> Batch:
        """The values of the images start ≤ i < stop."""
        front, end = ({value: whole[start:stop] for value, whole in side.items()} for side in (self._front, self._end))
        return Batch(front, end)


def made_again(pair: Pair, wanted: Wanted, images: Images, batch: int) -> Read:
    """Reads images by running the networks on them, `batch` at once."""
    run = pair.reader(*wanted)

    def read(start: int, stop: int) -> Batch:
        some = images.subset(torch.arange(start, stop))
        batches = [run(x) for x, _ in ordered(some, batch)]
        return Batch(_joined([one.front for one in batches]), _joined([one.end for one in batches]))

    return read


def blocks(read: Read, cuts: Cuts, images: int, block: int) -> Callable[[int], Activations]:
    """The i-th block of so many images, with the slices of its values."""

    def of(index: int) -> Activations:
        found = read(index * block, min(images, (index + 1) * block))
        return with_slices(found.front, cuts[0]), with_slices(found.end, cuts[1])

    return of


def _joined(parts: Sequence[Mapping[Value, Tensor]]) -> dict[Value, Tensor]:
    return {value: torch.cat([part[value] for part in parts]) for value in parts[0]}
