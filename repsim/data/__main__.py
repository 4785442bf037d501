"""What the torch-free half asks of data sets, in a child process; one JSON value on stdout.

    python -m repsim.data list FOLDER…              → [{name, classes, channels, size, train_images, test_images, found, do, …}, …]
    python -m repsim.data get NAME CACHE FOLDER…    → {train, test}: images, decoded into CACHE; downloaded if need be
    python -m repsim.data check NAME CACHE FOLDER…  → {train, test}: whether the decoded copy is sound; null: there is none
    python -m repsim.data add NAME SIZE CHANNELS TEST_SHARE SEED CACHE FOLDER…  → the facts of the new data set, as in list

A UserError is printed as {"error": {what, where, do}} and leaves with 2.
"""

import json
import sys
from pathlib import Path
from typing import Any

from repsim.data import registered, sources
from repsim.data.facts import SPLITS, Division, Found, Source
from repsim.errors import InputError, UserError

FIELDS = ("name", "classes", "channels", "size", "train_images", "test_images", "attributes", "labelled", "mean", "std")


def listed(*folders: str) -> list[dict[str, Any]]:
    """Every known and every registered data set, and where it was found."""
    places = _paths(folders)
    names = dict.fromkeys([*sources.SOURCES, *registered.all_in(places)])
    return [_described(name, places) for name in names]


def get(name: str, cache: str, *folders: str) -> dict[str, int]:
    """Find or download a data set, and decode it."""
    from repsim.data import images

    source, places = sources.get(name, _paths(folders)), _paths(folders)
    return {split: len(images.load(name, split, places, Path(cache))) if _counted(source, split) else 0 for split in SPLITS}


def check(name: str, cache: str, *folders: str) -> dict[str, bool | None]:
    """Compare the sums of the decoded copy; a damaged one is removed, so that it is decoded again."""
    from repsim.data import decoded, images

    source, found = sources.whole(name, _paths(folders)), sources.find(name, _paths(folders))
    stems = {split: images.stem(source, found, split, Path(cache)) for split in SPLITS}
    return {split: decoded.check(stem) if decoded.begun(stem) else None for split, stem in stems.items()}


def add(name: str, size: str, channels: str, test_share: str, seed: str, cache: str, *folders: str) -> dict[str, Any]:
    """Register a folder of pictures; an empty size or number of channels is taken from the first picture."""
    from repsim.data import registering

    division = Division(float(test_share), int(seed))
    places = _paths(folders)
    registering.add(name, places, Path(cache), int(size) if size else None, int(channels) if channels else None, division)
    return _described(name, places)


def main(verb: str, *arguments: str) -> int:
    """Answer on stdout; 0, or 2 for what the user can mend."""
    try:
        print(json.dumps(VERBS[verb](*arguments)))
    except UserError as error:
        print(json.dumps({"error": {"what": error.what, "where": error.where, "do": error.do}}))
        return 2
    return 0


def _described(name: str, folders: list[Path]) -> dict[str, Any]:
    """The facts of a data set, and where it lies, or how to get it; of a damaged registration, what is wrong."""
    source = None
    try:
        source = sources.get(name, folders)
        place, do = _place(sources.locate(source, folders)), None
    except InputError as error:
        place, do = None, error.do if source else str(error)
    facts = {field: getattr(source, field, None) for field in FIELDS} | {"name": name}
    return {**facts, "registered": name not in sources.SOURCES, "found": place, "do": do}


def _place(found: Found) -> str:
    return next((str(files[0].parent) for files in found.paths.values() if files), "bundled")


def _counted(source: Source, split: str) -> int:
    return source.train_images if split == "train" else source.test_images


def _paths(folders: tuple[str, ...]) -> list[Path]:
    return [Path(folder) for folder in folders]


VERBS = {"list": listed, "get": get, "check": check, "add": add}

if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
