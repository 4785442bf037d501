"""Owns data that is altered on purpose: labels drawn at random, and cues in the images that give the label away.

Both are a property of the data, not of a network: the same for all networks that ask for as much, and what a smaller share alters a
larger one alters too. Source of the idea: Klabunde et al. 2025, ReSi (label randomisation, shortcut affinity).
"""

from dataclasses import replace

import torch
from torch import Generator, Tensor

from repsim.data.images import Images, take
from repsim.data.splits import Three
from repsim.errors import InputError

LABELS, CUES = 1, 2  # seeds of what is drawn of a set of so many images
SIDE = 5  # pixels of a cue, a square in the upper left corner


def parts(three: Three, train_images: int | None, label_noise: float, shortcut: float | None) -> dict[str, Images]:
    """What a training sees, by name: `train`, so many images of it (None: all), `validation` where images are held out, and `test`.

    Cues are in all of them, labels drawn anew in `train` alone.
    """
    held = {} if three.validation is None else {"validation": cued(three.validation, shortcut)}
    train = relabelled(cued(take(three.train, train_images, seed=0), shortcut), label_noise)
    return {"train": train, **held, "test": cued(three.test, shortcut)}


def relabelled(images: Images, share: float) -> Images:
    """`share` of the labels drawn anew, uniform over all classes, the true one among them."""
    if not share:
        return images
    _must_be_classes(images)
    chosen, drawn = _draws(images, share, LABELS)
    return replace(images, labels=torch.where(chosen, drawn, images.labels))


def cued(images: Images, right: float | None) -> Images:
    """A square in every image whose colour names a class: with probability `right` that of the image, else any; None: no cue.

    Colours lie on a grid of the colour cube (grey levels where there is one channel), as far apart as the classes allow. Raises
    InputError for images that are streamed from disk: they are not to be written to.
    """
    if right is None:
        return images
    _must_be_classes(images)
    if images.streamed:
        raise InputError(
            f"'{images.name}' is streamed from disk and cannot be given cues", where="shortcut", do="take a smaller set"
        )
    said, drawn = _draws(images, right, CUES)
    named = torch.where(said, images.labels, drawn)
    pixels = images.images.clone()
    pixels[:, :, :SIDE, :SIDE] = palette(images.classes, images.shape[0]).to(pixels)[named][:, :, None, None]
    return replace(images, images=pixels)


def palette(classes: int, channels: int) -> Tensor:
    """A colour for each class, (classes, channels) in 0 … 255."""
    steps = 2
    while steps**channels < classes:
        steps += 1
    levels = torch.linspace(0, 255, steps).round()
    grid = torch.cartesian_prod(*[levels] * channels).reshape(-1, channels)
    return grid[torch.linspace(0, len(grid) - 1, classes).round().long()]


def _draws(images: Images, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Which images are chosen, about `share` of them, and a class drawn for each; on the device of the labels."""
    generator = Generator().manual_seed(seed)
    chosen = torch.rand(len(images), generator=generator) < share
    drawn = torch.randint(images.classes, (len(images),), generator=generator)
    return chosen.to(images.labels.device), drawn.to(images.labels.device)


def _must_be_classes(images: Images) -> None:
    if images.labels.dim() > 1:
        raise InputError(f"the images of '{images.name}' have several labels each", where="dataset", do="name one with classes")
