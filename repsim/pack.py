"""Owns a pack: the groups of one task, one after the other, each published whole or not at all.

for each group: stored already? inputs there? time enough? → the job runs → one part → the next
"""

import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from repsim import cause, hardware, identity, log, measuring, store
from repsim import job as jobs
from repsim.cause import Cause
from repsim.errors import Interrupted, UserError
from repsim.job import NETWORK, Context, Job
from repsim.progress import Beat, Listen
from repsim.submission import Journal, Submission

SAFETY = 1.3  # a group is begun only with this much of its expected time left
UNFINISHED = 0.99  # only a published group counts as 1


@dataclass
class Pack:
    """One task at work: its plan, where it writes, and what it has seen so far."""

    submission: Submission
    index: int
    stop: Callable[[], bool]
    time_left: Callable[[], float]
    listen: Listen
    steps: int | None = None
    beside: int = 1
    log: Callable[[str], None] = lambda text: None
    ended: Callable[[str, str], None] = lambda group, outcome: None
    expired: Callable[[], bool] = lambda: False  # told to stop because the time limit is near
    poisoned: bool = False
    outcomes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plan = plan = self.submission.plan
        self.results = Path(plan["results"])
        self.device = hardware.pick_device(plan["device"])
        restart = int(os.environ.get("SLURM_RESTART_COUNT", "0"))
        self.origin = measuring.Origin(self.submission.name, restart, self.device, plan["provenance"])
        self.journal = Journal(self.submission, self.index, restart)
        self.listen = Beat(self.submission, self.index, self.listen)
        self.jobs = {name: _load(Path(plan["code"]), name, digest) for name, digest in plan["jobs"].items()}
        self.stored = {name: self._finished(job) for name, job in self.jobs.items()}

    def _finished(self, job: Job) -> set[str]:
        """Runs with nothing left to do: stored, and their network not lost."""
        folder = self.results / "store"
        return store.stored_ids(folder, job) - store.lost_ids(folder, self.results / "artefacts", job)

    def run(self) -> list[str]:
        """All groups of this task; the outcome of each."""
        for group in self.plan["tasks"][self.index]:
            if self.stop() or self.poisoned:
                self.outcomes.append("interrupted")
                continue
            self.outcomes.append(self._group(group))
            self.listen(group["id"], 1.0, self.outcomes[-1])
            self.ended(group["id"], self.outcomes[-1])
        return self.outcomes

    def _group(self, group: dict[str, Any]) -> str:
        todo = [run for run in group["runs"] if run["id"] not in self.stored[group["job"]]]
        if not todo:
            return self._end(group, "stored", None, None)
        if self.time_left() < SAFETY * group["seconds"] and not self._is_fresh():  # else it would be handed back for ever
            return self._end(group, "handed_back", None, "too little time is left to finish it")
        missing = [i for i in group["inputs"] if not (self.results / "artefacts" / i / NETWORK).is_file()]
        if missing:
            return self._end(group, "blocked", Cause.MISSING_INPUT, f"waits for {', '.join(missing)}")
        return self._compute(group, todo)

    def _is_fresh(self) -> bool:
        """Whether nothing was computed yet, so that all the time of a task is left."""
        return not {"done", "failed"} & set(self.outcomes)

    def _compute(self, group: dict[str, Any], todo: list[dict[str, Any]]) -> str:
        self.journal.write(event="start", group=group["id"], host=_node(), slurm_job=measuring.slurm_element())
        self.log(log.begins(group["id"], len(todo), group["job"]))
        try:
            published = self._measure(group, todo)
        except Interrupted:
            if self.expired() and self._is_fresh():
                return self._end(group, "failed", Cause.TIMEOUT, "a whole task is too short for it: raise timeout_min")
            return self._end(group, "interrupted", None, "told to stop")
        except UserError as error:
            return self._end(group, "failed", Cause.MISSING_INPUT, str(error))
        except Exception as error:
            self.log(traceback.format_exc().rstrip())
            why = cause.of_error(error)
            self.poisoned = why is Cause.CUDA_FAULT  # nothing works in this process any more
            return self._end(group, "failed", why, f"{type(error).__name__}: {error}"[:500])
        return self._end(group, "done" if published else "stored", None, None)

    def _measure(self, group: dict[str, Any], todo: list[dict[str, Any]]) -> bool:
        """Let the job run, and publish its rows as one part; False if another copy of this task was first."""
        job = self.jobs[group["job"]]
        rows = measuring.measured(job, group["id"], todo, self._context(group, job), self.origin)
        return measuring.publish(self.results / "store", job, group["dataset"], group["id"], rows)

    def _context(self, group: dict[str, Any], job: Job) -> Context:
        return Context(
            device=self.device,
            data_folders=tuple(Path(p) for p in self.plan["data"]),
            cache=Path(self.plan["cache"]) / "data",
            artefacts=self.results / "artefacts",
            run_id=lambda config: identity.id_of(job, config),
            report=lambda fraction, text: self.listen(group["id"], min(fraction, UNFINISHED), text),
            should_stop=self.stop,
            time_left=self.time_left,
            steps=self.steps,
            beside=self.beside,
        )

    def _end(self, group: dict[str, Any], outcome: str, cause: str | None, message: str | None) -> str:
        self.journal.write(event="end", group=group["id"], outcome=outcome, cause=cause, message=message)
        self.log(log.ended(group["id"], outcome, message))
        return outcome


def _node() -> str:
    """The node as Slurm calls it, so that it can be excluded by that name; else the name of this machine."""
    return os.environ.get("SLURMD_NODENAME") or os.uname().nodename


def _load(code: Path, name: str, digest: str) -> Job:
    job = jobs.load(code / "jobs", name)
    if job.digest != digest:
        raise UserError("the job file is not the one that was submitted", where=str(job.path), do="submit again")
    return job
