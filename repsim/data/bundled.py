"""Owns the handwritten digits that come with scikit-learn, as images with a fixed split.

1,797 images of 8×8 pixels with 17 grey levels (the test part of the UCI "Optical recognition of handwritten digits" set). There
is no official split, so ours is fixed: a permutation with seed 0, the first 1,297 for training, the other 500 for testing.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from repsim.data.facts import Source, Split
from repsim.data.pictures import Block

TRAIN_IMAGES = 1297
SIZE = 8
LEVELS = 16  # grey levels run from 0 to 16


def decode(source: Source, split: Split, files: Sequence[Path]) -> Iterator[Block]:
    """The digits of `split` in one block; `files` is empty. Sizes other than 8 are bilinear; three channels are alike."""
    from sklearn.datasets import load_digits  # takes a second to import, needed once per cache

    flat, labels = load_digits(return_X_y=True)
    pixels = np.asarray(flat).reshape(-1, 1, SIZE, SIZE) * (255 / LEVELS)
    # RandomState's stream is frozen for good, so the split is the same under every numpy.
    order = np.random.RandomState(0).permutation(len(pixels))
    chosen = order[:TRAIN_IMAGES] if split == "train" else order[TRAIN_IMAGES:]
    sized = _resized(pixels[chosen], source.size)
    yield sized.repeat(source.channels, axis=1), np.asarray(labels)[chosen].astype(np.int64)


def _resized(pixels: np.ndarray, size: int) -> np.ndarray:
    """Pixels (n, 1, h, w) in [0, 255] → uint8 (n, 1, size, size), rounded to the nearest."""
    if size != pixels.shape[-1]:
        import torch

        sized = torch.nn.functional.interpolate(torch.from_numpy(pixels), (size, size), mode="bilinear", align_corners=False)
        pixels = sized.numpy()
    return np.rint(pixels).astype(np.uint8)
