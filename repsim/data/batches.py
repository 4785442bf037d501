"""Owns the order in which images come, and their random crops and flips; all of it on the device of the images."""

from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F

from repsim.data.images import Images

Augment = Literal["none", "flip", "crop_flip"]


def batches(
    images: Images, batch_size: int, generator: torch.Generator, augment: Augment = "none"
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """One epoch in random order: x (b, c, h, w) float32 in [0, 1], y (b,) int64, and the positions (b,) in `images`.

    Every image comes exactly once; the last batch may be smaller. `augment`: `flip` mirrors half of the images;
    `crop_flip` also moves each by up to an eighth of its height (4 pixels at 32×32) and fills with black, as
    torchvision's RandomCrop(32, padding=4) does. All is drawn from `generator`: the same state gives the same batches.
    """
    order = torch.randperm(len(images), generator=generator, device=generator.device).to(images.labels.device)
    for index in order.split(batch_size):
        pixels = images.images[index]
        yield unit(_augmented(pixels, generator, augment)), images.labels[index], index


def ordered(images: Images, batch_size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """All images in their order, as x (b, c, h, w) float32 in [0, 1] and y (b,) int64; no augmentation."""
    for pixels, labels in zip(images.images.split(batch_size), images.labels.split(batch_size), strict=True):
        yield unit(pixels), labels


def unit(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 → float32 in [0, 1]: pixel / 255, correctly rounded."""
    return pixels.float() / 255


def shifted(pixels: torch.Tensor, top: torch.Tensor, left: torch.Tensor, mirror: torch.Tensor, pad: int) -> torch.Tensor:
    """Pad (n, c, h, w) by `pad` black pixels on each side, cut (h, w) at (top, left), then mirror where asked.

    `top`, `left` (n,) int64 in 0…2·pad, `mirror` (n,) bool. One gather for the whole batch, no loop over images.
    """
    n, c, h, w = pixels.shape
    padded = F.pad(pixels, (pad, pad, pad, pad)) if pad else pixels
    columns = torch.arange(w, device=pixels.device).expand(n, w)
    columns = left[:, None] + torch.where(mirror[:, None], columns.flip(1), columns)
    rows = top[:, None] + torch.arange(h, device=pixels.device)
    image, channel = torch.arange(n, device=pixels.device), torch.arange(c, device=pixels.device)
    return padded[image[:, None, None, None], channel[:, None, None], rows[:, None, :, None], columns[:, None, None, :]]


def _augmented(pixels: torch.Tensor, generator: torch.Generator, augment: Augment) -> torch.Tensor:
    if augment == "none":
        return pixels
    pad = pixels.shape[2] // 8 if augment == "crop_flip" else 0
    offset = _draw(2 * pad + 1, (2, len(pixels)), generator).to(pixels.device)
    mirror = _draw(2, (len(pixels),), generator).to(pixels.device) == 1
    return shifted(pixels, offset[0], offset[1], mirror, pad)


def _draw(below: int, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    return torch.randint(below, shape, generator=generator, device=generator.device)
