"""Owns making a data set of a person's own folder: what it holds is looked up, decoded once, measured, and registered."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from repsim.data import class_folders, hf_parquet, images, pictures, registered, sources
from repsim.data.facts import Division, Found, Frame, Source
from repsim.errors import InputError

LEVELS = 256
MAX_SIZE = 4096
HOW = (
    "put it there as NAME/train/CLASS/*.png and NAME/test/CLASS/*.png, as NAME/CLASS/*.png, as NAME/{train,test}-*.parquet, "
    "or as NAME/*.parquet"
)


def add(name: str, folders: Sequence[Path], cache: Path, size: int | None, channels: int | None, division: Division) -> Source:
    """Register the folder `name` of `folders`; nothing is written unless every picture can be decoded.

    `size`, `channels`: None takes those of the first picture. `division`: of a folder that has no test split.
    """
    _must_be_free(name, folders)
    found = _found(name, folders, division)
    own = found.paths["train"] != found.paths["test"]  # a test split of its own
    facts = Source(name, 1, 3, 1, (), (), 1, 1, HOW, layouts=(_layout(found),), division=None if own else division)
    facts = _shaped(facts, found, size, channels)
    counts = {split: len(images.decode(facts, found, split, cache).labels) for split in sources.SPLITS}
    mean, std = measure(images.decode(facts, found, "train", cache).images)
    whole = replace(facts, mean=mean, std=std, train_images=counts["train"], test_images=counts["test"])
    _write(whole, folders)
    return whole


def measure(pixels: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and std per channel of pixels (n, c, h, w) in [0, 1]: exact counts of the 256 levels, summed in fp64."""
    counts = np.zeros((pixels.shape[1], LEVELS), dtype=np.int64)
    step = max(1, pictures.BLOCK_BYTES // max(1, pixels[0].nbytes))
    for start in range(0, len(pixels), step):
        for channel, count in enumerate(counts):
            count += np.bincount(pixels[start : start + step, channel].reshape(-1), minlength=LEVELS)
    levels, shares = np.arange(LEVELS) / (LEVELS - 1), counts / counts.sum(1, keepdims=True)
    mean = shares @ levels
    std = np.sqrt((shares * (levels - mean[:, None]) ** 2).sum(1))
    if not std.all():
        raise InputError("all pixels of a channel are alike", do="look at the pictures: there is nothing to tell them apart by")
    return tuple(mean.tolist()), tuple(std.tolist())


def _must_be_free(name: str, folders: Sequence[Path]) -> None:
    if not registered.NAME.fullmatch(name):
        raise InputError(f"{name!r} is no name for a data set", do="use letters, digits and . _ -, no slashes")
    if name in sources.SOURCES:
        raise InputError(f"'{name}' is a data set that is known already", do="rename your folder")
    path = next((path for folder in folders if (path := folder / name / registered.FILE).exists()), None)
    if path is not None:
        what = f"'{name}' is registered already, and runs may stand on it"
        raise InputError(what, where=str(path), do="choose another name for the folder, or remove this file first")


def _found(name: str, folders: Sequence[Path], division: Division) -> Found:
    try:
        return sources.locate(Source(name, 1, 3, 1, (), (), 1, 1, HOW, layouts=("parquet", "classes"), division=division), folders)
    except InputError as missing:
        raise InputError(missing.what, do=HOW.replace("NAME", name)) from None


def _layout(found: Found):
    return "parquet" if found.kind == "parquet" else "classes"


def _shaped(facts: Source, found: Found, size: int | None, channels: int | None) -> Source:
    """With names of classes, channels and size."""
    files = found.paths["train"]
    if found.kind == "parquet":
        names, data, where = hf_parquet.classes([*files, *found.paths["test"]]), hf_parquet.first(files), str(files[0])
    else:
        path = class_folders.first(files)
        names, data, where = [folder.name for folder in files], path.read_bytes(), str(path)
    kind, sides = pictures.look(data, where)
    if size is None and sides[0] != sides[1]:
        raise InputError(f"the first picture is {sides[0]}×{sides[1]}", where=where, do="say --size N")
    side = size or sides[0]
    colours = channels or (1 if kind in pictures.GREY else 3)
    if not 1 <= side <= MAX_SIZE or colours not in (1, 3):
        raise InputError(f"{colours} channels of {side} pixels", do=f"ask for a size of 1 to {MAX_SIZE}, and 1 or 3 channels")
    return replace(facts, classes=len(names), class_names=tuple(names), channels=colours, size=side, frame=Frame("shorter", side))


def _write(source: Source, folders: Sequence[Path]) -> None:
    """Beside the pictures; where that folder may not be written to, in the first data folder."""
    beside = next((folder for folder in folders if (folder / source.name).is_dir()), folders[0])
    try:
        registered.write(source, beside)
    except InputError:
        if beside == folders[0]:
            raise
        registered.write(source, folders[0])
