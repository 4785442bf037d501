"""Owns the plan: runs, states, limits and rates → groups, packs, tasks and cost. Pure: nothing is read or sent.

Groups (runs that share forward passes) go to tasks longest first, each to the least loaded task (Graham's
LPT rule); a group longer than a pack is split into consecutive pieces.
"""

import heapq
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from repsim.identity import group_id
from repsim.job import RunId
from repsim.measured import Rate
from repsim.state import LOST, Standing, State
from repsim.sweep.expand import Run, Sweep

REPEATED = 1.01  # sums of the same seconds differ by rounding alone
UNKNOWN = Rate(0.0, 0.0, 0)
STARTUP_S = 20.0  # from the start of a task to its first group, until tasks were seen to start


@dataclass(frozen=True)
class Limits:
    """What a profile allows: seconds a task should last, how many tasks at least, GPUs of each.

    `task_s` are the seconds that a task can work at most, `startup_s` those that it takes to start.
    """

    pack_s: float = 3600.0
    min_tasks: int = 1
    gpus_per_task: int = 0
    task_s: float = math.inf
    startup_s: float = STARTUP_S


@dataclass(frozen=True)
class Group:
    """Runs of one job that are computed together; expected and worst seconds, the size of each run, the rate of the first."""

    id: str
    runs: tuple[Run, ...]
    seconds: float
    worst: float
    works: tuple[float, ...] = ()
    basis: Rate = UNKNOWN

    @property
    def job(self) -> str:
        return self.runs[0].job

    @property
    def cautious(self) -> float:
        """Seconds to pack it by: a guess that nothing was measured for may be three times too low."""
        return self.worst if self.basis.source == "prior" else self.seconds

    def as_json(self) -> dict[str, Any]:
        """What the plan file holds of it."""
        runs = [
            {"id": run.id, "config": run.config.model_dump(mode="json"), "work": work}
            for run, work in zip(self.runs, self.works, strict=True)
        ]
        return {
            "id": self.id,
            "job": self.job,
            "dataset": self.runs[0].dataset,
            "seconds": self.seconds,
            "worst": self.worst,
            "source": self.basis.source,
            "inputs": sorted({i for run in self.runs for i in run.inputs}),
            "runs": runs,
        }


@dataclass(frozen=True)
class Stage:
    """Tasks that may run side by side: "networks" first, then "runs"; "later" waits for networks."""

    name: str
    tasks: tuple[tuple[Group, ...], ...]
    task_s: float = math.inf
    startup_s: float = STARTUP_S

    @property
    def groups(self) -> list[Group]:
        return [group for task in self.tasks for group in task]

    @property
    def runs(self) -> int:
        return sum(len(group.runs) for group in self.groups)

    @property
    def seconds(self) -> float:
        return sum(group.seconds for group in self.groups) + self.startup_s * len(self.tasks)

    @property
    def worst(self) -> float:
        """Seconds if every group were one of the slowest tenth; a task works no longer than it may."""
        return sum(min(sum(group.worst for group in task), self.task_s) + self.startup_s for task in self.tasks)

    @property
    def longest(self) -> float:
        """Expected seconds of the longest task."""
        return max((sum(g.seconds for g in task) for task in self.tasks), default=0.0) + self.startup_s


@dataclass(frozen=True)
class Plan:
    """What would be sent, and what it would cost."""

    sweep: str
    counts: Mapping[State, int]
    merged: int
    stages: tuple[Stage, ...]
    gpus_per_task: int

    @property
    def groups(self) -> list[Group]:
        return [group for stage in self.stages for group in stage.groups]

    @property
    def measured(self) -> int:
        """Stored runs that the least known kind of run in it rests on."""
        bases = (group.basis for group in self.groups)
        return min((basis.n if basis.source == "measured" else 0 for basis in bases), default=0)

    def stage(self, name: str) -> Stage | None:
        """The stage of that name, if it holds any task."""
        return next((stage for stage in self.stages if stage.name == name and stage.tasks), None)

    def hours(self, worst: bool = False) -> float:
        """Task-hours of all stages (GPU-hours where a task holds one GPU)."""
        return sum(stage.worst if worst else stage.seconds for stage in self.stages) / 3600 * max(1, self.gpus_per_task)

    def part(self, keep: Callable[[RunId], bool]) -> tuple[float, bool]:
        """Hours of groups' work for the runs that `keep` holds for, and whether that is no more than a guess."""
        shares = [(group, sum(keep(run.id) for run in group.runs) / len(group.runs)) for group in self.groups]
        held = [(group, share) for group, share in shares if share]
        hours = sum(share * group.seconds for group, share in held) / 3600 * max(1, self.gpus_per_task)
        return hours, bool(held) and all(group.basis.source == "prior" for group, _ in held)


Weigh = Callable[[Sequence[Run]], Sequence[tuple[float, Rate]]]
"""(work, rate) of each of some runs where they are computed together."""


def make(sweep: Sweep, states: Mapping[RunId, Standing], limits: Limits, weigh: Weigh, also: Iterable[State] = ()) -> Plan:
    """Group and pack what is `new` (and what is in `also`, say failed runs to retry)."""
    send = {State.NEW, *also}
    ready = [run for run in sweep.runs if states[run.id].state in send]
    stages = (
        _stage("networks", [run for run in sweep.networks if states[run.id].state in send], limits, weigh),
        _stage("runs", ready, limits, weigh),
        _stage("later", [run for run in sweep.runs if states[run.id].waits], limits, weigh),
    )
    counts = Counter(states[run.id].state for run in sweep.all_runs)
    return Plan(sweep.name, counts, sweep.merged, stages, limits.gpus_per_task)


def grouped(runs: Sequence[Run], pack_s: float, weigh: Weigh, task_s: float = math.inf) -> list[Group]:
    """Runs with equal group key together, in order; one longer than a pack, or too long for a task at worst, is split."""
    by_key: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        by_key.setdefault((run.job, run.group), []).append(run)
    return [piece for members in by_key.values() for piece in _pieces(members, pack_s, weigh, task_s)]


def packed(groups: Sequence[Group], limits: Limits) -> tuple[tuple[Group, ...], ...]:
    """Groups → tasks of about `pack_s` seconds each, at least `min_tasks` of them where there are groups enough."""
    if not groups:
        return ()
    total = sum(group.cautious for group in groups)
    count = min(len(groups), max(limits.min_tasks, math.ceil(total / limits.pack_s)))
    loads, tasks = [(0.0, index) for index in range(count)], [[] for _ in range(count)]
    for group in sorted(groups, key=lambda g: -g.cautious):
        load, lightest = loads[0]
        heapq.heapreplace(loads, (load + group.cautious, lightest))
        tasks[lightest].append(group)
    return tuple(tuple(task) for task in tasks)


def _stage(name: str, runs: list[Run], limits: Limits, weigh: Weigh) -> Stage:
    return Stage(name, packed(grouped(runs, limits.pack_s, weigh, limits.task_s), limits), limits.task_s, limits.startup_s)


def _pieces(members: list[Run], pack_s: float, weigh: Weigh, task_s: float) -> list[Group]:
    whole = _group(members, weigh)
    count = min(len(members), max(1, math.ceil(whole.cautious / pack_s), math.ceil(whole.worst / task_s)))
    if count == 1:
        return [whole]
    pieces = _cut(members, math.ceil(len(members) / count), weigh)
    repeated = sum(piece.seconds for piece in pieces) / whole.seconds  # over 1 where each piece does again what runs share
    if repeated >= REPEATED:
        pieces = _cut(members, math.ceil(len(members) / math.ceil(count * repeated)), weigh)
    over = max(piece.worst for piece in pieces) / task_s
    return pieces if over <= 1 else _cut(members, math.floor(len(pieces[0].runs) / over), weigh)


def _cut(members: list[Run], size: int, weigh: Weigh) -> list[Group]:
    size = max(1, size)
    return [_group(members[i : i + size], weigh) for i in range(0, len(members), size)]


def _group(members: list[Run], weigh: Weigh) -> Group:
    weighed = weigh(members)
    once = max(rate.once for _, rate in weighed)
    return Group(
        group_id(members[0].job, (run.id for run in members)),
        tuple(members),
        once + sum(work * rate.seconds for work, rate in weighed),
        once + sum(work * rate.high for work, rate in weighed),
        tuple(work for work, _ in weighed),
        weighed[0][1],
    )


def failed_only(sweep: Sweep, states: Mapping[RunId, Standing], keep: Callable[[Run], bool], why: str | None = None) -> Sweep:
    """The sweep with the failed runs that `keep` holds for, and the failed or lost networks of all that it holds for.

    With a cause as `why` only what failed for it.
    """
    kept = restricted(sweep, keep)
    failed = {run for run, s in states.items() if s.state is State.FAILED and why in (None, s.cause)}
    lost = {run for run, standing in states.items() if standing.cause == LOST and why is None}
    return replace(
        sweep,
        runs=tuple(run for run in kept.runs if run.id in failed),
        networks=tuple(run for run in kept.networks if run.id in failed | lost),
    )


def restricted(sweep: Sweep, keep: Callable[[Run], bool]) -> Sweep:
    """The sweep with only the runs that `keep` holds for, and the networks they need."""
    runs = tuple(run for run in sweep.runs if keep(run))
    needed = {i for run in runs for i in run.inputs}
    return replace(sweep, runs=runs, networks=tuple(n for n in sweep.networks if n.id in needed))
