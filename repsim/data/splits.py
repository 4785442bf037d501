"""Owns the division of a data set into training, validation and test images, fixed by a seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from repsim.data.images import Images, holdout, load, take

SEED = 0  # of every subset: the same images for all runs that ask for as many


@dataclass(frozen=True)
class Splits:
    """Of a stitch: `validation` is held out of the training split; `match` lies within `train`."""

    train: Images
    match: Images
    validation: Images | None
    test: Images


class Three(NamedTuple):
    """Of a training: no image is in two of them; `validation` is None where none was asked for."""

    train: Images
    validation: Images | None
    test: Images


def three(
    name: str,
    folders: Sequence[Path],
    cache: Path,
    device: str | torch.device = "cpu",
    *,
    validation: int = 0,
    seed: int = SEED,
) -> Three:
    """Data set `name` with so many images of its training split held out, the same ones for the same `seed`."""
    train, held_out = _with_held_out(load(name, "train", folders, cache, device), validation, seed)
    return Three(train, held_out, load(name, "test", folders, cache, device))


def divide(
    name: str,
    folders: Sequence[Path],
    cache: Path,
    device: str | torch.device,
    *,
    train: int | None,
    match: int | None,
    validation: int,
    test: int | None,
) -> Splits:
    """So many images of data set `name` (None: all that are left). Raises InputError if there are not enough."""
    rest, held_out = _with_held_out(load(name, "train", folders, cache, device), validation, SEED)
    chosen = take(rest, train, SEED)
    return Splits(chosen, take(chosen, match, SEED), held_out, take(load(name, "test", folders, cache, device), test, SEED))


def _with_held_out(images: Images, validation: int, seed: int) -> tuple[Images, Images | None]:
    return holdout(images, validation, seed) if validation else (images, None)
