"""Owns torchvision's copies of CIFAR-10 and CIFAR-100: folders of pickles.

A pickle can run code: torchvision's reader compares the MD5 of every file with the published one before it opens
any of them, and so does whatever is read here.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from repsim.data.facts import Source, Split
from repsim.data.pictures import Block
from repsim.errors import InputError

PUBLISHED = {"cifar10": "CIFAR10", "cifar100": "CIFAR100"}


def decode(source: Source, split: Split, files: Sequence[Path]) -> Iterator[Block]:
    """All images in one block; a file that is not the published one is an InputError, never opened."""
    from torchvision import datasets  # takes seconds to import, needed once per cache

    folder = files[0].parent
    try:
        data = getattr(datasets, PUBLISHED[source.name])(str(folder.parent), train=split == "train", download=False)
    except RuntimeError:
        raise InputError(
            f"is not the published copy of {PUBLISHED[source.name]}: the MD5 of a file differs, so none was opened",
            where=str(folder),
            do=f"remove the folder, then {source.how_to_get}",
        ) from None
    yield np.ascontiguousarray(np.moveaxis(data.data, -1, 1)), np.asarray(data.targets, dtype=np.int64)
