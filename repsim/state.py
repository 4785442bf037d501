"""Owns the state of every run: store + attempts + queue → exactly one state each.

Files are the truth and Slurm is a hint: a stored row is `done` whatever the queue says; an array element counts
as alive only while squeue shows it so; what a dead element left behind is `new` again (to be sent by the next
submit), unless its last attempt failed by itself, or it was killed or ran out of time `MAX_KILLED` times. A network whose file is
lost is `new` again as well, unless it diverged: then it has a row and never had a file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from repsim import cause, store
from repsim.cause import Cause
from repsim.job import NETWORK, Job, RunId

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
    def undone(self) -> bool:
        """Neither stored nor given up: it is under way, to be sent, or waits."""
        return self.state in (State.NEW, State.RUNNING, State.PENDING) or self.waits

    @property
    def waits(self) -> bool:
        """Blocked by a network that may still come: one that diverged never will."""
        return self.state is State.BLOCKED and self.cause != DIVERGED


DONE, NEW = Standing(State.DONE), Standing(State.NEW)


class Need(NamedTuple):
    """What must be known of a run to judge it."""

    id: RunId
    job: str
    inputs: tuple[RunId, ...]


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
    stock = Stock(done, ready, lost, artefacts)
    return {need.id: DONE if need.id in done else _standing(need, stock, traces) for need in needs}


@dataclass(frozen=True)
class Stock:
    """What is there: finished runs, networks ready to be read (row and file), networks whose file is gone."""

    done: set[RunId]
    ready: set[RunId]
    lost: set[RunId]
    artefacts: Path
    blocked: dict[tuple[RunId, ...], Standing] = field(default_factory=dict)  # by the networks that are missing: runs share them


@dataclass(frozen=True)
class Traces:
    """What submissions left on disk and in the queue, by run id."""

    last: Mapping[RunId, Standing]
    killed: Mapping[RunId, int]
    late: Mapping[RunId, int] = field(default_factory=dict)


def _standing(need: Need, stock: Stock, traces: Traces) -> Standing:
    """Of a run that is not done."""
    last = traces.last.get(need.id, NEW)
    if last.state in (State.RUNNING, State.PENDING, State.FAILED):
        return last
    if traces.killed.get(need.id, 0) >= MAX_KILLED:
        message = f"killed {MAX_KILLED} times without an end"
        return Standing(State.FAILED, cause.known(last.cause), message, last.submission, last.task)
    if traces.late.get(need.id, 0) >= MAX_KILLED:
        message = f"ran into the time limit {MAX_KILLED} times and got no further"
        return Standing(State.FAILED, Cause.TIMEOUT, message, last.submission, last.task)
    if need.id in stock.lost:
        return Standing(State.NEW, LOST, f"{stock.artefacts / need.id / NETWORK} is gone")
    missing = tuple(run for run in need.inputs if run not in stock.ready)
    if missing and missing not in stock.blocked:
        stock.blocked[missing] = _blocked(missing, stock)
    return stock.blocked[missing] if missing else last


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
