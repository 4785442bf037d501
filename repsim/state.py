"""Owns the state of every run: store + attempts + queue → exactly one state each.

Files are the truth and Slurm is a hint: a stored row is `done` whatever the queue says; an array element counts
as alive only while squeue shows it so; what a dead element left behind is `new` again (to be sent by the next
submit), unless its last attempt failed by itself or it was killed `MAX_KILLED` times. A network whose file is
lost is `new` again as well, unless it diverged: then it has a row and never had a file.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from repsim import cause, cluster, store, submission
from repsim.cause import Cause
from repsim.job import NETWORK, Job, RunId
from repsim.submission import Submission

MAX_KILLED = 3
DIVERGED, LOST, WAITS = str(Cause.DIVERGED), "lost_network", str(Cause.MISSING_INPUT)
"""Why there is no network: it never will be, it was there once, or it is yet to be made."""


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

    @property
    def waits(self) -> bool:
        """Blocked by a network that may still come: one that diverged never will."""
        return self.state is State.BLOCKED and self.cause != DIVERGED


@dataclass(frozen=True)
class Need:
    """What must be known of a run to judge it."""

    id: RunId
    job: str
    inputs: tuple[RunId, ...]


Elements = Mapping[tuple[str, int], cluster.Task]
"""By name of the submission and index of the task."""


def survey(
    needs: Sequence[Need], jobs: Mapping[str, Job], store_folder: Path, artefacts: Path, traces: "Traces"
) -> dict[RunId, Standing]:
    """One Standing per run id."""
    wanted = {name: [need.id for need in needs if need.job == name] for name in jobs}
    stored = {name: store.stored_ids(store_folder, job, wanted[name]) for name, job in jobs.items()}
    lost = {run for name, job in jobs.items() for run in store.lost_ids(store_folder, artefacts, job, wanted[name])}
    done = {need.id for need in needs if need.id in stored.get(need.job, ())} - lost
    makers = {need.id for need in needs}
    inputs = {run for need in needs for run in need.inputs}
    ready = {run for run in inputs if (run in done or run not in makers) and (artefacts / run / NETWORK).is_file()}
    return {need.id: _standing(need, Stock(done, ready, lost, artefacts), traces) for need in needs}


@dataclass(frozen=True)
class Stock:
    """What is there: finished runs, networks ready to be read (row and file), networks whose file is gone."""

    done: set[RunId]
    ready: set[RunId]
    lost: set[RunId]
    artefacts: Path


@dataclass(frozen=True)
class Traces:
    """What submissions left on disk and in the queue, by run id."""

    last: Mapping[RunId, Standing]
    killed: Mapping[RunId, int]


def traces(submissions: Iterable[Submission], ask_queue: Callable[[], list[cluster.Task]]) -> Traces:
    """Read every submission, oldest first; the queue is asked only if one of them may still be alive."""
    known = list(submissions)
    tasks = elements(known, ask_queue)
    last: dict[RunId, Standing] = {}
    killed: Counter[RunId] = Counter()
    for one in known:
        for run, standing, deaths in _read(one, tasks):
            killed[run] += deaths
            if run not in last or last[run].state not in (State.RUNNING, State.PENDING):
                last[run] = standing
    return Traces(last, killed)


def elements(known: Sequence[Submission], ask_queue: Callable[[], list[cluster.Task]]) -> Elements:
    """Array elements that squeue knows, dead ones too, and the tasks of each local run whose process lives."""
    open_ones = [one for one in known if not one.closed]
    local = [one for one in open_ones if "pid" in (one.sent or {})]
    found = list(ask_queue()) if len(local) < len(open_ones) else []
    found += [
        _local_task(one, index)
        for one in local
        if submission.local_alive(one.sent or {})
        for index in range(len(one.plan["tasks"]))
    ]
    return {(task.name, task.index): task for task in found}


def _local_task(one: Submission, index: int) -> cluster.Task:
    return cluster.Task(one.name, index, "RUNNING", "None", (one.sent or {})["host"], "local")


def _read(one: Submission, tasks: Elements) -> Iterable[tuple[RunId, Standing, int]]:
    """(run, standing, how often it was killed) for every run of a submission."""
    latest, starts, ends = _by_group(one.events())
    begun = {task for task, _ in starts}
    for index, groups in enumerate(one.plan["tasks"]):
        element = tasks.get((one.name, index))
        alive = element is not None and element.state in cluster.ALIVE
        last = element.state if element else one.ended.get(index)
        stillborn = not alive and index not in begun and last in cluster.DIED
        for group in groups:
            key = (index, group["id"])
            event = latest.get(key)
            busy = alive and event is not None and event["event"] == "start"
            standing = _stillborn(one, index, last) if stillborn else _of_task(one, element if alive else None, event, index, last)
            deaths = max(0, starts[key] - ends[key] - (1 if busy else 0))
            yield from ((run["id"], standing, deaths) for run in group["runs"])


def _stillborn(one: Submission, index: int, last: str | None) -> Standing:
    """A task that Slurm calls failed and that never began a group: interpreter, path or set-up are wrong."""
    message = f"the task died before its first group; its log is in {one.slurm}"
    return Standing(State.FAILED, cause.of_slurm(last), message, one.name, index)


def _by_group(events: list[dict[str, Any]]) -> tuple[dict, Counter, Counter]:
    latest = {(e["task"], e["group"]): e for e in events}
    starts = Counter((e["task"], e["group"]) for e in events if e["event"] == "start")
    ends = Counter((e["task"], e["group"]) for e in events if e["event"] == "end")
    return latest, starts, ends


def _of_task(one: Submission, task: cluster.Task | None, event: dict[str, Any] | None, index: int, last: str | None) -> Standing:
    """The state that a task gives its group: `task` where it is alive, else `last`, the state in which Slurm left it."""
    failed = event is not None and event.get("outcome") == "failed"
    if task is not None and not (failed and task.state == "RUNNING"):  # a failure shows before its task ends
        begun = task.state != "PENDING" and event is not None and event["event"] == "start"
        return Standing(State.RUNNING if begun else State.PENDING, task.reason, None, one.name, index)
    if event is None or event["event"] == "start":
        return Standing(State.NEW, cause.of_slurm(last) if event else None, None, one.name, index)
    if event["outcome"] == "failed":
        return Standing(State.FAILED, event["cause"], event["message"], one.name, index)
    return Standing(State.NEW, event["outcome"], None, one.name, index)


def _standing(need: Need, stock: Stock, traces: Traces) -> Standing:
    if need.id in stock.done:
        return Standing(State.DONE)
    last = traces.last.get(need.id, Standing(State.NEW))
    if last.state in (State.RUNNING, State.PENDING, State.FAILED):
        return last
    if traces.killed.get(need.id, 0) >= MAX_KILLED:
        message = f"killed {MAX_KILLED} times without an end"
        return Standing(State.FAILED, cause.known(last.cause), message, last.submission, last.task)
    if need.id in stock.lost:
        return Standing(State.NEW, LOST, f"{stock.artefacts / need.id / NETWORK} is gone")
    missing = [run for run in need.inputs if run not in stock.ready]
    return _blocked(missing, stock) if missing else last


def _blocked(missing: Sequence[RunId], stock: Stock) -> Standing:
    """The worst of the reasons: a network that will never be, one that is lost, one that is yet to be made."""
    reasons = (
        (DIVERGED, "{} is done but left no network: it diverged", stock.done),
        (LOST, "{} is done but left no network: its file is gone", stock.lost),
        (WAITS, "waits for {}", missing),
    )
    cause, words, mine = next((c, w, mine) for c, w, runs in reasons if (mine := [run for run in missing if run in runs]))
    named = mine if cause == WAITS else sorted(mine)[:1]  # one bad network is reason enough, and a few reasons are read
    return Standing(State.BLOCKED, cause, "; ".join(map(words.format, named)))
