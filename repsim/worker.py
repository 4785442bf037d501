"""Owns what a task does: one pack of a plan, group by group, safe to stop and to kill at any moment.

start → for each group: stored already? inputs there? time enough? → job.run → publish one part → next
SIGTERM or USR2 → the present group leaves at its next step, unpublished; at the time limit the task puts
itself back into the queue, if it finished at least one group
"""

import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import repsim
from repsim import cause, cluster, code, hardware, identity, log, notify, store
from repsim import job as jobs
from repsim.cause import Cause
from repsim.errors import Interrupted, UserError
from repsim.job import NAME, NETWORK, Context, Job, JobConfig
from repsim.progress import Beat, Listen
from repsim.submission import Journal, Submission

SAFETY = 1.3  # a group is begun only with this much of its expected time left
UNFINISHED = 0.99  # only a published group counts as 1


@dataclass
class Signals:
    """Remembers the first request to stop."""

    received: signal.Signals | None = None

    def listen(self) -> None:
        """Take SIGTERM (cancel, preemption) and USR2 (the time limit is near) from here on."""
        for number in (signal.SIGTERM, signal.SIGUSR2):
            signal.signal(number, self._take)

    def _take(self, number: int, frame: Any) -> None:
        if self.received is None:
            self.received = signal.Signals(number)
            _log(f"{self.received.name}: leaving at the next step")


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
        self.restart = int(os.environ.get("SLURM_RESTART_COUNT", "0"))
        self.journal = Journal(self.submission, self.index, self.restart)
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
        self.journal.write(event="start", group=group["id"], host=_node(), slurm_job=slurm_element())
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
        configs = {run["id"]: _config(job, run) for run in todo}
        works = {run["id"]: run["work"] for run in todo}
        started, clock = datetime.now(UTC), time.monotonic()
        rows = {row.run_id: row for row in job.run(list(configs.values()), self._context(group, job))}
        if rows.keys() != configs.keys():
            raise RuntimeError(f"the job gave rows for {sorted(rows)}, not for {sorted(configs)}")
        provenance = self._provenance(group, job, started, (time.monotonic() - clock) / len(rows))
        records = [{**configs[run].model_dump(), **row.model_dump(), **provenance, "work": works[run]} for run, row in rows.items()]
        return store.publish(
            self.results / "store", job.name, _checked(group["dataset"]), group["id"], records, store.schema_of(job)
        )

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

    def _provenance(self, group: dict[str, Any], job: Job, started: datetime, seconds: float) -> dict[str, Any]:
        return {
            "job": job.name,
            "job_version": job.version,
            "group": group["id"],
            "submission": self.submission.name,
            "attempt": self.restart,
            "run_seconds": seconds,
            "started": started.isoformat(timespec="seconds"),
            **self.plan["provenance"],
            "slurm_job": slurm_element(),
            "repsim": repsim.__version__,
            "schema_version": store.SCHEMA_VERSION,
            **hardware.observed(self.device),
        }

    def _end(self, group: dict[str, Any], outcome: str, cause: str | None, message: str | None) -> str:
        self.journal.write(event="end", group=group["id"], outcome=outcome, cause=cause, message=message)
        self.log(log.ended(group["id"], outcome, message))
        return outcome


def run_pack(plan_path: str, index: int) -> list[str]:
    """What Slurm runs: task `index` of the plan, in a process of its own. Raises if a group failed."""
    hardware.limit_threads()
    signals = Signals()
    signals.listen()
    submission = Submission(Path(plan_path).parent)
    os.environ["REPSIM_DATA"] = os.pathsep.join(submission.plan["data"])  # registered data sets are looked up by it
    code.must_be_frozen(Path(submission.plan["code"]))
    deadline = _deadline(submission.plan["timeout_min"])
    pack = Pack(
        submission,
        index,
        stop=lambda: signals.received is not None,
        time_left=lambda: deadline - time.time(),
        listen=lambda *_: None,
        log=_log,
        expired=lambda: signals.received is signal.SIGUSR2,
    )
    outcomes = pack.run()
    if signals.received is not signal.SIGTERM and "done" in outcomes and {"interrupted", "handed_back"} & set(outcomes):
        cluster.requeue(slurm_element() or "")
    elif signals.received is None:
        notify.leave(submission, index)
    failed = outcomes.count("failed")
    if failed:
        raise RuntimeError(f"{failed} of {len(outcomes)} groups failed; see above")
    return outcomes


def slurm_element() -> str | None:
    """This task as Slurm names it: 18_3 in an array, 18 as a plain job; None outside Slurm."""
    array, index = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{index}" if array and index else os.environ.get("SLURM_JOB_ID")


def _node() -> str:
    """The node as Slurm calls it, so that it can be excluded by that name; else the name of this machine."""
    return os.environ.get("SLURMD_NODENAME") or os.uname().nodename


def _deadline(timeout_min: float) -> float:
    """When Slurm will end this task (seconds since 1970): asked once, else reckoned from now."""
    try:
        end = cluster.call("squeue", "-h", "-j", slurm_element() or "", "-o", "%e").strip()
        return datetime.fromisoformat(end).timestamp()
    except (UserError, ValueError):
        return time.time() + 60 * timeout_min


def _load(code: Path, name: str, digest: str) -> Job:
    job = jobs.load(code / "jobs", name)
    if job.digest != digest:
        raise UserError("the job file is not the one that was submitted", where=str(job.path), do="submit again")
    return job


def _log(text: str) -> None:
    print(f"{log.PREFIX}{text}", file=sys.stderr, flush=True)


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
