"""Owns the results: rows ↔ Parquet parts under results/store; the only place that writes a result.

A part is results/store/job=JOB/dataset=DATASET/GROUP.parquet, written once: to a dot-named temporary file,
synced, then linked to its name without replacing. Two live copies of a task may write the same group; the
first wins and the second sees the part. Readers skip names that begin with a dot.
"""

import os
import types
import typing
import uuid
from array import array
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from repsim.errors import InputError, UserError, unwritten
from repsim.job import NETWORK, Job, RunId

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA_VERSION = 1
KEY = "run_id"
READERS = 8  # parts read at once: on a network file system each takes milliseconds to open


class Provenance(BaseModel):
    """Where a row comes from; the worker adds these columns to what the job measured."""

    job: str = Field(description="job file that made the row")
    job_version: int = Field(description="VERSION of that file")
    group: str = Field(description="id of the group of runs that shared forward passes")
    submission: str = Field(description="submission that computed it (which sweep asked first)")
    attempt: int = Field(description="restarts of the Slurm task before this one")
    work: float = Field(
        description="size of the run in the unit of its job: images passed through a network, else expected seconds"
    )
    run_seconds: float = Field(description="the run's equal share of its group's wall-clock seconds")
    started: str = Field(description="start of the group, ISO 8601, UTC")
    commit: str | None = Field(None, description="git commit of the project")
    dirty: str | None = Field(None, description="hash of uncommitted changes, none if clean")
    code: str | None = Field(None, description="hash of the frozen code that ran")
    slurm_job: str | None = Field(None, description="array job and task, as in 18_3")
    host: str = Field(description="name of the node")
    device: str = Field(description="cpu, cuda or mps")
    gpu: str | None = Field(None, description="name of the card")
    torch: str | None = Field(None, description="version of torch")
    cuda: str | None = Field(None, description="version of CUDA torch was built for")
    peak_memory_gb: float = Field(description="peak memory of the process: allocated on the GPU, else resident")
    repsim: str = Field(description="version of repsim")
    schema_version: int = Field(SCHEMA_VERSION, description="version of this schema")


def publish(store: Path, job: str, dataset: str, group: str, rows: Sequence[dict[str, Any]], schema: "pa.Schema") -> bool:
    """Write the part of `group`; False if it was there already (another copy of the task was first)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = store / f"job={job}" / f"dataset={dataset}"
    final = folder / f"{group}.parquet"
    temporary = folder / f".{group}.{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), temporary, compression="zstd")
        _sync(temporary)
        return _link(temporary, final)
    except OSError as error:
        raise unwritten(error, folder, "the results cannot be written") from error
    finally:
        _discard(temporary)


def parts(store: Path, job: str) -> list[Path]:
    """The published parts of `job`, sorted."""
    return sorted(p for p in (store / f"job={job}").glob("dataset=*/*.parquet") if not p.name.startswith("."))


def read(store: Path, job: Job, columns: Sequence[str] | None = None, ids: Iterable[RunId] | None = None) -> "pa.Table":
    """All rows of `job`, one per run id (the first published part in name order wins), or only those of `ids`."""
    schema = schema_of(job)
    names = list(columns or schema.names)
    table = _read_parts(parts(store, job.name), schema, [*dict.fromkeys([KEY, *names])])
    return _take(table, _firsts(table[KEY].to_pylist(), None if ids is None else set(ids))).select(names)


def stored_ids(store: Path, job: Job) -> set[RunId]:
    """Ids of the runs of `job` that have a row."""
    return set(read(store, job, [KEY])[KEY].to_pylist())


def ids_in(files: Iterable[Path]) -> set[RunId]:
    """Ids of the runs in these parts; one that is damaged, or was merged into another meanwhile, says nothing."""
    import pyarrow as pa

    wanted, found = pa.schema([pa.field(KEY, pa.string())]), set()
    for file in files:
        with suppress(InputError):
            found.update(_read_part(file, wanted)[KEY].to_pylist())
    return found


def lost_ids(store: Path, artefacts: Path, job: Job) -> set[RunId]:
    """Ids of the runs of `job` that have a row but whose network is gone; a diverged run left none to begin with."""
    if job.hook("network") is None:
        return set()
    rows = read(store, job, [KEY, "outcome"]).to_pylist()
    return {row[KEY] for row in rows if row["outcome"] == "ok" and not (artefacts / row[KEY] / NETWORK).is_file()}


def write_table(table: "pa.Table", path: Path) -> None:
    """One Parquet file at `path`, replaced as a whole."""
    import pyarrow.parquet as pq

    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, temporary, compression="zstd")
        _sync(temporary)
        temporary.replace(path)
    except OSError as error:
        raise unwritten(error, path, do="choose another --out") from error
    finally:
        _discard(temporary)


@lru_cache(maxsize=32)
def schema_of(job: Job) -> "pa.Schema":
    """The declared columns of `job`: Row, then Config, then provenance, each with its description.

    Where Row and Config share a name, Row wins: the Config says what was asked (`train_images` none: all of
    them), the Row what was used.
    """
    import pyarrow as pa

    declared = {**job.config.model_fields, **job.row.model_fields}
    clash = sorted(declared.keys() & Provenance.model_fields.keys())
    if clash:
        raise UserError(f"provenance owns the columns {', '.join(clash)}", where=str(job.path), do="rename them in Row or Config")
    order = {**job.row.model_fields, **declared, **Provenance.model_fields}
    return pa.schema(
        [
            pa.field(name, _arrow(field.annotation), metadata={"description": field.description or ""})
            for name, field in order.items()
        ]
    )


def _arrow(annotation: Any) -> "pa.DataType":
    """The Arrow type of a field's annotation; optional and literal types are those of their values."""
    import pyarrow as pa

    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        annotation = next(a for a in typing.get_args(annotation) if a is not type(None))
    if typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) is typing.Literal:
        annotation = type(typing.get_args(annotation)[0])
    columns = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string(), list[float]: pa.list_(pa.float64())}
    if annotation not in columns:
        do = "use bool, int, float, str or list[float]; keep anything else in an artefact"
        raise UserError(f"a column cannot hold {annotation}", do=do)
    return columns[annotation]


def _read_parts(files: list[Path], schema: "pa.Schema", names: list[str]) -> "pa.Table":
    """The columns `names` of all parts. One file at a time: `pyarrow.dataset` would import pandas, which takes a second."""
    import pyarrow as pa

    wanted = pa.schema([schema.field(name) for name in names])
    with ThreadPoolExecutor(READERS) as pool:
        tables = list(pool.map(lambda file: _read_part(file, wanted), files))
    return pa.concat_tables([pa.Table.from_batches([], wanted), *tables], promote_options="default")


def _read_part(file: Path, wanted: "pa.Schema") -> "pa.Table":
    """Those columns of `wanted` that the part has; an older part may lack some."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as part:
            there = pa.schema([field for field in wanted if field.name in part.schema_arrow.names])
            table = part.read(columns=there.names, use_threads=False)
        return table if table.schema.equals(there) else table.select(there.names).cast(there)
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"the part is damaged: {(str(error).splitlines() or ['no message'])[0]:.160}",
            where=str(file),
            do=f"move it away (mv {file.name} {file.name}.damaged); the next submit computes only its runs again",
        ) from None


def _firsts(ids: Sequence[RunId], wanted: Collection[RunId] | None) -> list[int]:
    """Where each run id comes first, of all ids or of those `wanted`."""
    seen: dict[RunId, int] = {}
    for index, run in enumerate(ids):
        if wanted is None or run in wanted:
            seen.setdefault(run, index)
    return list(seen.values())


def _take(table: "pa.Table", rows: list[int]) -> "pa.Table":
    """These rows; from a buffer, as `pa.array` of a list would import pandas."""
    import pyarrow as pa

    if len(rows) == len(table):
        return table
    return table.take(pa.Array.from_buffers(pa.int64(), len(rows), [None, pa.py_buffer(array("q", rows))]))


def _discard(temporary: Path) -> None:
    """Remove what is left of a failed write; where it cannot have been written, nothing is there."""
    with suppress(OSError):
        temporary.unlink()


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _link(temporary: Path, final: Path) -> bool:
    try:
        os.link(temporary, final)
    except FileExistsError:
        return False
    return True


def with_column(table: "pa.Table", name: str, by_id: dict[RunId, str | None]) -> "pa.Table":
    """`table` with one more text column, looked up by run id."""
    import pyarrow as pa

    return table.append_column(name, pa.array([by_id.get(run) for run in table[KEY].to_pylist()], pa.string()))
