"""Owns a split of a data set as tensors: whole on a device, or mapped from disk and sent there as it is asked for."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from repsim.data import arrays, bundled, celeba, class_folders, decoded, downloads, hf_parquet, mapped, sources, torchvision_folder
from repsim.data.facts import Found, Kind, Source, Split
from repsim.data.pictures import Block
from repsim.errors import InputError

Decoder = Callable[[Source, Split, Sequence[Path]], Iterator[Block]]


@dataclass(frozen=True, eq=False)
class Images:
    """Images (n, c, h, w) uint8 and their labels: (n,) int64 below `classes`, or (n, classes) uint8 of 0 and 1.

    A big set stays on disk: `images` is then the mapped file, `positions` (n,) int64 says which of its images these are (None:
    all), and `place` is the device where batches come; labels are there already. Otherwise all is on one device. Who wants
    pixels asks `pixels`, and need not know.
    """

    name: str
    images: torch.Tensor
    labels: torch.Tensor
    classes: int
    place: torch.device | None = None
    positions: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def device(self) -> torch.device:
        """Where batches come."""
        return self.place or self.images.device

    @property
    def streamed(self) -> bool:
        """Whether the images are read from disk as they are asked for."""
        return self.place is not None

    @property
    def shape(self) -> torch.Size:
        """(c, h, w) of an image."""
        return self.images.shape[1:]

    def pixels(self, index: torch.Tensor | slice) -> torch.Tensor:
        """The images (k, c, h, w) at `index`, on their way to the device: still on the CPU where they are streamed."""
        if self.place is None:
            return self.images[index] if isinstance(index, slice) else self.images.index_select(0, index)
        chosen = index if self.positions is None else self.positions[index]
        return mapped.gather(self.images, chosen, pin=self.place.type == "cuda")

    def to(self, device: str | torch.device) -> "Images":
        """The same on `device`; a mapped set stays on disk and sends its batches there."""
        if self.place is not None:
            return replace(self, labels=self.labels.to(device), place=torch.device(device))
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))

    def subset(self, index: torch.Tensor) -> "Images":
        """The images at the positions `index` (k,) int64, in that order; of a mapped set only a list of positions is made."""
        labels = self.labels[index.to(self.labels.device)]
        if self.place is None:
            return replace(self, images=self.images[index.to(self.images.device)], labels=labels)
        index = index.cpu()
        return replace(self, labels=labels, positions=index if self.positions is None else self.positions[index])


def load(
    name: str, split: Split, folders: Sequence[Path], cache: Path, device: str | torch.device = "cpu", download: bool = True
) -> Images:
    """One split of data set `name`, decoded once into `cache` and read from there ever after.

    Looks in `folders` (see `sources.find`); where nothing is found and `download` is on, tries to download into the
    first of them. Raises InputError for an unknown or missing data set and for files that cannot be decoded. Sets above
    `decoded.MAPPED_ABOVE` stay on disk and are streamed.
    """
    source = sources.get(name, folders)
    if source.part is not None:
        return _part(load(source.part.of, split, folders, cache, device, download), source)
    found = _found(source, folders, download)
    arrays = decode(source, found, split, cache)
    images, labels = mapped.tensor(arrays.images), torch.from_numpy(arrays.labels)
    place = torch.device("cpu") if arrays.mapped else None
    return Images(name, images, labels, source.classes, place).to(device)


def stem(source: Source, found: Found, split: Split, cache: Path) -> Path:
    """Where the decoded copy lies: the beginning of its files' names."""
    return cache / f"{source.name}-{split}-{decoded.fingerprint(source, found, split)}"


def decode(source: Source, found: Found, split: Split, cache: Path) -> decoded.Arrays:
    """The decoded copy, made where there is none; one process at a time makes it. InputError: files that cannot be decoded."""
    place = stem(source, found, split, cache)
    if (ready := decoded.read(place)) is not None:
        return ready
    with decoded.alone(place):
        if (ready := decoded.read(place)) is None:
            decoded.write(place, _some(source, split, found))
            ready = decoded.read(place)
    if ready is None:
        raise InputError("the decoded copy does not read as it was written", where=str(place), do="see whether the disk is sound")
    return ready


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


def _part(whole: Images, source: Source) -> Images:
    """The images of the chosen classes in their order, and their new labels."""
    assert source.part is not None
    renamed = torch.full((whole.classes,), -1, dtype=torch.int64)
    for k, group in enumerate(source.part.groups):
        renamed[list(group)] = k
    labels = renamed.to(whole.labels.device)[whole.labels]
    positions = (labels >= 0).nonzero().flatten()
    return replace(whole.subset(positions), name=source.name, labels=labels[positions], classes=source.classes)


def _some(source: Source, split: Split, found: Found) -> Iterator[Block]:
    """The blocks of the decoder, at least one; each as many labels as images, of the size that the source has."""
    files, empty = found.paths.get(split, ()), True
    for pixels, labels in DECODERS[found.kind](source, split, files):
        assert pixels.dtype == np.uint8 and pixels.shape == (len(labels), source.channels, source.size, source.size)
        empty = False
        yield pixels, labels
    if empty:
        raise InputError("there are no images", where=", ".join(map(str, files)), do=source.how_to_get)


def _found(source: Source, folders: Sequence[Path], download: bool) -> Found:
    """Where `source` lies, after a download where it must be; an error says both where was looked and why none came."""
    try:
        return sources.locate(source, folders)
    except InputError as missing:
        if not (download and folders and downloads.can_get(source)):
            raise
        try:
            downloads.download(source, folders[0])
        except InputError as failed:
            raise InputError(f"{missing.what}; {failed.what}", do=missing.do) from None
    return sources.locate(source, folders)


DECODERS: dict[Kind, Decoder] = {
    "bundled": bundled.decode,
    "torchvision": torchvision_folder.decode,
    "idx": arrays.idx,
    "mat": arrays.mat,
    "celeba": celeba.decode,
    "cifar5m": arrays.cifar5m,
    "images300k": arrays.images300k,
    "classes": class_folders.decode,
    "parquet": hf_parquet.decode,
}
