"""Owns how the forecasts of a sweep turned out: what its stored groups should have taken by their plans, and what they took."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from repsim import columns, forecast, store
from repsim.forecast import Done
from repsim.job import Job, RunId
from repsim.submission import Submission

Taken = tuple[str, str, int, float]
"""Submission, group, rows, and the seconds that these took together."""


def done(store_folder: Path, jobs: Mapping[str, Job], ids: set[RunId], known: Sequence[Submission]) -> list[Done]:
    """The groups that hold stored runs among `ids`; those of a submission that is gone were forecast by nobody any more."""
    plans = {one.name: one for one in known}
    found: list[Done] = []
    for job in jobs.values():
        groups: dict[str, dict[str, Any]] = {}
        for name, group, rows, seconds in _taken(store_folder, job, ids):
            if name not in groups:
                groups[name] = _groups(plans[name]) if name in plans else {}
            if said := groups[name].get(group):
                found.append(_done(said, rows, seconds))
    return found


def total(store_folder: Path, jobs: Mapping[str, Job], ids: set[RunId], known: Sequence[Submission]) -> tuple[float, float] | None:
    """Hours (of the GPUs that tasks hold) that stored runs among `ids` should have taken, and took; None if nobody forecast any."""
    plans, expected, took = {one.name: one for one in known}, 0.0, 0.0
    groups: dict[str, dict[str, dict[str, Any]]] = {}
    for name, group, rows, seconds in (each for job in jobs.values() for each in _taken(store_folder, job, ids)):
        if name in plans and name not in groups:
            groups[name] = {one["id"]: one for task in plans[name].outline for one in task}
        if said := groups.get(name, {}).get(group):
            expected += rows / len(said["runs"]) * said["seconds"] * plans[name].gpus
            took += seconds * plans[name].gpus
    return (expected / 3600, took / 3600) if expected else None


def _taken(store_folder: Path, job: Job, ids: set[RunId]) -> Iterable[Taken]:
    table = store.some(store_folder, job, ["submission", "group", "run_seconds"], ids)
    if not len(table):
        return []
    both, names = columns.together(columns.codes(table["submission"]), columns.codes(table["group"]))
    seconds = columns.sums(both, columns.numbers(table["run_seconds"]), len(names))
    rows = np.bincount(both, minlength=len(names)).tolist()
    return [(*name, count, each) for name, count, each in zip(names, rows, seconds, strict=True)]


def _groups(one: Submission) -> dict[str, dict[str, Any]]:
    return {group["id"]: group for task in one.plan["tasks"] for group in task}


def _done(group: Mapping[str, Any], rows: int, seconds: float) -> Done:
    """Where only some runs of a group were left to do, or are asked for, its forecast counts for their share."""
    share, kind = rows / len(group["runs"]), forecast.words(group["runs"][0]["config"])
    worst = group.get("worst", group["seconds"])  # plans of earlier versions do not say
    return Done(group["job"], kind, group.get("source", "unknown"), rows, share * group["seconds"], share * worst, seconds)
