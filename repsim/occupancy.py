"""Owns what tasks did with their time: how long they took to start, computed, and waited between their groups.

A task is there from the start of its process to its last record; what groups were computed in is work, the rest is idle.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from repsim import forecast
from repsim.job import RunId
from repsim.submission import Submission

ENOUGH = 20  # tasks whose start-up is looked at: more would be read at each plan, and say the same
Kind = tuple[str, str]
"""Job, and the kind of its runs in words."""


@dataclass(frozen=True)
class Stay:
    """One task from its start to its end, or to its end as this restart: seconds in all, until its first group, in each group."""

    task: int
    seconds: float
    startup: float | None
    computed: Mapping[str, float]


@dataclass(frozen=True)
class Startup:
    """The median seconds that a task takes until its first group, of n tasks."""

    seconds: float
    n: int


@dataclass(frozen=True)
class Share:
    """What tasks did with their seconds for runs of one kind; a task of several kinds counts for each by what it computed."""

    job: str
    kind: str
    tasks: int
    computing: float
    starting: float
    waiting: float

    @property
    def busy(self) -> float:
        """The part of the time in which groups were computed."""
        total = self.computing + self.starting + self.waiting
        return self.computing / total if total else 0.0

    def as_json(self) -> dict[str, Any]:
        """With hours for seconds."""
        parts = {"computing": self.computing, "starting": self.starting, "waiting": self.waiting}
        hours = {f"hours_{name}": round(seconds / 3600, 4) for name, seconds in parts.items()}
        return {"job": self.job, "kind": self.kind, "tasks": self.tasks, **hours, "busy": round(self.busy, 3)}


def stays(one: Submission, task: int | None = None) -> list[Stay]:
    """What is on record of the tasks (of one) of a submission; those of which nothing but their coming is known are left out."""
    by_restart: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for record in one.records(task):
        by_restart.setdefault((record["task"], record["restart"]), []).append(record)
    return [_stay(task, records) for (task, _), records in by_restart.items() if records[0]["event"] == "begun"]


def startup(known: Sequence[Submission]) -> Startup | None:
    """How long tasks of Slurm took to start lately; None before the first that computed anything."""
    found: list[float] = []
    for one in reversed(known):
        if "job_id" not in (one.sent or {}):
            continue
        for task in range(min(len(one.outline), ENOUGH)):
            found += [stay.startup for stay in stays(one, task) if stay.startup is not None]
        if len(found) >= ENOUGH:
            break
    return Startup(median(found), len(found)) if found else None


def shares(known: Iterable[Submission], ids: set[RunId]) -> list[Share]:
    """What the tasks that hold any of the runs did with their time, by kind of run; in the order in which kinds first occur."""
    found: dict[Kind, list[tuple[float, float, float]]] = {}
    for one in known:
        kinds = dict(_kinds(one, ids))
        for stay in stays(one) if kinds else ():
            for kind, parts in _parts(stay, kinds):
                found.setdefault(kind, []).append(parts)
    return [Share(*kind, len(those), *map(sum, zip(*those, strict=True))) for kind, those in found.items()]


def _stay(task: int, records: Sequence[Mapping[str, Any]]) -> Stay:
    came = records[0]["at"] - records[0].get("up_s", 0.0)  # earlier versions do not say how long the process lived before
    begun: dict[str, float] = {}
    computed: dict[str, float] = {}
    for record in records:
        if record["event"] == "start":
            begun[record["group"]] = record["at"]
        elif record["event"] == "end" and record["group"] in begun:
            group = record["group"]
            computed[group] = computed.get(group, 0.0) + record["at"] - begun.pop(group)
    first = next((record["at"] for record in records if record["event"] == "start"), None)
    return Stay(task, records[-1]["at"] - came, None if first is None else first - came, computed)


def _kinds(one: Submission, ids: set[RunId]) -> Iterator[tuple[str, Kind]]:
    """The kind of each group that holds any of the runs."""
    if not any(run["id"] in ids for task in one.outline for group in task for run in group["runs"]):
        return
    for group in (group for task in one.plan["tasks"] for group in task):
        if any(run["id"] in ids for run in group["runs"]):
            yield group["id"], (group["job"], forecast.words(group["runs"][0]["config"]))


def _parts(stay: Stay, kinds: Mapping[str, Kind]) -> Iterator[tuple[Kind, tuple[float, float, float]]]:
    """Seconds of computing, starting and waiting of a task, for each kind that it computed."""
    by_kind: dict[Kind, float] = {}
    for group in stay.computed.keys() & kinds.keys():
        by_kind[kinds[group]] = by_kind.get(kinds[group], 0.0) + stay.computed[group]
    total, started = sum(stay.computed.values()), stay.startup or 0.0
    waited = max(0.0, stay.seconds - started - total)
    for kind, seconds in by_kind.items():
        part = seconds / total if total else 1 / len(by_kind)
        yield kind, (seconds, part * started, part * waited)
