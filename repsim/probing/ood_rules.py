"""Owns what may be asked of a detector: which fields contradict each other, and which data sets and networks it needs.

Light on purpose: sweeps are planned with it. What belongs to another detector passes, so that a sweep may fix it for all.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from repsim.data import registered, sources
from repsim.data.sources import SOURCES, Source
from repsim.errors import InputError, nearest
from repsim.stitching.shapes import Shape, has_class_token

MADE = ("noise", "blobs", "jigsaw", "mixed")  # outliers that are made, not found; keys of `outliers.KINDS`
OWN = ("suffix", "fresh")  # classifiers that are g's layers behind the cut
TRAINED = ("energy", "msp")


def names_of(text: str) -> tuple[str, ...]:
    """ "noise svhn" → ("noise", "svhn"). Raises ValueError for none, and for one that stands twice."""
    names = tuple(text.replace(",", " ").split())
    if not names or len(set(names)) < len(names):
        raise ValueError("outliers: name one or more data sets or kinds, each once, as in 'blobs jigsaw svhn'")
    return names


def refusals(c: Any) -> Iterator[tuple[bool, str]]:
    """(is it so?, why it is refused) of everything that the detector of Config `c` cannot mean; the field comes first."""
    outliers = names_of(c.outliers)
    shown = c.detector == "energy" and c.finetune_epochs > 0
    yield c.sanity is not None and _same(c.sanity, c.dataset), f"sanity: {c.sanity} is what g was made for; name other images"
    taught = c.sanity is not None and any(_same(c.sanity, name) for name in outliers)
    yield taught and shown, f"sanity: {c.sanity} is among the outliers, that would check what was taught"
    clash = next((name for name in outliers if _same(name, c.dataset)), None)
    yield clash is not None, f"outliers: {clash} is what g was made for; name other images"
    yield c.margin_in >= c.margin_out, "margin_in: it must be below margin_out"
    untaught = c.detector in TRAINED and c.classifier_epochs == 0
    yield untaught and c.classifier != "suffix", f"classifier_epochs: a {c.classifier} classifier must be taught, give some"
    yield c.classifier in OWN and c.classifier_width is not None, f"classifier_width: a {c.classifier} classifier has that of g"


def check(c: Any, catalog: Any, source: Source) -> None:
    """Raise InputError for images that are not known or not there, and for inliers of another kind than `source`."""
    folders = catalog.data_folders
    if c.sanity is not None:
        _must_be_there(c.sanity, "sanity", folders)
    if c.detector == "energy" and c.finetune_epochs > 0:
        for name in names_of(c.outliers):
            _must_be_there(name, "outliers", folders)
        if c.inliers is not None:
            _check_inliers(c.inliers, source, folders)


def channels_of(shape: Shape) -> int:
    """Channels of the image that a classifier of its own sees of a value of this shape; see `classifiers.as_map`."""
    return shape[0] if len(shape) != 2 else shape[1] * (1 + has_class_token(shape))


def _must_be_there(name: str, field: str, folders: Sequence[Path]) -> None:
    if name in MADE:
        return
    known = [*SOURCES, *registered.all_in(folders)]
    if name not in known:
        raise InputError(f"there is no data set '{name}'", where=field, do=nearest(name, [*MADE, *known]))
    try:
        sources.must_be_there(name, tuple(folders))
    except InputError as error:
        made = f"{error.do}\n    or choose images that need no file: {', '.join(MADE)}, digits32"
        raise InputError(error.what, where=field, do=made) from None


def _check_inliers(name: str, source: Source, folders: Sequence[Path]) -> None:
    _must_be_there(name, "inliers", folders)
    if name in MADE:
        raise InputError(f"'{name}' has no classes", where="inliers", do="name a data set with the classes of g")
    found = sources.get(name, folders)
    if (found.channels, found.size, found.classes) != (source.channels, source.size, source.classes):
        what = f"'{name}' has images of {found.channels}×{found.size}×{found.size} and {found.classes} classes, not those of g"
        raise InputError(what, where="inliers", do=f"name a data set like '{source.name}', as cifar5m is like cifar10")


def _same(name: str, dataset: str) -> bool:
    """Whether they are the same images, at whatever size: digits and digits32."""
    return name.removesuffix("32") == dataset.removesuffix("32")
