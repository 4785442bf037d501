"""Owns a pack: the groups of one task, one after the other, each published whole or not at all.

for each group: stored already? tried often enough? inputs there? time enough? → one attempt → the next
"""

import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from repsim import hardware, identity, log, measuring, orders, store
from repsim import job as jobs
from repsim.attempt import Attempt, Result
from repsim.breaker import Breaker
from repsim.cause import Cause
from repsim.errors import InputError, UserError
from repsim.job import NETWORK, Context, Job
from repsim.journal import Journal
from repsim.orders import Lookout
from repsim.patience import Patience
from repsim.progress import Beat, Listen
from repsim.restarts import MOST, STEP, USR2, History
from repsim.stored import Overtaken, Stored
from repsim.submission import Submission

SAFETY = 1.3  # how much longer than expected a group may take, where its plan does not say
UNFINISHED = 0.99  # only a published group counts as 1
LOCAL_PATIENCE_S = 60.0  # somebody sits before it, and is told


@dataclass
class Pack:
    """One task at work: its plan, where it writes, and what it has seen so far.

    `why` names the signal that told it to stop, `dismissed` says why it has nothing to do any more, and `patience_s` is how
    long a full disk is waited for at most.
    """

    submission: Submission
    index: int
    stop: Callable[[], bool]
    time_left: Callable[[], float]
    listen: Listen
    steps: int | None = None
    beside: int = 1
    log: Callable[[str], None] = lambda text: None
    ended: Callable[[str, str], None] = lambda group, outcome: None
    why: Callable[[], str | None] = lambda: None
    dismissed: Callable[[], str | None] = lambda: None
    patience_s: float = LOCAL_PATIENCE_S
    sleep: Callable[[float], None] = time.sleep
    poisoned: bool = False
    halted: bool = False
    outcomes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plan = plan = self.submission.plan
        self.results = Path(plan["results"])
        self.device, self.lacking = _device(plan)
        self.card = hardware.card(self.device)
        restart = int(os.environ.get("SLURM_RESTART_COUNT", "0"))
        self.origin = measuring.Origin(self.submission.name, restart, self.device, plan["provenance"])
        self.patience = Patience(self._told, self.time_left, self.log, self.patience_s, self.sleep)
        self.history = History(self.patience(lambda: self.submission.events(self.index)), restart)
        self.journal = Journal(self.submission, self.index, restart)
        self.lookout, self.breaker = Lookout(self.submission), Breaker(self.submission, self.history.records)
        self.listen = Beat(self.submission, self.index, self.listen)
        self.jobs = {name: _load(Path(plan["code"]), name, digest) for name, digest in plan["jobs"].items()}
        self.stored = {name: self.patience(lambda job=job: Stored(self.results, job)) for name, job in self.jobs.items()}
        self.worked, self.got_on, self.fraction = self.history.worked, self.history.got_on, 0.0

    def run(self) -> list[str]:
        """All groups of this task; the outcome of each. Raises DiskError if nothing can be written, and waiting did not help."""
        self._note(event="begun", host=_node(), gpu=self.card, slurm_job=measuring.slurm_element(), pid=os.getpid(), up_s=_up_s())
        for group in self.plan["tasks"][self.index]:
            if self._leaves():
                self.outcomes.append("interrupted")
                continue
            self.outcomes.append(self._group(group))
            self.listen(group["id"], 1.0, self.outcomes[-1])
            self.ended(group["id"], self.outcomes[-1])
        self._note(event="left", why=self.why() or ("fault" if self.poisoned else None))
        return self.outcomes

    def _told(self) -> bool:
        """Whether to leave at the next step."""
        return self.stop() or self.lookout.tripped()

    def _leaves(self) -> bool:
        """Whether no group is begun any more; what the folder says is looked at anew before each."""
        if self.stop() or self.poisoned or self.halted:
            return True
        why = orders.stop_of(self.submission)
        words = why.words if why else self.dismissed()
        if words:
            self.halted = True
            self.log(f"leaving: {words}")
        return self.halted

    def _group(self, group: dict[str, Any]) -> str:
        if self.history.failed(group["id"]):
            return "failed"  # and stays so on record
        stored = self.patience(self.stored[group["job"]].now)
        todo = [run for run in group["runs"] if run["id"] not in stored]
        odd = self._odd(group, stored)
        if odd:
            return self._end(group, Result("failed", Cause.CODE, odd))
        if not todo:
            return self._end(group, Result("stored"))
        against = self.history.verdict(group["id"])
        if against:
            return self._end(group, Result("failed", *against))
        if self.time_left() < needed_s(group) and self.worked:  # a whole task begins any: else it would never be begun
            return self._end(group, Result("handed_back", message="too little time is left to finish it"))
        missing = self.patience(lambda: [i for i in group["inputs"] if not (self.results / "artefacts" / i / NETWORK).is_file()])
        if missing:
            return self._end(group, Result("blocked", Cause.MISSING_INPUT, f"waits for {', '.join(missing)}"))
        return self._compute(group, todo)

    def _odd(self, group: dict[str, Any], stored: Collection[str]) -> str | None:
        """What the store says against passing over runs of this group: they may be stored as something else."""
        try:
            self.patience(lambda: self.stored[group["job"]].must_agree([run for run in group["runs"] if run["id"] in stored]))
        except InputError as error:
            return str(error)
        return None

    def _compute(self, group: dict[str, Any], todo: list[dict[str, Any]]) -> str:
        self._note(event="start", group=group["id"], host=_node(), gpu=self.card, slurm_job=measuring.slurm_element())
        self.log(log.begins(group["id"], len(todo), group["job"]))
        job, whole, self.worked, self.fraction = self.jobs[group["job"]], not self.worked, True, 0.0
        part = store.part(self.results / "store", job.name, group["dataset"], group["id"])
        overtaken = Overtaken(part, {run["id"] for run in todo}, self.stored[job.name])
        context = self._context(group, job, overtaken)
        attempt = Attempt(job, context, self.origin, self._publisher(group, job), self.patience, self.log)
        result = self.lacking or attempt.at(group["id"], todo)
        if result.outcome == "interrupted" and overtaken.found:
            result = Result("stored")
        self.halted |= self.lacking is not None
        self.poisoned = result.poisoned
        return self._end(group, self._timed(group, job, result, whole))

    def _timed(self, group: dict[str, Any], job: Job, result: Result, whole: bool) -> Result:
        """A group that the time limit ended though it had a whole task, and that cannot go on from there, would never end."""
        if result.outcome != "interrupted" or self.why() != USR2:
            return result
        often = self.history.timeouts(group["id"]) + 1 >= MOST
        if often or (whole and not job.resumes):
            return Result("failed", Cause.TIMEOUT, "a whole task is too short for it: raise timeout_min")
        return result

    def _publisher(self, group: dict[str, Any], job: Job) -> Callable[[str, list[dict[str, Any]]], bool]:
        return lambda name, rows: measuring.publish(self.results / "store", job, group["dataset"], name, rows)

    def _context(self, group: dict[str, Any], job: Job, overtaken: Callable[[], bool]) -> Context:
        def report(fraction: float, text: str) -> None:
            self.fraction = fraction
            self.listen(group["id"], min(fraction, UNFINISHED), text)

        return Context(
            device=self.device,
            data_folders=tuple(Path(p) for p in self.plan["data"]),
            cache=Path(self.plan["cache"]) / "data",
            artefacts=self.results / "artefacts",
            run_id=lambda config: identity.id_of(job, config),
            report=report,
            should_stop=lambda: self._told() or overtaken(),
            time_left=self.time_left,
            steps=self.steps,
            beside=self.beside,
        )

    def _end(self, group: dict[str, Any], result: Result) -> str:
        """Put on record how a group ended; why it was left, and how much of it is saved, where it was told to stop."""
        left: dict[str, Any] = {}
        if result.outcome == "interrupted":
            saved = self.fraction if self.jobs[group["job"]].resumes else 0.0
            left = {"why": self.why(), "saved": saved}
            self.got_on |= saved >= self.history.saved(group["id"]) + STEP
        self.got_on |= result.outcome == "done"
        self._note(event="end", group=group["id"], outcome=result.outcome, cause=result.cause, message=result.message, **left)
        self.log(log.ended(group["id"], result.outcome, result.message))
        why = self.breaker.heard(result.outcome, result.cause, result.message, group["runs"][0]["id"])
        if why:
            self.log(f"no group is begun any more: {why.words}")
        return result.outcome

    def _note(self, **event: Any) -> None:
        self.patience(lambda: self.journal.write(**event))


def needed_s(group: Mapping[str, Any]) -> float:
    """Seconds that must be left for a group to be begun: those of the slowest tenth of such runs, as its plan says."""
    return group.get("worst", SAFETY * group["seconds"])  # plans of earlier versions do not


def _device(plan: Mapping[str, Any]) -> tuple[str, Result | None]:
    """The device to compute on; and the failure of what is begun where Slurm gave a GPU and none is seen: the node is bad.

    Quietly taking the CPU would take days, and an error before the first group would leave nothing on record against the node.
    """
    wish = plan["device"]
    if not plan.get("gpus_per_task") or wish not in ("auto", "cuda"):
        return hardware.pick_device(wish), None
    try:
        found = hardware.pick_device(wish)
        why = None if found == "cuda" else "nvidia-smi lists no card (where it is missing, say device: cuda)"
    except UserError as error:
        found, why = wish, error.what
    failure = Result("failed", Cause.CUDA_FAULT, f"Slurm gave this task a GPU, but none is seen on {_node()}: {why}")
    return found, failure if why else None


def _node() -> str:
    """The node as Slurm calls it, so that it can be excluded by that name; else the name of this machine."""
    return os.environ.get("SLURMD_NODENAME") or os.uname().nodename


def _up_s() -> float:
    """Seconds that a task of Slurm has lived so far; a process here may have done anything before."""
    return round(hardware.lived_s(), 3) if measuring.slurm_element() else 0.0


def _load(code: Path, name: str, digest: str) -> Job:
    job = jobs.load(code / "jobs", name)
    if job.digest != digest:
        raise UserError("the job file is not the one that was submitted", where=str(job.path), do="submit again")
    return job
