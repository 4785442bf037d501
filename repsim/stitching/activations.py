"""Owns f's activations during training: read anew from each batch, or once and kept on the device."""

from collections.abc import Iterable

import torch
from torch import Tensor

from repsim.stitching.pair import Batch, Pair, Reading


class Fresh:
    """Reads every batch through the networks; right for augmented images, and where nothing can be kept."""

    def __init__(self, pair: Pair):
        self._pair = pair

    def read(self, x: Tensor, index: Tensor) -> Reading:
        return self._pair.read(x)


class Kept:
    """The readings of all training images, (N, h, w, c) in the order of `batches`; a batch is picked by position."""

    def __init__(self, pair: Pair, batches: Iterable[Batch]):
        readings = [pair.read(x) for x, _ in batches]
        self._front = {layer: _joined([r.front[layer] for r in readings]) for layer in pair.front_layers}
        self._carried = {
            layer: [_joined(list(parts)) for parts in zip(*(r.carried[layer] for r in readings), strict=True)]
            for layer in pair.end_layers
        }

    def read(self, x: Tensor, index: Tensor) -> Reading:
        front = {layer: _picked(values, index) for layer, values in self._front.items()}
        carried = {layer: tuple(_picked(values, index) for values in parts) for layer, parts in self._carried.items()}
        return Reading(front, carried)


@torch.no_grad()
def footprint(pair: Pair, x: Tensor) -> int:
    """Bytes that the reading of one image takes; x holds at least one."""
    reading = pair.read(x[:1])
    tensors = [*reading.front.values(), *(tensor for parts in reading.carried.values() for tensor in parts)]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _joined(parts: list[Tensor]) -> Tensor:
    return torch.cat([part.movedim(1, -1) for part in parts])


def _picked(values: Tensor, index: Tensor) -> Tensor:
    """A batch with its channels at axis 1 again; its memory stays channels-last."""
    return values[index].movedim(-1, 1)
