"""Owns the order in which images come, as batches on a device."""

from collections.abc import Iterable, Iterator, Sequence

import torch

from repsim.data import mapped
from repsim.data.augment import AUGMENTS, Moment
from repsim.data.augmentations import Augmentation
from repsim.data.images import Images
from repsim.data.transforms import unit


def batches(
    images: Images, batch_size: int, generator: torch.Generator, augment: Augmentation = "none", epoch: int = 0
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """One epoch in random order: x (b, c, h, w) float32 in [0, 1], the labels, and the positions (b,) in `images`.

    Every image comes exactly once; the last batch may be smaller. `augment` names what is done to the images (see `augment`);
    `epoch`, from 0, matters to those that alternate. All is drawn from `generator`: the same state gives the same batches.
    """
    order = torch.randperm(len(images), generator=generator, device=generator.device).to(images.labels.device)
    indices, change = order.split(batch_size), AUGMENTS[augment]
    for index, pixels in zip(indices, _read(images, indices), strict=True):
        yield unit(change(pixels, Moment(generator, index, epoch))), images.labels[index], index


def ordered(images: Images, batch_size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """All images in their order, as x (b, c, h, w) float32 in [0, 1] and their labels; no augmentation."""
    parts = [slice(start, start + batch_size) for start in range(0, len(images), batch_size)]
    for part, pixels in zip(parts, _read(images, parts), strict=True):
        yield unit(pixels), images.labels[part]


def _read(images: Images, indices: Sequence[torch.Tensor] | Sequence[slice]) -> Iterable[torch.Tensor]:
    """The pixels at each index, on the device; those of a mapped set are read while the batch before is at work."""
    if not images.streamed:
        return map(images.pixels, indices)
    wanted = [index.cpu() if isinstance(index, torch.Tensor) else index for index in indices]
    return (pixels.to(images.device, non_blocking=True) for pixels in mapped.ahead(images.pixels, wanted))
