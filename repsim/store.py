"""Owns the results: rows ↔ Parquet parts under results/store; the only place that writes a result.

A part is results/store/job=JOB/dataset=DATASET/GROUP.parquet, written once: to a dot-named temporary file,
synced, then linked to its name without replacing. Two live copies of a task may write the same group; the
first wins and the second sees the part. Readers skip names that begin with a dot, and pass over what is no part
(`repsim.parts`), saying so once.

A run may have several rows, say after its network was lost and made again. The newest counts: by start of the group, then
attempt, then the whole row as text. That depends on the rows alone, not on the parts they lie in, so merging parts changes nothing.
"""

import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repsim import gathering, manifest, quarantine, vectors, written
from repsim.errors import InputError, unwritten
from repsim.job import NETWORK, Job, JobConfig, RunId
from repsim.parts import BadPart
from repsim.schema import KEY, SCHEMA_VERSION, numbers, schema_of

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["KEY", "SCHEMA_VERSION", "numbers", "schema_of"]


def part(store: Path, job: str, dataset: str, group: str) -> Path:
    """Where the rows of `group` are published."""
    return store / f"job={job}" / f"dataset={dataset}" / f"{group}.parquet"


def publish(store: Path, job: str, dataset: str, group: str, rows: Sequence[dict[str, Any]], schema: "pa.Schema") -> bool:
    """Write the part of `group`; False if its runs were there already (another copy of the task was first).

    A bad part of that name is moved to the quarantine; a good one that holds other runs keeps it, and this one is numbered.
    """
    import pyarrow as pa

    final = part(store, job, dataset, group)
    folder, temporary = final.parent, final.with_name(f".{group}.{uuid.uuid4().hex}")
    table = pa.Table.from_pylist(list(rows), schema=schema)
    try:
        quarantine.clear_links(store, folder)
        folder.mkdir(parents=True, exist_ok=True)
        written.write_part(table, temporary)
        return written.named(temporary, written.Place(store, job, final, table))
    except OSError as error:
        raise unwritten(error, folder, "the results cannot be written") from error
    finally:
        written.discard(temporary)


def read(store: Path, job: Job, columns: Sequence[str] | None = None, ids: Iterable[RunId] | None = None) -> "pa.Table":
    """All rows of `job`, one per run id, sorted by it; or only those of `ids`, in that order."""
    names = list(columns or schema_of(job).names)
    wanted = None if ids is None else list(dict.fromkeys(ids))
    table = _counting(store, job, gathering.gathered(store, job, [*dict.fromkeys([KEY, *names])], wanted))
    order = vectors.order(table[KEY], wanted)
    return (table if order is None else table.take(order)).select(names)


def _counting(store: Path, job: Job, table: "pa.Table") -> "pa.Table":
    """Of runs with several rows only the one that counts."""
    import pyarrow as pa

    doubled = vectors.twice(table[KEY])
    if not doubled:
        return table
    newest = gathering.newest(store, job, doubled).select(table.column_names)
    return pa.concat_tables([vectors.without(table, KEY, doubled), newest])


def rows(store: Path, job: Job, columns: Sequence[str]) -> "pa.Table":
    """Columns of all rows of `job` as they lie: in no order, and a run that was computed twice is there twice."""
    return gathering.gathered(store, job, columns, None)


def some(store: Path, job: Job, columns: Sequence[str], ids: Collection[RunId]) -> "pa.Table":
    """Columns of the rows of `ids`, one per run as `read` gives them, in no order: for sums, which need none."""
    return _counting(store, job, gathering.gathered(store, job, [*dict.fromkeys([KEY, *columns])], ids)).select(columns)


def stored_ids(store: Path, job: Job, among: Collection[RunId] | None = None) -> set[RunId]:
    """Ids of the runs of `job` that have a row; with `among`, only of those, which is fast in a large store."""
    return set(gathering.gathered(store, job, [KEY], among)[KEY].to_pylist())


def parts(store: Path, job: str) -> list[Path]:
    """The parts of `job`, sorted."""
    return [Path(entry.path) for entry in manifest.listed(store, job)]


def ids_in(files: Iterable[Path], job: Job) -> set[RunId]:
    """Ids of the runs in these parts; one that is bad, or was merged into another meanwhile, says nothing."""
    return gathering.ids_in(files, job)


def lost_ids(store: Path, artefacts: Path, job: Job, among: Collection[RunId] | None = None) -> set[RunId]:
    """Ids of the runs of `job` that have a row but whose network is gone; a diverged run left none to begin with."""
    if job.hook("network") is None:
        return set()
    found = read(store, job, [KEY, "outcome"], among).to_pylist()
    return {row[KEY] for row in found if row["outcome"] == "ok" and not (artefacts / row[KEY] / NETWORK).is_file()}


def must_agree(table: "pa.Table", job: Job, configs: Mapping[RunId, JobConfig], where: Path | None = None) -> None:
    """Raise InputError where a row holds another configuration than its id was made from: a collision, or a changed default.

    Only columns that `table` has are looked at. Labels may differ, and so may a column that the Row measures; null is what an
    earlier part does not say.
    """
    asked = [configs[run] for run in table[KEY].to_pylist()]
    must_hold(table, job, lambda name: [getattr(config, name) for config in asked], where)


def must_hold(table: "pa.Table", job: Job, asked: Callable[[str], list[Any]], where: Path | None = None) -> None:
    """The same, where `asked` gives a field of the configuration of each row."""
    fields = job.config.model_fields.keys() - job.config.labels - job.row.model_fields.keys()
    for name in fields & set(table.column_names):
        wanted, held = asked(name), table[name].to_pylist()
        odd = [row for row, value in enumerate(held) if value is not None and value != wanted[row]] if held != wanted else []
        if odd:
            what = (
                f"run {table[KEY][odd[0]].as_py()} is stored with {name} = {held[odd[0]]!r}, and asked for with {wanted[odd[0]]!r}"
            )
            raise InputError(
                what,
                where=str(where or f"job {job.name}"),
                do="raise VERSION in the job file, so that such runs get ids of their own",
            )


def must_be_as_asked(store: Path, job: Job, configs: Mapping[RunId, JobConfig]) -> None:
    """As `must_agree`, for the stored rows of these runs alone: InputError names the part."""
    for path, table in gathering.holding(store, job, configs):
        must_agree(table, job, configs, path)


def bad_parts(store: Path, job: Job) -> tuple[BadPart, ...]:
    """The files among the parts of `job` that cannot be read as parts; every reader passes over them."""
    return gathering.often(store, job).bad


def remember(store: Path, jobs: Iterable[Job]) -> None:
    """Write down what was read of many parts, so that the next command reads only those that came since; see `repsim.overview`."""
    for job in jobs:
        gathering.remember(store, job)


def set_bad_aside(store: Path, jobs: Iterable[Job]) -> list[tuple[BadPart, Path]]:
    """Move the bad parts of `jobs` to results/quarantine, so that their runs can be stored anew; each with where it lies now."""
    found = [bad for job in jobs for bad in bad_parts(store, job)]
    return [(bad, place) for bad in found if (place := quarantine.set_aside(bad, store))]


def write_table(table: "pa.Table", path: Path) -> None:
    """One Parquet file at `path`, replaced as a whole. Equal tables become equal bytes."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        written.write_part(table.combine_chunks(), temporary)
        temporary.replace(path)
    except OSError as error:
        raise unwritten(error, path, do="choose another --out") from error
    finally:
        written.discard(temporary)


def write_records(records: Sequence[Mapping[str, Any]], path: Path) -> None:
    """One Parquet file of flat records with the same keys, replaced as a whole; a key that is None everywhere is a number."""
    import pyarrow as pa

    table = pa.Table.from_pylist([dict(one) for one in records])
    numbers = [field.with_type(pa.float64()) if pa.types.is_null(field.type) else field for field in table.schema]
    write_table(table.cast(pa.schema(numbers)), path)


def with_column(table: "pa.Table", name: str, by_id: dict[RunId, str | None]) -> "pa.Table":
    """`table` with one more text column, looked up by run id."""
    import pyarrow as pa

    return table.append_column(name, pa.array([by_id.get(run) for run in table[KEY].to_pylist()], pa.string()))
