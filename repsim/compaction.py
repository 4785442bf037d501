"""Owns turning many parts into few, beside whoever writes and reads.

read parts → one table, the newest row of each run, sorted → dot-named file, synced, read back → linked → manifest swapped →
merged parts deleted

At every moment each row stands in a part: killed anywhere, a merge leaves at worst rows that stand twice, which readers drop and
the next merge removes. What is bad, or has columns that are not known here (those of a newer version), is left as it is.
"""

import os
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from repsim import gathering, manifest, parts, vectors, written
from repsim.errors import unwritten
from repsim.job import Job
from repsim.manifest import Entry
from repsim.parts import BadPart
from repsim.schema import KEY, schema_of

if TYPE_CHECKING:
    import pyarrow as pa

MOST_ROWS = 200_000  # of parts that are merged at once: what one merge holds in memory
MOST_BYTES = 32 << 20  # a part of this size is large enough to stay
STALE_S = 86_400.0  # after a day nobody is still writing a dot-named file


@dataclass(frozen=True)
class Merge:
    """Some parts that became one."""

    part: Path
    parts: int
    rows: int


def compact(store: Path, job: Job) -> Iterator[Merge]:
    """Merge the parts of `job`, data set by data set. Raises DiskError or UserError where nothing can be written."""
    for folder in manifest.folders(store, job.name):
        try:
            _sweep(folder)
            for some in _batches(manifest.in_folder(folder), job):
                yield _merge(folder, job, some)
        except OSError as error:
            raise unwritten(error, folder, "the parts cannot be merged") from error


def _batches(entries: Sequence[Entry], job: Job) -> Iterator[list[tuple[Entry, "pa.Table"]]]:
    """Parts to be merged into one, with their rows: two at least."""
    some: list[tuple[Entry, pa.Table]] = []
    for entry in sorted(entries):
        if entry.size < MOST_BYTES and (table := _whole(entry, job)) is not None:
            some.append((entry, table))
        if sum(len(table) for _, table in some) >= MOST_ROWS:
            yield some
            some = []
    if len(some) > 1:
        yield some


def _whole(entry: Entry, job: Job) -> "pa.Table | None":
    """All rows of a part; None for one that is to be left alone."""
    path = Path(entry.path)
    with suppress(FileNotFoundError, BadPart):
        table = parts.read(path, job.name, schema_of(job))
        return None if parts.has_more(path, job.name, schema_of(job)) else table
    return None


def _merge(folder: Path, job: Job, some: "list[tuple[Entry, pa.Table]]") -> Merge:
    table = _together([table for _, table in some], schema_of(job))
    name = f"{manifest.MERGED}{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{uuid.uuid4().hex[:8]}.parquet"
    temporary = folder / f".{name}"
    try:
        written.write_part(table, temporary)
        _must_hold(temporary, job, table)
        os.link(temporary, folder / name)
    finally:
        written.discard(temporary)
    written.sync_folder(folder)
    old = [entry for entry, _ in some]
    manifest.swap(folder, [name], [Path(entry.path).name for entry in old])
    for entry in old:
        _remove(entry)
    return Merge(folder / name, len(old), len(table))


def _together(tables: "list[pa.Table]", schema: "pa.Schema") -> "pa.Table":
    """The rows of all, one per run, sorted by it."""
    import pyarrow as pa

    table = pa.concat_tables([pa.Table.from_batches([], schema), *tables], promote_options="default")
    if doubled := vectors.twice(table[KEY]):
        newest = gathering.newest_of(table.take(vectors.Wanted(doubled).rows(table[KEY])))
        table = pa.concat_tables([vectors.without(table, KEY, doubled), newest])
    order = vectors.order(table[KEY], None)
    return (table if order is None else table.take(order)).combine_chunks()


def _must_hold(path: Path, job: Job, table: "pa.Table") -> None:
    """Raise OSError unless the file can be read back, every page as its sum says: only then may others be deleted for it."""
    if not parts.read(path, job.name, schema_of(job))[KEY].equals(table[KEY]):
        raise OSError(None, "what was written reads back otherwise", str(path))


def _remove(entry: Entry) -> None:
    """Delete a merged part, if it still is the one that was read."""
    with suppress(FileNotFoundError):
        if manifest.entry(Path(entry.path)) == entry:
            Path(entry.path).unlink()


def _sweep(folder: Path) -> None:
    """Remove what killed writers left half written."""
    for file in folder.glob(".*"):
        with suppress(FileNotFoundError):
            if file.name != manifest.NAME and file.is_file() and time.time() - file.lstat().st_mtime > STALE_S:
                file.unlink()
