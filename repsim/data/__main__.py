"""What the torch-free half asks of data sets, in a child process; one JSON value on stdout.

    python -m repsim.data list FOLDER…              → [{name, classes, channels, size, train_images, test_images, found, do}, …]
    python -m repsim.data get NAME CACHE FOLDER…    → {train, test}: images, decoded into CACHE; downloaded if need be

A UserError is printed as {"error": {what, where, do}} and leaves with 2.
"""

import json
import sys
from pathlib import Path
from typing import Any

from repsim.data import sources
from repsim.errors import InputError, UserError


def listed(*folders: str) -> list[dict[str, Any]]:
    """Every known data set, and where it was found."""
    return [_describe(source, [Path(folder) for folder in folders]) for source in sources.SOURCES.values()]


def get(name: str, cache: str, *folders: str) -> dict[str, int]:
    """Find or download a data set, and decode it."""
    from repsim.data import images

    places = [Path(folder) for folder in folders]
    return {split: len(images.load(name, split, places, Path(cache))) for split in ("train", "test")}


def main(verb: str, *arguments: str) -> int:
    """Answer on stdout; 0, or 2 for what the user can mend."""
    try:
        print(json.dumps(VERBS[verb](*arguments)))
    except UserError as error:
        print(json.dumps({"error": {"what": error.what, "where": error.where, "do": error.do}}))
        return 2
    return 0


def _describe(source: sources.Source, folders: list[Path]) -> dict[str, Any]:
    try:
        found, do = sources.find(source.name, folders), None
    except InputError as error:
        found, do = None, error.do
    place = next((str(files[0].parent) for files in found.paths.values() if files), "bundled") if found else None
    sizes = {field: getattr(source, field) for field in ("name", "classes", "channels", "size", "train_images", "test_images")}
    return {**sizes, "found": place, "do": do}


VERBS = {"list": listed, "get": get}

if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
