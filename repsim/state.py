"""Owns the state of every run: store + attempts + queue → exactly one state each.

Files are the truth and Slurm is a hint: a stored row is `done` whatever the queue says; an array element counts
as alive only while squeue shows it so; what a dead element left behind is `new` again (to be sent by the next
submit), unless its last attempt failed by itself or it was killed `MAX_KILLED` times.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from repsim import cluster, store, submission
from repsim.job import NETWORK, Job, RunId
from repsim.submission import Submission

MAX_KILLED = 3


class State(StrEnum):
    """What a run is; shown in this order."""

    DONE = "done"
    RUNNING = "running"
    PENDING = "pending"
    FAILED = "failed"
    BLOCKED = "blocked"
    NEW = "new"


@dataclass(frozen=True)
class Standing:
    """The state of one run, and why."""

    state: State
    cause: str | None = None
    message: str | None = None
    submission: str | None = None
    task: int | None = None


@dataclass(frozen=True)
class Need:
    """What must be known of a run to judge it."""

    id: RunId
    job: str
    inputs: tuple[RunId, ...]


Alive = Mapping[tuple[str, int], cluster.Task]


def survey(
    needs: Sequence[Need], jobs: Mapping[str, Job], store_folder: Path, artefacts: Path, traces: "Traces"
) -> dict[RunId, Standing]:
    """One Standing per run id."""
    stored = {name: store.stored_ids(store_folder, job) for name, job in jobs.items()}
    done = {need.id for need in needs if need.id in stored.get(need.job, ())}
    makers = {need.id for need in needs}
    ready = {run for need in needs for run in need.inputs if _available(run, done, makers, artefacts)}
    return {need.id: _standing(need, done, ready, traces) for need in needs}


@dataclass(frozen=True)
class Traces:
    """What submissions left on disk and in the queue, by run id."""

    last: Mapping[RunId, Standing]
    killed: Mapping[RunId, int]


def traces(submissions: Iterable[Submission], ask_queue: Callable[[], list[cluster.Task]]) -> Traces:
    """Read every submission, oldest first; the queue is asked only if one of them may still be alive."""
    known = list(submissions)
    alive = _alive(known, ask_queue)
    last: dict[RunId, Standing] = {}
    killed: Counter[RunId] = Counter()
    for one in known:
        for run, standing, deaths in _read(one, alive):
            killed[run] += deaths
            if run not in last or last[run].state not in (State.RUNNING, State.PENDING):
                last[run] = standing
    return Traces(last, killed)


def live_tasks(one: Submission, alive: Alive) -> list[int]:
    """Indices of the tasks of a submission that are queued or running."""
    return [index for name, index in alive if name == one.name]


def _alive(known: list[Submission], ask_queue: Callable[[], list[cluster.Task]]) -> Alive:
    """Elements that squeue calls alive, and the one task of each local run whose process lives."""
    open_ones = [one for one in known if not one.closed]
    local = [one for one in open_ones if "pid" in (one.sent or {})]
    found = [task for task in (ask_queue() if len(local) < len(open_ones) else []) if task.state in cluster.ALIVE]
    found += [
        _local_task(one, index)
        for one in local
        if submission.local_alive(one.sent or {})
        for index in range(len(one.plan["tasks"]))
    ]
    return {(task.name, task.index): task for task in found}


def _local_task(one: Submission, index: int) -> cluster.Task:
    return cluster.Task(one.name, index, "RUNNING", "None", (one.sent or {})["host"], "local")


def _read(one: Submission, alive: Alive) -> Iterable[tuple[RunId, Standing, int]]:
    """(run, standing, how often it was killed) for every run of a submission."""
    latest, starts, ends = _by_group(one.events())
    for index, groups in enumerate(one.plan["tasks"]):
        task = alive.get((one.name, index))
        for group in groups:
            key = (index, group["id"])
            event = latest.get(key)
            busy = task is not None and event is not None and event["event"] == "start"
            standing = _of_task(one, task, event, index)
            deaths = max(0, starts[key] - ends[key] - (1 if busy else 0))
            yield from ((run["id"], standing, deaths) for run in group["runs"])


def _by_group(events: list[dict[str, Any]]) -> tuple[dict, Counter, Counter]:
    latest = {(e["task"], e["group"]): e for e in events}
    starts = Counter((e["task"], e["group"]) for e in events if e["event"] == "start")
    ends = Counter((e["task"], e["group"]) for e in events if e["event"] == "end")
    return latest, starts, ends


def _of_task(one: Submission, task: cluster.Task | None, event: dict[str, Any] | None, index: int) -> Standing:
    if task is not None:
        begun = task.state != "PENDING" and event is not None and event["event"] == "start"
        return Standing(State.RUNNING if begun else State.PENDING, task.reason, None, one.name, index)
    if event is None or event["event"] == "start":
        return Standing(State.NEW, "lost" if event else None, None, one.name, index)
    if event["outcome"] == "failed":
        return Standing(State.FAILED, event["cause"], event["message"], one.name, index)
    return Standing(State.NEW, event["outcome"], None, one.name, index)


def _standing(need: Need, done: set[RunId], ready: set[RunId], traces: Traces) -> Standing:
    if need.id in done:
        return Standing(State.DONE)
    last = traces.last.get(need.id, Standing(State.NEW))
    if last.state in (State.RUNNING, State.PENDING, State.FAILED):
        return last
    if traces.killed.get(need.id, 0) >= MAX_KILLED:
        return Standing(State.FAILED, "killed", f"killed {MAX_KILLED} times without an end", last.submission, last.task)
    missing = [run for run in need.inputs if run not in ready]
    if missing:
        return Standing(State.BLOCKED, "missing_input", f"waits for {', '.join(missing)}")
    return last


def _available(run: RunId, done: set[RunId], makers: set[RunId], artefacts: Path) -> bool:
    """An input is there when its row is stored and its network lies on disk."""
    return (run in done or run not in makers) and (artefacts / run / NETWORK).is_file()
