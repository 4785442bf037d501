"""Owns what a data set is, as plain values: classes, shape, normalisation, and how its files are laid out. Light (no torch)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Split = Literal["train", "test"]
SPLITS: tuple[Split, ...] = ("train", "test")
Layout = Literal["torchvision", "idx", "mat", "celeba", "cifar5m", "images300k", "classes", "parquet"]
Kind = Literal["bundled", "torchvision", "idx", "mat", "celeba", "cifar5m", "images300k", "classes", "parquet"]
Files = Mapping[str, tuple[Path, ...]]


@dataclass(frozen=True)
class Frame:
    """How a picture becomes the square of a data set; interpolation is Pillow's antialiased bilinear.

    exact     it has the size already, anything else is an error
    square    resized to `resize`×`resize`, whatever its proportions, then the centre is cut out
    shorter   resized so that its shorter side is `resize`, then the centre is cut out
    """

    how: Literal["exact", "square", "shorter"] = "exact"
    resize: int = 0


@dataclass(frozen=True)
class Division:
    """How a folder without a test split is divided: this share of its images, drawn by `seed`, is for testing."""

    test_share: float
    seed: int


@dataclass(frozen=True)
class Part:
    """Which classes of the data set `of` another one holds: those of `groups[k]` are its class k."""

    of: str
    groups: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Source:
    """One data set. `mean` and `std` are per channel, of pixels in [0, 1]; `…_images` are the sizes of the splits."""

    name: str
    classes: int
    channels: int
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    train_images: int
    test_images: int
    how_to_get: str
    bundled: bool = False
    layouts: tuple[Layout, ...] = ("parquet",)
    also_called: tuple[str, ...] = ()  # other names of its folder
    tested_on: tuple[str, ...] = ("test", "validation", "val")  # names of the split for testing, the best first
    frame: Frame = Frame()
    attributes: bool = False  # `classes` yes-or-no attributes per image, labels (n, classes) uint8; else one class, labels (n,)
    labelled: bool = True
    class_names: tuple[str, ...] = ()
    division: Division | None = None
    counts: tuple[tuple[int, ...], tuple[int, ...]] | None = None  # images of each class for training and for testing, where known
    part: Part | None = None


@dataclass(frozen=True)
class Found:
    """Where a data set lies: `paths` maps each split to its files (empty where a library brings the data)."""

    kind: Kind
    paths: Files
