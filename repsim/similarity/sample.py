"""Owns the images of a comparison: which they are, in which order they come, and how to tell that two sides saw the same."""

import hashlib

import torch
from torch import Tensor

from repsim.data.images import Images
from repsim.errors import InputError

DIGITS = 12


def stream(images: Images, count: int | None, seed: int) -> Images:
    """`count` images (None: all) in a random order, both by `seed`; fewer of them are the beginning of more.

    The order is drawn on the CPU: the same for every device.
    """
    there = len(images)
    if not 0 < (count or there) <= there:
        raise InputError(f"cannot take {count} of the {there} images of '{images.name}'", where="images", do=f"take 1 to {there}")
    order = torch.randperm(there, generator=torch.Generator().manual_seed(seed))
    return images.subset(order[:count])


class Fingerprint:
    """A hash of images and labels in their order, whatever the batches they come in."""

    def __init__(self) -> None:
        self._inputs, self._labels, self._shape = hashlib.blake2b(), hashlib.blake2b(), ""

    def add(self, inputs: Tensor, labels: Tensor | None = None) -> None:
        """Add a batch: bytes (n, …), or anything else that networks read."""
        self._shape = f"{tuple(inputs.shape[1:])} {inputs.dtype}"
        self._inputs.update(_bytes(inputs))
        if labels is not None:
            self._labels.update(_bytes(labels))

    def digest(self) -> str:
        """12 hexadecimal digits."""
        parts = (self._shape.encode(), self._inputs.digest(), self._labels.digest())
        return hashlib.blake2b(b"".join(parts)).hexdigest()[:DIGITS]


def as_bytes(x: Tensor) -> Tensor:
    """The pixels uint8 that batches x in [0, 1] were made of."""
    return (x * 255).round().to(torch.uint8)


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data
