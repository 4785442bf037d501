"""Owns what is known of each data set without decoding it: its facts, and where its files are found.

Light on purpose (neither torch nor numpy): plans are checked with it.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from repsim.errors import InputError, nearest

Split = Literal["train", "test"]
Kind = Literal["bundled", "torchvision", "parquet"]
Files = Mapping[str, tuple[Path, ...]]

TORCHVISION_FOLDER = "cifar-10-batches-py"
TORCHVISION_FILES = {"train": tuple(f"data_batch_{k}" for k in range(1, 6)), "test": ("test_batch",)}


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


@dataclass(frozen=True)
class Found:
    """Where a data set lies: `paths` maps each split to its files (empty where a library brings the data)."""

    kind: Kind
    paths: Files


def get(name: str) -> Source:
    """The data set called `name`; an unknown name is an InputError with the nearest ones."""
    if name not in SOURCES:
        raise InputError(f"there is no data set '{name}'", do=nearest(name, SOURCES))
    return SOURCES[name]


def find(name: str, folders: Sequence[Path]) -> Found:
    """The files of data set `name` in the first of `folders` that holds all of them; downloads nothing.

    Looked for in each folder, in this order: `cifar-10-batches-py/` and `NAME/cifar-10-batches-py/` (torchvision's
    copy), `NAME/plain_text/{train,test}-*.parquet` and `NAME/{train,test}-*.parquet` (the Hugging Face layout).
    """
    source = get(name)
    if source.bundled:
        return Found("bundled", {})
    partial: list[str] = []
    for folder in folders:
        for kind, place, files in _candidates(source, folder):
            lacking = _lacking(kind, files)
            if not lacking:
                return Found(kind, files)
            partial += [f"{place} lacks {', '.join(lacking)}"] if any(files.values()) else []
    raise _missing(source, folders, partial)


@cache
def must_be_there(name: str, folders: tuple[Path, ...]) -> None:
    """Raise InputError as `find` does. A data set that was there is not looked for again: a sweep asks for each of its runs."""
    find(name, folders)


def _candidates(source: Source, folder: Path) -> Iterator[tuple[Kind, Path, Files]]:
    """Each place in `folder` that could hold the data set, with those of its files that are there."""
    for place in (folder / TORCHVISION_FOLDER, folder / source.name / TORCHVISION_FOLDER):
        yield (
            "torchvision",
            place,
            {s: tuple(place / n for n in names if _is_file(place / n)) for s, names in TORCHVISION_FILES.items()},
        )
    for place in (folder / source.name / "plain_text", folder / source.name):
        yield "parquet", place, {s: tuple(sorted(place.glob(f"{s}-*.parquet"))) for s in ("train", "test")}


def _lacking(kind: Kind, files: Files) -> list[str]:
    """What is not there of a copy: names of files (torchvision), or splits and shards (Parquet)."""
    if kind == "torchvision":
        return [name for split, names in TORCHVISION_FILES.items() for name in names if name not in {p.name for p in files[split]}]
    return [text for split, paths in files.items() if (text := _lacking_shards(split, paths))]


def _lacking_shards(split: str, paths: Sequence[Path]) -> str | None:
    """A split is cut into SPLIT-00000-of-0000N.parquet …: all N must be there, of one N."""
    if not paths:
        return f"{split}-*.parquet"
    totals = {int(match[1]) for path in paths if (match := re.search(r"-of-(\d+)\.parquet$", path.name))}
    if len(totals) > 1:
        return f"one set of {split} shards (there are shards of {' and of '.join(map(str, sorted(totals)))})"
    if totals and (total := totals.pop()) != len(paths):
        return f"{total - len(paths)} of the {total} shards of {split}"
    return None


def _missing(source: Source, folders: Sequence[Path], partial: Sequence[str]) -> InputError:
    looked = "looked in " + ", ".join(map(str, folders)) if folders else "no folder to look in"
    unset = "" if os.environ.get("REPSIM_DATA") else "; REPSIM_DATA is not set"
    damage = "; incomplete: " + "; ".join(partial) if partial else ""
    return InputError(f"data set '{source.name}' was not found ({looked}{unset}{damage})", do=source.how_to_get)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except PermissionError:
        raise InputError("may not be read", where=str(path.parent), do="ask its owner, or use another data folder") from None


_BUNDLED = "nothing to get: it comes with scikit-learn"
_CIFAR10 = (
    "name the folder that holds it in REPSIM_DATA, or get it into data/ where there is a network: repsim data get cifar10,\n"
    "    or copy the Parquet files of the Hugging Face data set uoft-cs/cifar10 to data/cifar10/plain_text/"
)

# The digits' mean and std are those of their training split (upsampling blurs, so std is smaller at 32 pixels); CIFAR-10's are
# the rounded ones that published networks use.
SOURCES: dict[str, Source] = {
    "digits": Source("digits", 10, 1, 8, (0.3056,), (0.3756,), 1297, 500, _BUNDLED, bundled=True),
    "digits32": Source("digits32", 10, 1, 32, (0.3055,), (0.3232,), 1297, 500, _BUNDLED, bundled=True),
    "cifar10": Source("cifar10", 10, 3, 32, (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010), 50_000, 10_000, _CIFAR10),
}
