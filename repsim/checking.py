"""Owns looking through the whole store: each part read to its last page, and what was found wrong."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from repsim import manifest, parts, quarantine
from repsim import store as store_of_results
from repsim.errors import InputError
from repsim.job import Job, JobConfig, RunId
from repsim.parts import BadPart
from repsim.schema import KEY, schema_of
from repsim.submission import Submission
from repsim.vectors import Wanted

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Found:
    """What is in the store: parts and rows that can be read, and what cannot."""

    parts: int
    rows: int
    bad: tuple[BadPart, ...]
    odd: tuple[InputError, ...]
    """Parts with a row of another configuration than its run was planned with."""


def check(store: Path, jobs: Mapping[str, Job], known: Sequence[Submission] = ()) -> Found:
    """Read every column of every part, and compare it with what was planned; of a job whose file is gone, only the ids."""
    planned = _planned(jobs, known)
    count, rows, bad, odd = 0, 0, [], []
    for name in manifest.jobs(store):
        for entry in manifest.listed(store, name):
            try:
                table = parts.read(Path(entry.path), name, _schema(jobs.get(name)))
                count, rows = count + 1, rows + len(table)
                _must_agree(Path(entry.path), table, jobs.get(name), planned.get(name, {}))
            except FileNotFoundError:
                continue  # merged meanwhile: the part that holds its rows now is listed, or will be the next time
            except BadPart as found:
                bad.append(found)
            except InputError as found:
                odd.append(found)
    return Found(count, rows, tuple(bad), tuple(odd))


def _must_agree(path: Path, table: "pa.Table", job: Job | None, configs: Mapping[RunId, JobConfig]) -> None:
    if job and configs:
        store_of_results.must_agree(table.take(Wanted(configs).rows(table[KEY])), job, configs, path)


def _planned(jobs: Mapping[str, Job], known: Sequence[Submission]) -> dict[str, dict[RunId, JobConfig]]:
    """By job, the configuration of each run that was ever sent; those that the job of today does not know say nothing."""
    found: dict[str, dict[RunId, JobConfig]] = {name: {} for name in jobs}
    for group in _groups(known):
        for run in group["runs"] if group["job"] in jobs else ():
            with suppress(ValidationError):
                found[group["job"]][run["id"]] = jobs[group["job"]].config.model_validate(run["config"])
    return found


def _groups(known: Sequence[Submission]) -> Iterator[dict[str, Any]]:
    """Those of every plan that can be read; what is wrong with another, `sweep status` tells."""
    for one in known:
        with suppress(InputError):
            yield from (group for task in one.plan["tasks"] for group in task)


def mend(store: Path, bad: tuple[BadPart, ...]) -> dict[Path, Path]:
    """Move bad parts to the quarantine; old place → new one."""
    return {one.path: place for one in bad if (place := quarantine.set_aside(one, store))}


def _schema(job: Job | None) -> "pa.Schema":
    import pyarrow as pa

    return schema_of(job) if job else pa.schema([(KEY, pa.string())])
