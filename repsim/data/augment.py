"""Owns the random changes of training images: what is drawn for each image, by name. All is drawn from the run's generator."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from repsim.data import transforms


@dataclass(frozen=True)
class Moment:
    """What a draw may depend on: the generator, the positions (n,) of the images in their set, and the epoch, from 0."""

    generator: torch.Generator
    index: Tensor
    epoch: int


Augment = Callable[[Tensor, Moment], Tensor]
"""Pixels (n, c, h, w) uint8 → changed ones, uint8 or float32 in [0, 255]."""

CUTOUT = 0.5  # side of the black square, in sides of the image: 16 of 32 pixels
DEGREES, SHARE, SCALES, SHEAR = 5.0, 1 / 16, (0.9, 1.1), 5.0  # of `affine`: rotation, movement, scale, horizontal shear
AREA, RATIO, TRIES = (0.08, 1.0), (3 / 4, 4 / 3), 10  # of `resized_crop_flip`, as ImageNet's networks are trained


def none(pixels: Tensor, moment: Moment) -> Tensor:
    """The images as they are."""
    return pixels


def flip(pixels: Tensor, moment: Moment) -> Tensor:
    """Half of the images mirrored."""
    return _shifted(pixels, moment, 0)


def crop_flip(pixels: Tensor, moment: Moment) -> Tensor:
    """Moved by up to an eighth of the height (4 pixels at 32×32), the rest black, as RandomCrop(32, padding=4); half mirrored."""
    return _shifted(pixels, moment, pixels.shape[2] // 8)


def crop_flip_cutout(pixels: Tensor, moment: Moment) -> Tensor:
    """`crop_flip`, then a black square of half the height around a random pixel, cut off at the edges (DeVries & Taylor 2017)."""
    pixels, side = crop_flip(pixels, moment), int(CUTOUT * pixels.shape[2])
    centre = _integers(pixels.shape[2], (2, len(pixels)), moment.generator).to(pixels.device)
    top, left = centre - side // 2
    return transforms.erase(pixels, top, left, side)


def crop2_flip_alternating(pixels: Tensor, moment: Moment) -> Tensor:
    """Moved by up to a sixteenth (2 pixels at 32×32), filled by reflection; each image mirrored in every other epoch.

    Which side comes first is a fixed pseudo-random bit of the image's position (Jordan 2024, cifar10-airbench): in any two
    epochs in a row every image is seen both ways.
    """
    pad = max(1, pixels.shape[2] // 16)
    offset = _integers(2 * pad + 1, (2, len(pixels)), moment.generator).to(pixels.device)
    mirror = (side(moment.index) + moment.epoch) % 2 == 1
    return transforms.shift(pixels, offset[0], offset[1], mirror.to(pixels.device), pad, "reflect")


def affine(pixels: Tensor, moment: Moment) -> Tensor:
    """Turned by ±5°, moved by a sixteenth, scaled by 0.9…1.1, sheared by ±5°; the edges are drawn out. For digits: no mirroring."""
    n, far = len(pixels), SHARE * pixels.shape[2]
    drawn = torch.rand((5, n), generator=moment.generator, device=moment.generator.device).to(pixels.device)
    angle, right, down, scale, shear = drawn
    changed = transforms.affine(
        pixels,
        angle=(2 * angle - 1) * DEGREES,
        move=torch.stack([2 * right - 1, 2 * down - 1], 1) * far,
        scale=SCALES[0] + (SCALES[1] - SCALES[0]) * scale,
        shear=torch.stack([(2 * shear - 1) * SHEAR, torch.zeros_like(shear)], 1),
        outside="border",
    )
    return changed.clamp(0, 255)


def resized_crop_flip(pixels: Tensor, moment: Moment) -> Tensor:
    """A part of 8 % to 100 % of the area, of proportions 3:4 to 4:3, enlarged to the whole; half mirrored (Szegedy et al. 2015)."""
    top, left, height, width = (each.to(pixels.device) for each in boxes(len(pixels), pixels.shape[2], moment.generator))
    mirror = _integers(2, (len(pixels),), moment.generator).to(pixels.device) == 1
    return transforms.resized_crop(pixels, top, left, height, width, mirror).clamp(0, 255)


def boxes(n: int, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """top, left, height, width (n,) int64 of random parts of a square, drawn as torchvision's RandomResizedCrop draws them.

    Ten tries each; where none lies within the image, the whole of it.
    """
    draw = torch.rand((4, TRIES, n), generator=generator, device=generator.device)
    area = (AREA[0] + (AREA[1] - AREA[0]) * draw[0]) * size**2
    ratio = (math.log(RATIO[0]) + math.log(RATIO[1] / RATIO[0]) * draw[1]).exp()
    width, height = (area * ratio).sqrt().round().long(), (area / ratio).sqrt().round().long()
    fits = (width > 0) & (width <= size) & (height > 0) & (height <= size)
    first = fits.long().argmax(0, keepdim=True)
    width, height = (torch.where(fits.any(0), side.gather(0, first)[0], size) for side in (width, height))
    top, left = ((draw[k, 0] * (size - side + 1)).long() for k, side in ((2, height), (3, width)))
    return top.minimum(size - height), left.minimum(size - width), height, width


def side(index: Tensor) -> Tensor:
    """A pseudo-random bit, 0 or 1, of each position (n,): the same for every seed, device and version (a mixed 32-bit hash)."""
    mixed = (index + 1) * 0x9E3779B1 & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 15)) * 0x85EBCA6B) & 0xFFFFFFFF
    return (mixed ^ (mixed >> 13)) & 1


def _shifted(pixels: Tensor, moment: Moment, pad: int) -> Tensor:
    offset = _integers(2 * pad + 1, (2, len(pixels)), moment.generator).to(pixels.device)
    mirror = _integers(2, (len(pixels),), moment.generator).to(pixels.device) == 1
    return transforms.shift(pixels, offset[0], offset[1], mirror, pad)


def _integers(below: int, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randint(below, shape, generator=generator, device=generator.device)


AUGMENTS: dict[str, Augment] = {
    "none": none,
    "flip": flip,
    "crop_flip": crop_flip,
    "crop_flip_cutout": crop_flip_cutout,
    "crop2_flip_alternating": crop2_flip_alternating,
    "affine": affine,
    "resized_crop_flip": resized_crop_flip,
}
