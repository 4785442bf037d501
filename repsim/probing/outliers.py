"""Owns the images that a detector must not take for its own: auxiliary outliers and those of its sanity check.

A name is a data set's, or one of `KINDS`, made of the images at hand (jigsaw, mixed: Hendrycks et al. 2019, appendix).
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Generator, Tensor
from torch.nn import functional

from repsim.data.facts import Split
from repsim.data.images import Images, load, take
from repsim.data.sources import get
from repsim.data.transforms import resize
from repsim.errors import InputError

SEED = 1  # of the choice among the images of a data set, and of what is drawn: the same outliers for all runs
AT_ONCE = 4096  # images that are resized in one go
PARTS = 4  # of a jigsaw, per side
COARSE = 8  # pixels of one blob, per side


def gather(names: Sequence[str], split: Split, like: Images, count: int, folders: Sequence[Path], cache: Path) -> Images:
    """`count` images (n, c, h, w) uint8 of the size of `like`, on its device, as many of each name; fewer where there are fewer.

    Their labels mean nothing. Raises InputError for a data set that is missing.
    """
    shares = [len(part) for part in torch.arange(count).tensor_split(len(names))]
    parts = [_some(name, split, like, share, folders, cache) for name, share in zip(names, shares, strict=True) if share]
    pixels = torch.cat(parts).to(like.device)
    labels = torch.zeros(len(pixels), dtype=torch.int64, device=like.device)
    return Images(" ".join(names), pixels, labels, like.classes)


def _some(name: str, split: Split, like: Images, count: int, folders: Sequence[Path], cache: Path) -> Tensor:
    if name in KINDS:
        own = like.to("cpu")
        generator = Generator().manual_seed(SEED)
        chosen = torch.randint(len(own), (count,), generator=generator)
        return KINDS[name](own.subset(chosen), generator)
    images = load(name, split if _has(name, split, folders) else "train", folders, cache)
    found = take(images, min(count, len(images)), SEED)
    channels, size = like.shape[0], like.shape[1]
    return torch.cat([_fitted(found.pixels(part), channels, size) for part in torch.arange(len(found)).split(AT_ONCE)])


def _has(name: str, split: Split, folders: Sequence[Path]) -> bool:
    """A set of auxiliary images may have no test split."""
    return getattr(get(name, folders), f"{split}_images") > 0


def _fitted(pixels: Tensor, channels: int, size: int) -> Tensor:
    """(n, channels, size, size) uint8: grey is repeated, colours are averaged to grey, sizes antialiased bilinear."""
    if pixels.shape[1] != channels:
        pixels = pixels.float().mean(1, keepdim=True).expand(-1, channels, -1, -1)
    return (pixels if pixels.shape[2] == size else resize(pixels, size)).round().clamp(0, 255).to(torch.uint8)


def _noise(images: Images, generator: Generator) -> Tensor:
    """Every value of every pixel uniform."""
    return torch.randint(256, (len(images), *images.shape), generator=generator, dtype=torch.uint8)


def _blobs(images: Images, generator: Generator) -> Tensor:
    """Uniform colours on a coarse grid, blurred into each other."""
    channels, size = images.shape[0], images.shape[1]
    coarse = torch.rand((len(images), channels, max(2, size // COARSE), max(2, size // COARSE)), generator=generator)
    smooth = functional.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=False)
    return (255 * smooth).round().to(torch.uint8)


def _jigsaw(images: Images, generator: Generator) -> Tensor:
    """The images at hand, cut into 4 × 4 parts in an order of their own each."""
    pixels, size = _pixels(images), images.shape[1]
    if size % PARTS:
        what = f"images of {size} pixels cannot be cut into {PARTS} × {PARTS} equal parts"
        raise InputError(what, where="outliers", do="choose others than jigsaw")
    side = size // PARTS
    parts = pixels.unfold(2, side, side).unfold(3, side, side).flatten(2, 3).transpose(1, 2)  # (n, 16, c, side, side)
    order = torch.rand(parts.shape[:2], generator=generator).argsort(1)
    mixed = parts.gather(1, order[:, :, None, None, None].expand_as(parts)).transpose(1, 2).unflatten(2, (PARTS, PARTS))
    return mixed.permute(0, 1, 2, 4, 3, 5).reshape(pixels.shape)


def _mixed(images: Images, generator: Generator) -> Tensor:
    """The mean of two images at hand."""
    pixels = _pixels(images)
    other = pixels[torch.randperm(len(pixels), generator=generator)]
    return ((pixels.to(torch.int16) + other) // 2).to(torch.uint8)


def _pixels(images: Images) -> Tensor:
    return images.pixels(torch.arange(len(images)))


KINDS: dict[str, Callable[[Images, Generator], Tensor]] = {
    "noise": _noise,
    "blobs": _blobs,
    "jigsaw": _jigsaw,
    "mixed": _mixed,
}
