"""Owns folders of classes: one folder per class, full of PNG and JPEG files, as in imagenet/train/WNID/*."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from repsim.data import division, pictures
from repsim.data.facts import Source, Split
from repsim.data.layouts import subfolders
from repsim.data.pictures import Block
from repsim.errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg")

Labelled = tuple[Path, int]


def decode(source: Source, split: Split, files: Sequence[Path]) -> Iterator[Block]:
    """The pictures of the class folders `files`, class by class, in the order of their names; divided by seed where so agreed.

    The label is the place of the class among all: `source.class_names`, else the folders of the training split.
    """
    training = files[0].parent.parent / "train"
    names = source.class_names or tuple(folder.name for folder in subfolders(training))
    if len(names) != source.classes:
        what = f"holds {len(names)} folders of classes, but '{source.name}' has {source.classes} classes"
        raise InputError(what, where=str(training), do=source.how_to_get)
    chosen = _chosen(source, split, _labelled(files, names))
    yield from pictures.in_blocks(source, chosen, lambda item: (pictures.from_file(source, item[0]), item[1]))


def first(files: Sequence[Path]) -> Path:
    """The first picture of the first class."""
    return _pictures(files[0])[0]


def _labelled(folders: Sequence[Path], names: Sequence[str]) -> list[Labelled]:
    """Every picture with its label. InputError: a folder that is no class of the training split, or is empty."""
    label = {name: k for k, name in enumerate(names)}
    strange = next((folder for folder in folders if folder.name not in label), None)
    if strange is not None:
        raise InputError("there is no such class in the training split", where=str(strange), do="remove or rename the folder")
    return [(path, label[folder.name]) for folder in folders for path in _pictures(folder)]


def _pictures(folder: Path) -> list[Path]:
    try:
        found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(folder), do="make the folder readable") from None
    if not found:
        raise InputError(f"there is no picture in this class ({', '.join(SUFFIXES)})", where=str(folder), do="fill or remove it")
    return found


def _chosen(source: Source, split: Split, items: list[Labelled]) -> list[Labelled]:
    """Those of `split`, in their order."""
    if source.division is None:
        return items
    return [items[k] for k in division.positions(source.division, split, len(items))]
