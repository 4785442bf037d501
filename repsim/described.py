"""Owns the description that lies beside an exported network: FILE.json, plain facts with which it can be imported again."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repsim.errors import InputError, UserError

FORMAT = "repsim network 1"
KNOWN = ("arch", "width", "depth", "dataset", "seed", "data_seed")
"""What an import takes over; the normalisation is made of mean and std."""


def beside(file: Path) -> Path:
    """Where the description of `file` lies."""
    return file.with_name(f"{file.name}.json")


def write(file: Path, facts: Mapping[str, Any]) -> None:
    """Describe `file`, which is there: `facts`, its name and its SHA-256."""
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    place, text = beside(file), json.dumps({"format": FORMAT, "file": file.name, "sha256": sha256, **facts}, indent=1)
    temporary = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        temporary.write_text(text + "\n")
        temporary.replace(place)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UserError(
            f"cannot be written: {error.strerror}", where=str(place), do="free the disk or mend the permissions"
        ) from None


def read(file: Path) -> dict[str, Any]:
    """What an import takes over of the description beside `file`; nothing where there is none of ours.

    Raises InputError where it is of another file: then it says nothing of this one.
    """
    try:
        told = json.loads(beside(file).read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        return {}
    if told.get("sha256") != hashlib.sha256(file.read_bytes()).hexdigest():
        raise InputError(
            "is not the file that the description beside it was written for", where=str(file), do=f"remove {beside(file)}"
        )
    plain = {key: told[key] for key in KNOWN if isinstance(told.get(key), str | int)}
    return plain | {"normalise": _numbers(told)}


def _numbers(told: Mapping[str, Any]) -> str | None:
    """MEAN/STD as `--normalise` takes it."""
    parts = (told.get("mean"), told.get("std"))
    if not all(isinstance(part, list) and part and all(isinstance(x, int | float) for x in part) for part in parts):
        return None
    return "/".join(",".join(map(repr, part)) for part in parts if part)
