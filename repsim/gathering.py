"""Owns reading all parts of a job together: the columns asked for, bad parts passed over and told of."""

import json
import warnings
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from repsim import manifest, overview, parts
from repsim.errors import DiskError, PassedOver
from repsim.job import Job, RunId
from repsim.manifest import Entry
from repsim.overview import Overview
from repsim.parts import BadPart
from repsim.schema import KEY, schema_of
from repsim.vectors import Wanted, positions

if TYPE_CHECKING:
    import pyarrow as pa

    Found = tuple[pa.Table, tuple[BadPart, ...]]

T = TypeVar("T")

READERS = 8  # parts read at once: on a network file system each takes milliseconds to open
LOOKS = 5  # listings, before a part that is listed and yet not there is an error
TOLD = 5  # bad parts that are named; the rest are counted
OFTEN = (
    *(KEY, "outcome", "submission", "group", "device", "gpu", "work", "run_seconds"),
    *("arch", "front_arch", "end_arch", "width", "depth", "dataset"),
)
"""Columns that one command asks for again and again: they are read together, once, and are those of the overview."""
FEW = 100  # parts that came or went, for which the overview is not written anew
FEW_ROWS = 100_000  # and rows that came: compaction leaves a few parts of very many rows


class Often(NamedTuple):
    """The columns of OFTEN of every row, the bad parts, how many parts came or went since the overview was written, and of how many
    rows those that came are."""

    rows: Overview
    bad: tuple[BadPart, ...]
    changes: int
    rows_read: int


def gathered(store: Path, job: Job, names: Sequence[str], ids: Collection[RunId] | None) -> "pa.Table":
    """These columns of all rows, or of the rows of `ids`, duplicates among them; bad parts are told of and passed over."""
    wanted = None if ids is None else _wanted(frozenset(ids))
    if set(names) <= set(OFTEN):
        (_, _, table), bad, *_ = often(store, job)
        table = table.select(names)
        table = parts.narrow(table if wanted is None else table.take(wanted.rows(table[KEY])))
    else:
        table, bad = _steady(store, job, lambda entries: _read_all(entries, job.name, _only(job, names), wanted))
    _tell(bad)
    return table


def ids_in(files: Iterable[Path], job: Job) -> set[RunId]:
    """Ids of the runs in these parts, whatever became of some of them."""
    found: set[RunId] = set()
    for file in files:
        with suppress(BadPart, FileNotFoundError):
            found.update(parts.read(file, job.name, _only(job, [KEY]))[KEY].to_pylist())
    return found


def often(store: Path, job: Job) -> Often:
    """The narrow columns of every row: those of known parts from the overview, the rest from the parts."""
    return _steady(store, job, lambda entries: _kept(entries, store, job))


def remember(store: Path, job: Job, few: int = FEW, few_rows: int = FEW_ROWS) -> bool:
    """Write the overview anew where more than `few` parts came or went since, or many rows came; whether that was done."""
    found = often(store, job)
    return (found.changes > few or found.rows_read > few_rows) and overview.keep(store, job, found.rows)


def anew(store: Path, job: Job) -> tuple[Often, bool]:
    """As `often`, of every part itself; and whether the overview could be written, where there is anything to be in one."""
    overview.forget(store, job.name)
    _kept.cache_clear()
    found = often(store, job)
    return found, bool(found.rows.entries) and overview.keep(store, job, found.rows)


@lru_cache(maxsize=4)
def _wanted(ids: frozenset[RunId]) -> Wanted:
    """A command asks for the same runs again and again."""
    return Wanted(ids)


def _steady(store: Path, job: Job, read_all: Callable[[tuple[Entry, ...]], T]) -> T:
    """What `read_all` gives for the parts; listed again where one was merged away between listing and reading."""
    gone = ""
    for _ in range(LOOKS):
        try:
            return read_all(manifest.listed(store, job.name))
        except FileNotFoundError as error:
            gone = str(error.filename)
    raise DiskError("the part is listed, and yet it is not there", where=gone, do="try again in a minute")


@lru_cache(maxsize=4)
def _kept(entries: tuple[Entry, ...], store: Path, job: Job) -> Often:
    """Parts never change: as long as the listing is the same, so are their rows."""
    wanted = _only(job, [name for name in OFTEN if name in schema_of(job).names])
    held = overview.load(store, job, wanted)
    known = held.only(frozenset(entries))
    new = sorted(set(entries).difference(known.entries))
    tables = _each(new, job.name, wanted, None)
    good = [(entry, one) for entry, one in zip(new, tables, strict=True) if not isinstance(one, BadPart)]
    bad = tuple(one for one in tables if isinstance(one, BadPart))
    whole = known.more([entry for entry, _ in good], [one for _, one in good])
    changes = len(held.entries) - len(known.entries) + len(good)
    return Often(whole, bad, changes, sum(len(one) for _, one in good))


def _read_all(entries: Sequence[Entry], job: str, wanted: "pa.Schema", ids: Wanted | None) -> "Found":
    import pyarrow as pa

    found = _each(entries, job, wanted, ids)
    tables = [one for one in found if not isinstance(one, BadPart)]
    table = pa.concat_tables([pa.Table.from_batches([], wanted), *tables], promote_options="default")
    return table, tuple(one for one in found if isinstance(one, BadPart))


def _each(entries: Sequence[Entry], job: str, wanted: "pa.Schema", ids: Wanted | None) -> "list[pa.Table | BadPart]":
    """One file at a time: `pyarrow.dataset` would import pandas, which takes a second."""
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(lambda entry: _one(Path(entry.path), job, wanted, ids), entries))


def _one(path: Path, job: str, wanted: "pa.Schema", ids: Wanted | None) -> "pa.Table | BadPart":
    try:
        return parts.read(path, job, wanted, ids)
    except BadPart as bad:
        return bad


def _tell(bad: Sequence[BadPart]) -> None:
    """Say once which files are passed over."""
    if bad:
        named = [f"{one.where}: {one.what}" for one in bad[:TOLD]] + [f"and {len(bad) - TOLD:,} more"] * (len(bad) > TOLD)
        count = f"{len(bad):,} files in the store are" if len(bad) > 1 else "a file in the store is"
        lines = [f"{count} no part that can be read, and passed over:", *named]
        warnings.warn(
            "\n  ".join([*lines, f"→ {parts.ADVICE}"]), PassedOver, stacklevel=1
        )  # one place, so that Python says it once


def _only(job: Job, names: Sequence[str]) -> "pa.Schema":
    import pyarrow as pa

    return pa.schema([schema_of(job).field(name) for name in names])


def newest(store: Path, job: Job, runs: Sequence[RunId]) -> "pa.Table":
    """The whole row that counts of each of `runs`."""
    wanted = Wanted(runs)

    def read_all(entries: tuple[Entry, ...]) -> "Found":
        narrow = _kept(entries, store, job).rows
        return _read_all(narrow.holders(wanted.rows(narrow.table[KEY]).to_pylist()), job.name, schema_of(job), wanted)

    return newest_of(_steady(store, job, read_all)[0])


def holding(store: Path, job: Job, runs: Collection[RunId]) -> "list[tuple[Path, pa.Table]]":
    """The whole rows of `runs` by the parts in which they lie; no other part is read."""
    wanted = Wanted(runs)

    def read_all(entries: tuple[Entry, ...]) -> "list[tuple[Path, pa.Table]]":
        narrow = _kept(entries, store, job).rows
        held = narrow.holders(wanted.rows(narrow.table[KEY]).to_pylist())
        found = zip(held, _each(held, job.name, schema_of(job), wanted), strict=True)
        return [(Path(entry.path), one) for entry, one in found if not isinstance(one, BadPart)]

    return _steady(store, job, read_all)


def newest_of(table: "pa.Table") -> "pa.Table":
    """Of whole rows the one of each run that counts; which part it lay in does not matter."""
    best: dict[RunId, tuple[tuple[str, int, str], int]] = {}
    for index, row in enumerate(table.to_pylist()):
        rank = (row["started"] or "", row["attempt"] or 0, json.dumps(row, sort_keys=True))
        best[row[KEY]] = max(best.get(row[KEY], (rank, index)), (rank, index))
    return table.take(positions([index for _, index in best.values()]))
