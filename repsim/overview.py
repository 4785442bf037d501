"""Owns the overview of a job's parts: what is asked of every row again and again, in one file, so that only new parts are read.

results/cache/overview/JOB.SUM.parquet     the rows of the good parts; the footer lists these as they stood when they were read

It is advice, and may be lost at any time: what is damaged, foreign or of another schema is as good as not there, and nothing is
believed of a part whose inode, size or time of change is another. It is renamed to its name when it is whole, and that
holds a sum over its footer, as Parquet has one over each page only: readers and writers never meet.
"""

import json
import os
import time
import uuid
import zlib
from collections.abc import Collection, Sequence
from contextlib import suppress
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from repsim import parts, written
from repsim.errors import UserError
from repsim.job import Job
from repsim.manifest import Entry
from repsim.schema import KEY, RENAMED

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "overview"
FORMAT = 1
LISTING = b"repsim.parts"  # key of the footer
STALE_S = 3600.0  # after an hour nobody is still writing one


class Overview(NamedTuple):
    """Rows of parts, one part after the other; `counts` says how many each has. All text but ids is coded: it repeats itself."""

    entries: tuple[Entry, ...]
    counts: tuple[int, ...]
    table: "pa.Table"

    def only(self, there: Collection[Entry]) -> "Overview":
        """The same of those parts that still stand as they stood."""
        kept = [index for index, entry in enumerate(self.entries) if entry in there]
        if len(kept) == len(self.entries):
            return self
        starts = [0, *accumulate(self.counts)]
        pieces = [self.table.slice(starts[index], self.counts[index]) for index in kept]
        return Overview(tuple(self.entries[i] for i in kept), tuple(self.counts[i] for i in kept), _joined(self.table, pieces))

    def more(self, entries: Sequence[Entry], tables: "Sequence[pa.Table]") -> "Overview":
        """With the rows of further parts behind."""
        if not tables:
            return self
        counts = (*self.counts, *map(len, tables))
        return Overview((*self.entries, *entries), counts, _joined(self.table, [self.table, _coded(_joined(tables[0], tables))]))

    def holders(self, rows: Sequence[int]) -> list[Entry]:
        """The parts in which these rows lie, each once."""
        wanted, ends = sorted(rows, reverse=True), [0, *accumulate(self.counts)]
        found = []
        for entry, (start, end) in zip(self.entries, pairwise(ends), strict=True):
            mine = False
            while wanted and start <= wanted[-1] < end:
                mine = bool(wanted.pop() + 1)
            found += [entry] if mine else []
        return found


def empty(wanted: "pa.Schema") -> Overview:
    """That of no part."""
    import pyarrow as pa

    return Overview((), (), pa.Table.from_batches([], coded(wanted)))


def coded(schema: "pa.Schema") -> "pa.Schema":
    """The types that an overview holds these columns as."""
    import pyarrow as pa

    kind = pa.dictionary(pa.int32(), pa.string())
    fields = [one.with_type(kind) if one.name != KEY and one.type == pa.string() else one for one in schema]
    return pa.schema(fields, schema.metadata)


def _coded(table: "pa.Table") -> "pa.Table":
    for index, field in enumerate(coded(table.schema)):
        if field.type != table.schema.field(index).type:
            table = table.set_column(index, field, table[index].dictionary_encode())
    return table


def load(store: Path, job: Job, wanted: "pa.Schema") -> Overview:
    """What was written down of the columns `wanted`; that of no part, unless there is a whole file that holds just these."""
    for file in files(store, job.name):
        with suppress(OSError, UserError, ValueError, TypeError, KeyError):
            if _sum(file) == file.name.split(".")[-2]:
                return _loaded(file, store, job, coded(wanted))
    return empty(wanted)


def _loaded(file: Path, store: Path, job: Job, wanted: "pa.Schema") -> Overview:
    """ValueError for what was written for other columns, or does not hold what it says."""
    listed = _listing(parts.said(file, LISTING), job, wanted)
    table = parts.read(file, job.name, wanted)
    entries = tuple(Entry(f"{store}{os.sep}{name}", *rest) for name, *rest, _ in listed)
    counts = tuple(int(row[-1]) for row in listed)
    if sum(counts) != len(table) or min(counts, default=0) < 0 or not table.schema.equals(wanted):
        raise ValueError("it does not hold what it lists")
    return Overview(entries, counts, table)


def keep(store: Path, job: Job, found: Overview) -> bool:
    """Write it down for the next command; False where that cannot be, which costs only time."""
    folder, before = folder_of(store), files(store, job.name)
    temporary = folder / f".{job.name}.{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        written.write_part(found.table.replace_schema_metadata({LISTING: _said(store, job, found)}), temporary)
        final = folder / f"{job.name}.{_sum(temporary)}.parquet"
        temporary.replace(final)
    except OSError:
        return False
    finally:
        written.discard(temporary)
    for file in before:
        if file != final:
            written.discard(file)
    return True


def forget(store: Path, job: str) -> int:
    """Remove what there is of it; how many files."""
    found = files(store, job)
    for file in found:
        written.discard(file)
    return len(found)


def files(store: Path, job: str) -> list[Path]:
    """What may be the overview of `job`, the newest first: one file, and more while two commands write."""
    found = [file for file in folder_of(store).glob("*.parquet") if file.name.split(".")[:-2] == job.split(".")]
    return sorted(found, key=_changed, reverse=True)


def folder_of(store: Path) -> Path:
    """Of the overviews of all jobs."""
    return store.parent / "cache" / FOLDER


def _changed(file: Path) -> float:
    with suppress(OSError):
        return file.lstat().st_mtime
    return 0.0


def _sum(file: Path) -> str:
    return f"{zlib.crc32(parts.footer(file)):08x}"


def _said(store: Path, job: Job, found: Overview) -> bytes:
    """The parts as they stood, each with its number of rows, and for which columns they were read."""
    rows = [
        [os.path.relpath(entry.path, store), *entry[1:], count] for entry, count in zip(found.entries, found.counts, strict=True)
    ]
    return json.dumps({**_kind(job, found.table.schema), "parts": rows}).encode()


def _listing(said: bytes, job: Job, wanted: "pa.Schema") -> list[list[Any]]:
    held = json.loads(said)
    listed = held.pop("parts")
    if held != _kind(job, wanted):
        raise ValueError("of other columns")
    return listed


def _kind(job: Job, schema: "pa.Schema") -> dict[str, Any]:
    """What must be equal for an overview to be read."""
    columns = [[field.name, str(field.type)] for field in schema]
    return {"format": FORMAT, "job": job.name, "columns": columns, "renamed": dict(RENAMED.get(job.name, {}))}


def _joined(like: "pa.Table", tables: "Sequence[pa.Table]") -> "pa.Table":
    """One table of one chunk per column: looking rows up in thousands of chunks is slow."""
    import pyarrow as pa

    return pa.concat_tables([like.slice(0, 0), *tables], promote_options="default").combine_chunks()


def _sweep(folder: Path) -> None:
    """Remove what killed writers left half written."""
    for file in folder.glob(".*"):
        with suppress(FileNotFoundError):
            if time.time() - file.lstat().st_mtime > STALE_S:
                file.unlink()
