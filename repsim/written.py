"""Owns how a Parquet file comes to stand under its name: whole and on the disk, or not at all.

A part is never replaced. Where its name is taken, the part there is read: if it holds the same runs, another copy of the task was
first; if it is bad, it goes to the quarantine; if it is good and holds other runs, both stay, and the later one is numbered.
"""

import errno
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repsim import parts, quarantine
from repsim.parts import BadPart
from repsim.schema import KEY

if TYPE_CHECKING:
    import pyarrow as pa

GROUP_ROWS = 50_000  # rows of a part that are unpacked together
NAMES = 5  # numbers that are tried


@dataclass(frozen=True)
class Place:
    """Where a part is to appear, and what is in it."""

    store: Path
    job: str
    path: Path
    table: "pa.Table"

    def numbered(self, number: int) -> Path:
        return self.path if number == 1 else self.path.with_suffix(f".{number}.parquet")


def named(temporary: Path, place: Place) -> bool:
    """Give the part its name, or the first number at which nothing good stands; False if it holds the same runs already."""
    for number in range(1, NAMES):
        while not _linked(temporary, place.numbered(number)):
            holds = _holds(place.numbered(number), place)
            if holds is not None:
                break
        else:
            return True
        if holds:
            return False
    raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), str(place.path))


def _linked(temporary: Path, final: Path) -> bool:
    try:
        os.link(temporary, final)
    except FileExistsError:
        return False
    return True


def _holds(path: Path, place: Place) -> bool | None:
    """Whether the part there has a row of each run; None if it had to be moved away, or is gone."""
    try:
        there = parts.read(path, place.job, place.table.schema)
    except FileNotFoundError:
        return None
    except BadPart as bad:
        return None if quarantine.set_aside(bad, place.store) or not os.path.lexists(path) else False
    return set(place.table[KEY].to_pylist()) <= set(there[KEY].to_pylist())


def write_part(table: "pa.Table", path: Path) -> None:
    """A Parquet file with a sum over each page, on the disk when this returns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    repeated: Any = [field.name for field in table.schema if field.name != KEY and not pa.types.is_list(field.type)]
    pq.write_table(table, path, compression="zstd", write_page_checksum=True, use_dictionary=repeated, row_group_size=GROUP_ROWS)
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Have the names in `folder` on the disk too; a file system that knows no such thing does it by itself."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)


def discard(temporary: Path) -> None:
    """Remove what is left of a failed write; where it cannot have been written, nothing is there."""
    with suppress(OSError):
        temporary.unlink()
