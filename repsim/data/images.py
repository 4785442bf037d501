"""Owns a split of a data set as tensors on a device."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from repsim.data import bundled, decoded, hf_parquet, sources, torchvision_folder
from repsim.data.sources import Found, Kind, Source, Split
from repsim.errors import InputError

Decoder = Callable[[Source, Split, Sequence[Path]], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Images:
    """Images (n, c, h, w) uint8 and labels (n,) int64 with values below `classes`, on one device."""

    name: str
    images: torch.Tensor
    labels: torch.Tensor
    classes: int

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: str | torch.device) -> "Images":
        """The same on `device`."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))

    def subset(self, index: torch.Tensor) -> "Images":
        """The images at the positions `index` (k,) int64, in that order."""
        index = index.to(self.labels.device)
        return replace(self, images=self.images[index], labels=self.labels[index])


def load(
    name: str, split: Split, folders: Sequence[Path], cache: Path, device: str | torch.device = "cpu", download: bool = True
) -> Images:
    """One split of data set `name`, decoded once into `cache` and read from there ever after.

    Looks in `folders` (see `sources.find`); where nothing is found and `download` is on, tries to download into the
    first of them. Raises InputError for an unknown or missing data set and for files that cannot be decoded.
    """
    source = sources.get(name)
    found = _found(source, folders, download)
    stem = cache / f"{name}-{split}-{decoded.fingerprint(found, split)}"
    arrays = decoded.read(stem)
    if arrays is None:
        arrays = DECODERS[found.kind](source, split, found.paths.get(split, ()))
        decoded.write(stem, *arrays)
    images, labels = map(torch.from_numpy, arrays)
    return Images(name, images, labels, source.classes).to(device)


def holdout(images: Images, n: int, seed: int) -> tuple[Images, Images]:
    """(rest, held out): `n` images held out, the same ones for the same `seed`; both parts keep their order."""
    if not 0 < n < len(images):
        raise InputError(
            f"cannot hold out {n} of the {len(images)} images of '{images.name}'", do=f"hold out 1 to {len(images) - 1}"
        )
    order = _order(images, seed)
    return images.subset(order[n:].sort().values), images.subset(order[:n].sort().values)


def take(images: Images, n: int | None, seed: int) -> Images:
    """`n` images chosen once by `seed`, in their order (None: all); a smaller choice lies within a larger one."""
    if n is None:
        return images
    if not 0 < n <= len(images):
        raise InputError(f"cannot take {n} of the {len(images)} images of '{images.name}'", do=f"take 1 to {len(images)}")
    return images.subset(_order(images, seed)[:n].sort().values)


def _order(images: Images, seed: int) -> torch.Tensor:
    """A permutation drawn on the CPU, so that it is the same for every device."""
    return torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))


def _found(source: Source, folders: Sequence[Path], download: bool) -> Found:
    """Where `source` lies, after a download where it must be; an error says both where was looked and why none came."""
    try:
        return sources.find(source.name, folders)
    except InputError as missing:
        if not (download and folders):
            raise
        try:
            torchvision_folder.download(source, folders[0])
        except InputError as failed:
            raise InputError(f"{missing.what}; {failed.what}", do=missing.do) from None
    return sources.find(source.name, folders)


DECODERS: dict[Kind, Decoder] = {
    "bundled": bundled.decode,
    "torchvision": torchvision_folder.decode,
    "parquet": hf_parquet.decode,
}
