"""Owns the tidy file of a sweep: one Parquet file with a line per run, that says of itself what its columns mean and what is in it.

Its schema carries of each column description, unit and source; its footer, as JSON, the facts of the sweep (`repsim.sweep`) and
the whole dictionary (`repsim.dictionary`). Equal rows become equal bytes: `made` is when the newest of them was started, not now.
"""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import repsim
from repsim import dictionary, frames, store, tabulating, vectors
from repsim.dictionary import CASE, Entry
from repsim.errors import InputError, UserError, nearest
from repsim.job import Job
from repsim.project import Project
from repsim.schema import KEY, SCHEMA_VERSION, schema_of
from repsim.sweep.expand import Sweep
from repsim.sweep.run import Run, labels, values

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = "repsim tidy 1"
FACTS, DICTIONARY = b"repsim.sweep", b"repsim.dictionary"
MISSING = "missing"
MAX_FOOTER = 64 << 20
NAME, ANEW = "name a sweep, or a file of: repsim results aggregate", "make it anew: repsim results aggregate SPEC"


@dataclass(frozen=True)
class Tidy:
    """A line per run, in the order of the sweep; what the columns mean; and the facts of the sweep."""

    table: "pa.Table" = field(repr=False)
    entries: tuple[Entry, ...] = field(repr=False)
    facts: dict[str, Any]

    def of_source(self, *sources: str) -> list[str]:
        """The columns of these sources that the table has, in its order."""
        there = set(self.table.column_names)
        return [entry.column for entry in self.entries if entry.source in sources and entry.column in there]


def made(project: Project, sweep: Sweep, missing: bool = False) -> Tidy:
    """The finished runs of a sweep; with `missing` also a line for each run that is not, with what was asked and nothing measured.

    Raises: InputError where a row holds another configuration than its run.
    """
    job = sweep.jobs[sweep.spec.job]
    found = frames.held(project, sweep)
    entries = dictionary.of(job)
    table = _whole(found, sweep, job) if missing else found
    cases = dict(zip((run.id for run in sweep.runs), labels(sweep.runs, CASE.column), strict=True))
    table = store.with_column(table, CASE.column, cases)
    return Tidy(_noted(table, entries), entries, _facts(sweep, job, found, len(table)))


def write(tidy: Tidy, path: Path) -> None:
    """The tidy file at `path`, replaced as a whole."""
    said = {FACTS: _json(tidy.facts), DICTIONARY: _json(dictionary.plain(tidy.entries))}
    store.write_table(tidy.table.replace_schema_metadata(said), path)


def read(path: Path, names: Collection[str] | None = None) -> Tidy:
    """What `write` wrote, or only these of its columns; text is a dictionary in memory, as it is in the file: a million rows repeat
    few words.

    Raises: InputError for a file that is damaged, no Parquet file, or not made by `results aggregate`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    limits: Any = {"thrift_string_size_limit": MAX_FOOTER, "page_checksum_verification": True}
    try:
        with pq.ParquetFile(path, **limits) as file:
            facts, entries = _told(file.metadata.metadata or {}, path)
            there = [one for one in file.schema_arrow if names is None or one.name in names]
            words = [one.name for one in there if pa.types.is_string(one.type) and one.name != KEY]
            known = KEY in file.schema_arrow.names
        with pq.ParquetFile(path, read_dictionary=words, **limits) as file:
            table = file.read([one.name for one in there]).unify_dictionaries()
            table.validate(full=True)
    except FileNotFoundError:
        raise InputError("there is no such file", where=str(path), do=NAME) from None
    except (pa.ArrowException, OSError, ValueError) as error:
        what = f"cannot be read as Parquet: {(str(error).splitlines() or ['no message'])[0]:.160}"
        raise InputError(what, where=str(path), do=ANEW) from None
    if not known:
        raise InputError(f"it has no column {KEY}", where=str(path), do=ANEW)
    return Tidy(table, entries, facts)


def described(path: Path) -> Tidy:
    """Facts and columns of a file, without its lines."""
    return read(path, [])


def only(tidy: Tidy, names: Sequence[str]) -> "pa.Table":
    """The table, or only these columns of it, in the order named. Raises: UserError for one that is not there."""
    for name in names:
        if name not in tidy.table.column_names:
            raise UserError(f"there is no column '{name}'", where="--columns", do=nearest(name, tidy.table.column_names))
    return tidy.table.select(list(dict.fromkeys(names))) if names else tidy.table


def _told(said: dict[bytes, bytes], path: Path) -> tuple[dict[str, Any], tuple[Entry, ...]]:
    """The facts and the dictionary of a footer."""
    if FACTS not in said or DICTIONARY not in said:
        raise InputError("this Parquet file is not of `results aggregate`: its footer names no sweep", where=str(path), do=NAME)
    try:
        facts, entries = json.loads(said[FACTS]), dictionary.read(json.loads(said[DICTIONARY]))
        known = facts["format"] == FORMAT
    except (ValueError, TypeError, KeyError, AttributeError):
        raise InputError("what its footer says of the sweep cannot be read", where=str(path), do=ANEW) from None
    if not known:
        what = f"its format is '{facts['format']!s:.40}', not '{FORMAT}'"
        raise InputError(what, where=str(path), do="read it with the repsim that wrote it")
    return facts, entries


def _whole(found: "pa.Table", sweep: Sweep, job: Job) -> "pa.Table":
    """The rows found and a line for each run without one, in the order of the sweep."""
    import pyarrow as pa

    there = set(found[KEY].to_pylist())
    absent = [run for run in sweep.runs if run.id not in there]
    whole = pa.concat_tables([found, _absent(absent, job)]).combine_chunks()
    return whole.take(vectors.order(whole[KEY], [run.id for run in sweep.runs]))


def _absent(runs: Sequence[Run], job: Job) -> "pa.Table":
    """What is known of runs that are not finished: id, configuration; null for all that is measured."""
    import pyarrow as pa

    known: dict[str, Any] = {KEY: [run.id for run in runs], "outcome": [MISSING] * len(runs)}
    for name in job.config.model_fields:
        if name not in job.row.model_fields:
            known[name] = list(values(runs, name))
    schema = schema_of(job)
    return pa.Table.from_arrays([pa.array(known.get(one.name, [None] * len(runs)), one.type) for one in schema], schema=schema)


def _noted(table: "pa.Table", entries: Sequence[Entry]) -> "pa.Table":
    """The table with what the dictionary says of each column in its schema."""
    import pyarrow as pa

    notes = {
        one.column: {"description": one.meaning, "unit": one.unit, "source": one.source, "reference": one.reference}
        for one in entries
    }
    noted = [column.with_metadata(notes[column.name]) for column in table.schema]
    return table.cast(pa.schema(noted))


def _facts(sweep: Sweep, job: Job, found: "pa.Table", rows: int) -> dict[str, Any]:
    """What a reader must know of the sweep, the same each time for the same rows."""
    outcomes, started = found["outcome"].to_pylist(), found["started"].to_pylist()
    return {
        "format": FORMAT,
        "sweep": sweep.name,
        "spec_sha256": hashlib.sha256(sweep.path.read_bytes()).hexdigest(),
        "job": job.name,
        "job_version": job.version,
        "runs_expected": len(sweep.runs),
        "runs_finished": len(found),
        "runs_diverged": outcomes.count("diverged"),
        "rows": rows,
        "made": max(filter(None, started), default=None),
        "repsim": repsim.__version__,
        "schema_version": SCHEMA_VERSION,
        "table": _table(sweep),
    }


def _table(sweep: Sweep) -> dict[str, Any]:
    """What the table of the sweep shows; nothing where its runs are not about networks, so that it has none."""
    try:
        definition = tabulating.definition(sweep, {})
    except UserError:
        return {}
    return {"rows": definition.rows, "cols": definition.cols, "value": definition.value, "points": definition.in_points}


def _json(data: Any) -> bytes:
    return json.dumps(data, ensure_ascii=False, sort_keys=True).encode()
