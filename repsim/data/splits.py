"""Owns the division of a data set for a stitch: training, matching, validation and test images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from repsim.data.images import Images, holdout, load, take

SEED = 0  # of every subset: the same images for all runs that ask for as many


@dataclass(frozen=True)
class Splits:
    """`validation` is held out of the training split; `match` lies within `train`."""

    train: Images
    match: Images
    validation: Images | None
    test: Images


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
    rest, held_out = load(name, "train", folders, cache, device), None
    if validation:
        rest, held_out = holdout(rest, validation, SEED)
    chosen = take(rest, train, SEED)
    return Splits(chosen, take(chosen, match, SEED), held_out, take(load(name, "test", folders, cache, device), test, SEED))
