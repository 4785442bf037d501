"""Owns the step from a sweep to work under way: look at what is there, plan the difference, send it or do it here."""

import fcntl
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from repsim import accounting, cluster, code, cost, hardware, local, nodes, notify, state, store, submission, traces, worker
from repsim import plan as planning
from repsim.cluster import Profile
from repsim.errors import ClusterError, InputError, UserError
from repsim.job import NETWORK, RunId
from repsim.measured import Rate
from repsim.plan import Limits, Plan, Stage
from repsim.progress import Listen
from repsim.project import Project
from repsim.state import Need, Standing, State
from repsim.submission import Submission
from repsim.sweep.expand import IMPORT, Run, Sweep


@dataclass(frozen=True)
class Sent:
    """One array that was sent."""

    submission: str
    job_id: str
    stage: str
    tasks: int
    runs: int


def standings(
    project: Project,
    sweep: Sweep,
    ask_queue: Callable[[], list[cluster.Task]] | None = None,
    known: Sequence[Submission] | None = None,
) -> dict[RunId, Standing]:
    """The state of every run of the sweep, networks included; `known` submissions need not be read again."""
    needs = [Need(run.id, run.job, run.inputs) for run in sweep.all_runs]
    known = submission.every(project.submissions) if known is None else known
    left = traces.read(known, ask_queue or partial(queue, project), accounting.Accounts(project.cache))
    return state.survey(needs, sweep.jobs, project.store, project.artefacts, left)


def refuse_lost_imports(project: Project, sweep: Sweep, states: Mapping[RunId, Standing]) -> None:
    """InputError for an imported network whose file is gone: unlike a trained one it cannot be made again here."""
    for run in sweep.networks:
        if run.job == IMPORT and states[run.id].state in (State.NEW, State.FAILED):
            said = run.config.model_dump()
            keys = ("arch", "width", "depth", "dataset", "name", "normalise")
            words = " ".join(f"--{key} {said[key]}" for key in keys if said.get(key) is not None)
            raise InputError(
                f"the imported network is gone: {run.labels['arch']}, seed {run.labels['seed']}",
                where=str(project.artefacts / run.id / NETWORK),
                do=f"put the file back, or import it again: repsim zoo import PATH {words}",
            )


def make_plan(
    project: Project, sweep: Sweep, states: Mapping[RunId, Standing], profile: Profile, device: str, also: tuple[State, ...] = ()
) -> Plan:
    """What is missing, as groups and tasks that suit the profile, with measured cost where there is any."""
    longest = 60 * profile.timeout_min - profile.signal_s - planning.STARTUP_S  # here nothing ends a task
    task_s = max(1.0, longest) if profile.cluster == "slurm" else math.inf
    limits = Limits(min(60 * profile.pack_min, task_s), profile.min_tasks, profile.gpus_per_task, task_s)
    return planning.make(sweep, states, limits, weigher(project, sweep, device, card_of(profile, device)), also)


def card_of(profile: Profile, device: str) -> str | None:
    """The card that tasks will compute on, as far as that is known: the one that is here, or that the profile asks for."""
    if not device.startswith("cuda"):
        return None
    return next(iter(hardware.gpus()), None) if profile.cluster == "local" else getattr(profile, "gpu", None)


def weigher(project: Project, sweep: Sweep, device: str, card: str | None = None) -> planning.Weigh:
    """How to size runs of one group of the sweep, and their rate: measured where there is any, on `card` where it is known."""
    rates = cost.rates(project.store, sweep.jobs, device, card, project.cache)

    def weigh(runs: Sequence[Run]) -> list[tuple[float, Rate]]:
        works = cost.works(sweep.jobs[runs[0].job], [run.config for run in runs], sweep.catalog, device)
        return [(work, rates(run.job, run.config)) for run, work in zip(runs, works, strict=True)]

    return weigh


def submit(
    project: Project, sweep: Sweep, plan: Plan, profile: Profile, states: Mapping[RunId, Standing], chain: bool
) -> list[Sent]:
    """Send the stages of `plan` as job arrays; with `chain` also what waits for networks, behind them."""
    store.set_bad_aside(project.store, sweep.jobs.values())
    size = cluster.max_array_size()
    frozen = code.identify(project)
    home = code.freeze(project, frozen)
    stages = [s for s in plan.stages if s.tasks and (s.name != "later" or chain)]
    share = max(1, profile.max_parallel // max(1, sum(-(-len(s.tasks) // size) for s in stages)))
    bad = nodes.suspects(nodes.faults(submission.every(project.submissions), endings=accounting.remembered(project.cache)))
    limited = nodes.avoiding(profile, bad).model_copy(update={"max_parallel": share})
    sent: list[Sent] = []
    for stage in stages:
        after = _makers(sent, states, stage, project) if stage.name == "later" else None
        if stage.name == "later" and not after:
            continue  # the networks failed: nothing is queued that could make them
        for tasks in _slices(stage.tasks, size):
            also = {"mem_gb": profile.mem_gb, "gpus_per_task": profile.gpus_per_task}
            one = _record(project, sweep, Stage(stage.name, tasks), profile.device, home, frozen, profile.timeout_min, also)
            notify.wish(one, profile.notify)
            sent.append(_send(one, stage.name, limited, home, after))
    return sent


def run_here(
    project: Project, sweep: Sweep, plan: Plan, device: str, workers: int, listen: Listen, steps: int | None = None
) -> list[str]:
    """Compute the plan on this machine, networks first; the outcome of each group. Ctrl-C stops at the next step."""
    store.set_bad_aside(project.store, sweep.jobs.values())
    frozen = code.identify(project)

    def record(stage: Stage) -> Submission:
        return _record(project, sweep, stage, device, project.root, frozen, 0)

    return local.compute(plan, device, workers, record, listen, steps)


def close_finished(project: Project) -> None:
    """Mark submissions of which nothing is queued or running any more, so that the queue need not be asked for them."""
    known = [one for one in submission.every(project.submissions) if not one.closed]
    seen = queue(project) if any("pid" not in (one.sent or {}) for one in known) else []
    for one in known:
        mine = [task for task in seen if task.name == one.name]
        alive = any(task.state in cluster.ALIVE for task in mine) or (
            "pid" in (one.sent or {}) and submission.local_alive(one.sent or {})
        )
        if not alive:
            one.close({task.index: task.state for task in mine})
            notify.tell(one)
        elif one.sent is None:  # submit was killed before it could write down the answer
            _adopt(one, mine)


def tasks_of(project: Project, states: Mapping[RunId, Standing], wanted: set[RunId]) -> list[cluster.Task]:
    """The array elements that hold queued or running runs among `wanted`; a run on this machine is none."""
    elements = {(s.submission, s.task) for run, s in states.items() if run in wanted and s.state in (State.RUNNING, State.PENDING)}
    mine = {task for task in queue(project) if (task.name, task.index) in elements and task.state in cluster.ALIVE}
    return sorted(mine, key=lambda task: task.element)


@contextmanager
def locked(project: Project) -> Iterator[None]:
    """One `submit` at a time per project: two people who submit at once must not both see the same run as missing."""
    try:
        project.submissions.mkdir(parents=True, exist_ok=True)
        handle = (project.submissions / ".lock").open("w")
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror}", where=str(project.submissions), do="mend the permissions") from None
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(
                "another submit or run of this project is at work", where=str(project.submissions), do="wait for it, then try again"
            ) from None
        yield


def queue(project: Project) -> list[cluster.Task]:
    """The tasks of every submission that may still be alive, whoever sent it."""
    return cluster.queue([one.name for one in submission.every(project.submissions) if not one.closed])


def _record(
    project: Project,
    sweep: Sweep,
    stage: Stage,
    device: str,
    home: Path,
    frozen: code.Code,
    timeout_min: int,
    also: Mapping | None = None,
) -> Submission:
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
    return submission.create(project.submissions, sweep.name, plan)


def _send(one: Submission, stage: str, profile: Profile, home: Path, after: str | None) -> Sent:
    """sbatch; if it fails though Slurm took the job (a lost answer), the queue knows it by its name."""
    tasks = one.plan["tasks"]
    try:
        job_id = cluster.submit_array(
            profile, one.name, one.slurm, worker.run_pack, str(one.folder / "plan.json"), len(tasks), home, after
        )
    except ClusterError:
        taken = cluster.queue([one.name])
        if not taken:
            one.close()
            raise
        job_id = _adopt(one, taken)
    else:
        one.mark_sent(job_id=job_id)
    return Sent(one.name, job_id, stage, len(tasks), sum(len(group["runs"]) for task in tasks for group in task))


def _adopt(one: Submission, tasks: list[cluster.Task]) -> str:
    """Take over what Slurm accepted though nobody heard it say so; its job id."""
    job_id = tasks[0].element.split("_")[0]
    cluster.adopt(one.slurm, job_id, worker.run_pack, str(one.folder / "plan.json"), len(one.plan["tasks"]))
    one.mark_sent(job_id=job_id)
    return job_id


def _makers(sent: list[Sent], states: Mapping[RunId, Standing], stage: Stage, project: Project) -> str:
    """Job ids of the arrays, just sent or still alive, that make the networks which `stage` waits for."""
    needed = {i for group in stage.groups for run in group.runs for i in run.inputs}
    busy = {states[i].submission for i in needed if states[i].state in (State.RUNNING, State.PENDING)}
    earlier = [one.sent for one in submission.every(project.submissions) if one.name in busy]
    ids = [s.job_id for s in sent if s.stage == "networks"] + [how["job_id"] for how in earlier if how and "job_id" in how]
    return ":".join(dict.fromkeys(ids))


def _slices(tasks: tuple, size: int) -> Iterator[tuple]:
    for start in range(0, len(tasks), size):
        yield tasks[start : start + size]
