"""Owns the names of the random changes of training images; what each does is in `augment`. Light: recipes are checked with it."""

from typing import Literal, get_args

Augmentation = Literal["none", "flip", "crop_flip", "crop_flip_cutout", "crop2_flip_alternating", "affine", "resized_crop_flip"]
NAMES: tuple[str, ...] = get_args(Augmentation)
