"""Owns what is known of each data set without decoding it: its facts by name, and where its files are found.

Light on purpose (neither torch nor numpy): plans are checked with it.
"""

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from repsim.data import registered, subsets
from repsim.data.facts import SPLITS, Found, Frame, Kind, Source, Split
from repsim.data.known import SOURCES
from repsim.data.layouts import candidates
from repsim.errors import InputError, nearest

__all__ = ["SOURCES", "SPLITS", "Found", "Frame", "Kind", "Source", "Split", "find", "get", "must_be_there", "must_have_classes"]


def get(name: str, folders: Sequence[Path] | None = None) -> Source:
    """The data set called `name`: a known one, one registered in `folders` (None: those of REPSIM_DATA), or classes of such a one.

    An unknown name is an InputError with the nearest ones.
    """
    if name in SOURCES:
        return SOURCES[name]
    places = registered.folders() if folders is None else folders
    source = registered.find(name, places)
    if source is None and (whole := subsets.parent(name)):
        return subsets.named(get(whole, folders), name)
    if source is None:
        do = f"{nearest(name, [*SOURCES, *registered.all_in(places)])}; a folder of your own: repsim data add NAME"
        raise InputError(f"there is no data set '{name}'", do=do)
    return source


def whole(name: str, folders: Sequence[Path] | None = None) -> Source:
    """The data set that is decoded for `name`: itself, or the one that it is classes of."""
    source = get(name, folders)
    return source if source.part is None else get(source.part.of, folders)


def find(name: str, folders: Sequence[Path]) -> Found:
    """The files of data set `name` in the first of `folders` that holds all of them; downloads nothing.

    Looked for in each folder: the layouts that people have (see `layouts`), the likeliest first.
    """
    return locate(get(name, folders), folders)


def locate(source: Source, folders: Sequence[Path]) -> Found:
    """The same for a data set whose facts are at hand."""
    if source.part is not None:
        return locate(get(source.part.of, folders), folders)
    if source.bundled:
        return Found("bundled", {})
    partial: list[str] = []
    for candidate in (candidate for folder in folders for candidate in candidates(source, folder)):
        if not candidate.lacking:
            return Found(candidate.kind, candidate.files)
        partial += [f"{candidate.place} lacks {', '.join(candidate.lacking)}"] if candidate.begun else []
    raise _missing(source, folders, partial)


@cache
def must_be_there(name: str, folders: tuple[Path, ...]) -> None:
    """Raise InputError as `find` does. A data set that was there is not looked for again: a sweep asks for each of its runs."""
    find(name, folders)


def must_have_classes(name: str) -> None:
    """Raise InputError for a data set whose images have no class: none at all, or attributes in place of one."""
    must_be_labelled(name)
    if get(name).attributes:
        what = f"'{name}' has {get(name).classes} attributes per image, not one class"
        raise InputError(what, where="dataset", do="choose a data set with classes: repsim data list")


def must_be_labelled(name: str) -> None:
    """Raise InputError for a data set without labels: nothing can be trained or scored on it."""
    if not get(name).labelled:
        what = f"'{name}' has no labels: it serves as auxiliary images only"
        raise InputError(what, where="dataset", do="choose a labelled data set: repsim data list")


def _missing(source: Source, folders: Sequence[Path], partial: Sequence[str]) -> InputError:
    looked = "looked in " + ", ".join(map(str, folders)) if folders else "no folder to look in"
    own = {"", *map(str, folders[:1])}  # a project puts its own data/ there
    unset = "; REPSIM_DATA is not set" if os.environ.get("REPSIM_DATA", "") in own else ""
    damage = "; incomplete: " + "; ".join(partial) if partial else ""
    return InputError(f"data set '{source.name}' was not found ({looked}{unset}{damage})", do=source.how_to_get)
