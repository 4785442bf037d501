"""Owns the plan file: what one submission tells its tasks, written once before anything is sent."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repsim import submission
from repsim.code import Code
from repsim.plan import Stage
from repsim.project import Project
from repsim.submission import Submission
from repsim.sweep.expand import Sweep


def record(
    project: Project,
    sweep: Sweep,
    stage: Stage,
    device: str,
    home: Path,
    frozen: Code,
    timeout_min: int,
    also: Mapping[str, Any] | None = None,
    root: Path | None = None,
) -> Submission:
    """A new submission of `stage`, under `root` or with the others of the project; its code lies in `home`."""
    jobs = {group.job for group in stage.groups}
    plan: dict[str, Any] = {
        "sweep": sweep.name,
        "stage": stage.name,
        "results": str(project.results),
        "cache": str(project.cache),
        "data": [str(folder.absolute()) for folder in project.data_folders],
        "device": device,
        "timeout_min": timeout_min,
        "code": str(home),
        "jobs": {name: sweep.jobs[name].digest for name in sorted(jobs)},
        "provenance": frozen.as_json(),
        **(also or {}),
        "tasks": [[group.as_json() for group in task] for task in stage.tasks],
    }
    return submission.create(root or project.submissions, sweep.name, plan)
