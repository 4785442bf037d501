"""Owns the columns of the store: the schema of a job's rows, and which earlier forms of a column are still read.

A part is read under the schema of today. A column that it lacks is null. A type is widened where no value can be lost: integers
to int64 and to float64, float32 to float64, a column of nulls to anything. A column that was renamed is looked up in RENAMED.
Columns that are not known here (of a newer version, or since removed) are passed over. Anything else is an error.
"""

import types
import typing
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from repsim.errors import UserError
from repsim.job import Job

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA_VERSION = 1
KEY = "run_id"
RENAMED: Mapping[str, Mapping[str, str]] = {}
"""By job: a column today → its name in earlier parts. An entry stays for ever, as parts do."""


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


def numbers(job: Job) -> list[str]:
    """The declared columns of `job` that hold one number each."""
    from pyarrow import types as kinds

    return [field.name for field in schema_of(job) if kinds.is_integer(field.type) or kinds.is_floating(field.type)]


def source(job: str, name: str, there: Collection[str]) -> str | None:
    """The column of a part with the columns `there` that holds today's `name`; None where it has none."""
    earlier = RENAMED.get(job, {}).get(name)
    return next((one for one in (name, earlier) if one in there), None)


def widens(old: "pa.DataType", new: "pa.DataType") -> bool:
    """Whether a column of type `old` can be read as `new` without losing anything but digits beyond float64."""
    from pyarrow import types as kinds

    if kinds.is_dictionary(new):
        return widens(old.value_type if kinds.is_dictionary(old) else old, new.value_type)
    if old.equals(new) or kinds.is_null(old):
        return True
    if kinds.is_list(new):
        return (kinds.is_list(old) or kinds.is_large_list(old)) and widens(old.value_type, new.value_type)
    if kinds.is_int64(new):
        return kinds.is_integer(old)
    if kinds.is_float64(new):
        return kinds.is_integer(old) or kinds.is_floating(old)
    return kinds.is_string(new) and kinds.is_large_string(old)


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
