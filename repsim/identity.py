"""Owns what a run is called: the canonical form of its configuration, and the id hashed from it.

Left out of the form: fields at their default (so that a new field with a default changes no id), and the
labels of the job (so that renaming a case changes no id). Device, partition, folders and logs are no part
of a configuration at all. Inputs enter by their own run id.
"""

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from typing import Any

from repsim.job import Job, JobConfig, RunId

DIGITS = 12


def canonical(config: JobConfig) -> dict[str, Any]:
    """The fields of `config` that decide its result and differ from their default."""
    return config.model_dump(mode="json", exclude=set(config.labels), exclude_defaults=True)


def run_id(job: str, version: int, config: JobConfig) -> RunId:
    """SHA-256 of the sorted compact JSON of (job, version, canonical config), first 12 hex digits."""
    return digest({"job": job, "version": version, "config": canonical(config)})


def id_of(job: Job, config: JobConfig) -> RunId:
    """`run_id` for a loaded job."""
    return run_id(job.name, job.version, config)


def group_id(job: str, runs: Iterable[RunId]) -> str:
    """Id of a group of runs: whoever computes the same runs together writes a part of the same name."""
    return digest({"job": job, "group": sorted(runs)})


def digest(value: Any) -> str:
    """The first 12 hex digits of the SHA-256 of `value` as sorted compact JSON."""
    return hashlib.sha256(_json(value).encode()).hexdigest()[:DIGITS]


@cache
def _encoder() -> json.JSONEncoder:
    return json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _json(value: Any) -> str:
    return _encoder().encode(value)
