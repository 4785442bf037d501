"""Owns which parts there are: a listing that no compaction beside it can tear.

results/store/job=JOB/dataset=DATASET/*.parquet     the parts; names that begin with a dot are passed over
                                      .manifest.json  the merged parts among them; swapped by rename after each merge

A folder is not listed in one moment: while parts are merged, a listing might miss the new part (already passed) and the old ones
(already gone). As a merge swaps the manifest between adding the one and removing the others, a listing with the same manifest
before and after has seen either. The manifest holds nothing that the parts do not: lost, it is made again (`repsim sweep scan`).
"""

import json
import os
import uuid
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from repsim.errors import DiskError, unwritten
from repsim.parts import BUSY

NAME = ".manifest.json"
MERGED = "merged-"  # how the names of merged parts begin
LOOKS = 20  # nobody merges that often in the moment of a listing


class Entry(NamedTuple):
    """A part as it stands in its folder; another file of the same name differs in the rest."""

    path: str
    inode: int
    size: int
    changed_ns: int


def listed(store: Path, job: str) -> tuple[Entry, ...]:
    """The parts of `job`, sorted by path; what merely looks like one (a link, a folder) is listed too, to be judged."""
    home = store / f"job={job}"
    found: list[Entry] = []
    for folder in [home] if home.is_symlink() else sorted(home.glob("dataset=*")):
        found += [entry(folder)] if folder.is_symlink() else in_folder(folder)
    return tuple(sorted(found))


def jobs(store: Path) -> list[str]:
    """Names of the jobs that have a folder in the store."""
    return sorted(folder.name.removeprefix("job=") for folder in store.glob("job=*"))


def folders(store: Path, job: str) -> list[Path]:
    """The folders that hold the parts of `job`, one per data set; links are none."""
    home = store / f"job={job}"
    return [] if home.is_symlink() else [one for one in sorted(home.glob("dataset=*")) if one.is_dir() and not one.is_symlink()]


def swap(folder: Path, new: Iterable[str], old: Collection[str]) -> None:
    """Let the manifest name the merged parts `new` too, and those of `old` no more. OSError if it cannot be written."""
    temporary = folder / f"{NAME}.{uuid.uuid4().hex}"
    kept = [name for name in merged(folder) if name not in old and (folder / name).exists()]
    try:
        with temporary.open("w") as file:
            json.dump({"serial": uuid.uuid4().hex, "merged": sorted({*kept, *new})}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(folder / NAME)
    finally:
        with suppress(OSError):
            temporary.unlink()


def merged(folder: Path) -> list[str]:
    """Names of the merged parts that the manifest of `folder` knows."""
    try:
        names = json.loads(_text(folder))["merged"]
        return [name for name in names if isinstance(name, str)]
    except (ValueError, TypeError, KeyError):
        return []


def rebuild(folder: Path) -> bool:
    """Let the manifest name the merged parts that are there; whether it did not. UserError if it cannot be written."""
    held, there = merged(folder), sorted(file.name for file in folder.glob(f"{MERGED}*.parquet"))
    if sorted(held) == there:
        return False
    try:
        swap(folder, there, set(held) - set(there))
    except OSError as error:
        raise unwritten(error, folder / NAME) from error
    return True


def in_folder(folder: Path) -> list[Entry]:
    """The parts of `folder`, listed until no merge came between."""
    for _ in range(LOOKS):
        before, found = _text(folder), _list(folder)
        if found is not None and _text(folder) == before:
            return found
    raise DiskError("the parts cannot be listed: they change all the time", where=str(folder), do="try again in a minute")


def _list(folder: Path) -> list[Entry] | None:
    """None where a part went away meanwhile; a folder that cannot be opened is listed itself."""
    try:
        with os.scandir(folder) as entries:
            return [entry(one) for one in entries if one.name.endswith(".parquet") and not one.name.startswith(".")]
    except FileNotFoundError:
        return None if folder.exists() else []
    except OSError as error:
        if error.errno in BUSY:
            raise DiskError(
                f"cannot be listed now: {error.strerror}", where=str(folder), do="try again once the disk is back"
            ) from None
        return [entry(folder)]


def entry(one: "os.DirEntry[str] | Path") -> Entry:
    """The file as it stands now; FileNotFoundError if it does not."""
    there = one.stat(follow_symlinks=False)
    return Entry(os.fspath(one), there.st_ino, there.st_size, there.st_mtime_ns)


def _text(folder: Path) -> str:
    """The manifest as it stands; empty where there is none, or none that can be read."""
    try:
        return (folder / NAME).read_text()
    except (OSError, ValueError):
        return ""
