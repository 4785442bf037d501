"""Owns which files of a submission nobody will miss: logs of tasks that did all their groups, and what is kept twice."""

from pathlib import Path

from repsim import log, records
from repsim.submission import Submission

WELL = ("done", "stored")


def removable(one: Submission) -> list[Path]:
    """Logs and beats of tasks that went well, records that are kept as one file, and what submitit and the last task needed.

    None while a task may still run.
    """
    if not one.closed:
        return []
    outcome = {(event["task"], event["group"]): event.get("outcome") for event in one.events()}
    tasks = enumerate(one.outline)
    well = [task for task, groups in tasks if all(outcome.get((task, group["id"])) in WELL for group in groups)]
    logs = [file for task in well for file in (log.file_of(one, task), one.folder / "progress" / f"{task}.json")]
    logs += records.spare(one.folder)
    return sorted(file for file in [*logs, *one.slurm.glob("*.pkl"), *(one.folder / "ended").glob("*")] if file.is_file())
