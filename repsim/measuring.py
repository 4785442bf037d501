"""Owns the rows of a group: the job is let run, where its rows come from is added to them, and they are published as one part."""

import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import repsim
from repsim import hardware, identity, store
from repsim.errors import UserError
from repsim.job import NAME, Context, Job, JobConfig


@dataclass(frozen=True)
class Origin:
    """Where the rows of a task come from, whatever the group."""

    submission: str
    attempt: int
    device: str
    code: dict[str, str | None]

    def of(self, group: str, job: Job, started: datetime, seconds: float) -> dict[str, Any]:
        """The provenance columns that all rows of a group share; `seconds` is the share of each run."""
        return {
            "job": job.name,
            "job_version": job.version,
            "group": group,
            "submission": self.submission,
            "attempt": self.attempt,
            "run_seconds": seconds,
            "started": started.isoformat(timespec="seconds"),
            **self.code,
            "slurm_job": slurm_element(),
            "repsim": repsim.__version__,
            "schema_version": store.SCHEMA_VERSION,
            **hardware.observed(self.device),
        }


def measured(job: Job, group: str, todo: Sequence[dict[str, Any]], context: Context, origin: Origin) -> list[dict[str, Any]]:
    """The rows of the runs `todo` of a plan, complete and ready to be published; RuntimeError if a job gives others."""
    configs = {run["id"]: _config(job, run) for run in todo}
    works = {run["id"]: run["work"] for run in todo}
    started, clock = datetime.now(UTC), time.monotonic()
    rows = {row.run_id: row for row in job.run(list(configs.values()), context)}
    if rows.keys() != configs.keys():
        raise RuntimeError(f"the job gave rows for {sorted(rows)}, not for {sorted(configs)}")
    shared = origin.of(group, job, started, (time.monotonic() - clock) / len(rows))
    return [{**configs[run].model_dump(), **row.model_dump(), **shared, "work": works[run]} for run, row in rows.items()]


def publish(folder: Path, job: Job, dataset: str, group: str, rows: list[dict[str, Any]]) -> bool:
    """Store the rows as the part of `group`; False if another copy of this task was first."""
    return store.publish(folder, job.name, _checked(dataset), group, rows, store.schema_of(job))


def slurm_element() -> str | None:
    """This task as Slurm names it: 18_3 in an array, 18 as a plain job; None outside Slurm."""
    array, index = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{index}" if array and index else os.environ.get("SLURM_JOB_ID")


def _config(job: Job, run: dict[str, Any]) -> JobConfig:
    """The configuration of a run, which must still have the id under which it was planned."""
    config = job.config.model_validate(run["config"])
    if identity.id_of(job, config) != run["id"]:
        raise RuntimeError(f"run {run['id']} now has the id {identity.id_of(job, config)}: plan and code disagree")
    return config


def _checked(name: str) -> str:
    if not re.fullmatch(NAME, name):
        raise UserError(f"the data set name {name!r} may hold only letters, digits and . _ -")
    return name
