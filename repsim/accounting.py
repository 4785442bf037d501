"""Owns what Slurm's accounting knows of tasks that left the queue: how each attempt at one ended, and on which node.

sacct is asked for all of them at once, and only where squeue and the attempts do not say. It is never needed: where it is absent,
switched off or slow, nothing is known, and nobody asks again for ten minutes.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from repsim import answers, cluster
from repsim.errors import ClusterError
from repsim.submission import Submission

EVERY_S = 30.0
SILENT_S = 600.0  # how long nobody asks a sacct that did not answer
TIMEOUT_S = 15.0
LAG_S = 60.0  # what happened may be missing for so long
NAME = "accounts"
COLUMNS = "JobID,JobName,State,End,NodeList"
OUT_OF_MEMORY = "OUT_OF_MEMORY"


@dataclass(frozen=True)
class Lost:
    """A task of which an attempt, begun at `since` (seconds since 1970; 0 if none was begun), has no end on record."""

    submission: Submission
    index: int
    since: float


@dataclass(frozen=True)
class Ending:
    """How one attempt at a task ended for Slurm: its state, the node ("" if it never had one), and when."""

    state: str
    node: str
    at: float


Endings = Mapping[tuple[str, int], Sequence[Ending]]
"""By name of the submission and index of the task; oldest first."""
Ask = Callable[[Sequence[Lost]], Endings]


def nobody(lost: Sequence[Lost]) -> Endings:
    """For where there is nobody to ask."""
    return {}


class Accounts:
    """Asks sacct at most every `every` seconds, whichever command does; what it said is kept under the project's cache."""

    def __init__(self, cache: Path, every: float = EVERY_S, clock: Callable[[], float] = time.time):
        self._cache, self._every, self._clock = cache, every, clock

    def __call__(self, lost: Sequence[Lost]) -> Endings:
        """All endings that are known, those of `lost` among them where sacct tells."""
        answer = answers.kept(self._cache, NAME)
        open_ones = [one for one in lost if not _is_settled(one, answer)]
        if open_ones and self._clock() >= answer.get("next", 0.0):
            answer = _merged(answer, open_ones, self._clock(), self._every)
            answers.keep(self._cache, NAME, answer)
        return _endings(answer)


def remembered(cache: Path) -> Endings:
    """What sacct said so far; nobody is asked."""
    return _endings(answers.kept(cache, NAME))


def _is_settled(lost: Lost, answer: Mapping[str, Any]) -> bool:
    """Whether its end is known, or was asked for when sacct must have had it."""
    known = answer.get("ended", {}).get(lost.submission.name, {}).get(str(lost.index), ())
    if known and known[-1][2] >= lost.since:
        return True
    over = lost.submission.over_since
    return over is not None and answer.get("asked", {}).get(lost.submission.name, 0.0) > over + LAG_S


def _merged(answer: Mapping[str, Any], lost: Sequence[Lost], now: float, every: float) -> dict[str, Any]:
    """The answer with what sacct says of these now; where it says nothing, with the time until which it is left alone."""
    mine = {one.submission.name: one.submission for one in lost}
    jobs = {sent["job_id"]: name for name, one in mine.items() if (sent := one.sent)}
    try:
        said = cluster.call("sacct", "-n", "-P", "-D", "-j", ",".join(jobs), "-o", COLUMNS, timeout_s=TIMEOUT_S)
    except ClusterError:
        return {**answer, "next": now + SILENT_S}
    asked = {**answer.get("asked", {}), **dict.fromkeys(jobs.values(), now)}
    return {"next": now + every, "asked": asked, "ended": {**answer.get("ended", {}), **_ended(said, jobs)}}


def _ended(said: str, jobs: Mapping[str, str]) -> dict[str, dict[str, list[list[Any]]]]:
    """Endings by submission and task. A job counts only under our name for it: ids come round again, and are a stranger's then."""
    found: dict[str, dict[str, list[list[Any]]]] = {name: {} for name in jobs.values()}
    for row in _rows(said):
        job, _, index = row.element.partition("_")
        if row.state in cluster.ALIVE - {"REQUEUED", "SPECIAL_EXIT"} or row.name != jobs.get(job):
            continue
        tasks = list(_indices(index)) or [0]  # a plain job is task 0
        for task in tasks:
            ends = found[row.name].setdefault(str(task), [])
            if len(tasks) == 1 or not ends:  # 17_[3-4] stands for those that never began, unless they have a row of their own
                ends.append([row.state, "" if row.node == "None assigned" else row.node, _time(row.end)])
    return found


@dataclass
class _Row:
    """One attempt at 17_3, at 17_[3-4], or at the plain job 17."""

    element: str
    name: str
    state: str
    end: str
    node: str


def _rows(said: str) -> list[_Row]:
    """Jobs without their steps. A step that was out of memory gives its job that state: the job itself says FAILED."""
    rows: list[_Row] = []
    for fields in (line.split("|") for line in said.splitlines() if line.count("|") == COLUMNS.count(",")):
        row = _Row(*fields)
        row.state = row.state.split(" ")[0]  # CANCELLED by 1000
        if "." not in row.element:
            rows.append(row)
        elif row.state == OUT_OF_MEMORY and rows:
            rows[-1].state = OUT_OF_MEMORY
    return rows


def _indices(text: str) -> Iterator[int]:
    """[0-2,5%4] → 0, 1, 2, 5."""
    for first, last in re.findall(r"(\d+)(?:-(\d+))?", text.partition("%")[0]):
        yield from range(int(first), int(last or first) + 1)


def _time(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


def _endings(answer: Mapping[str, Any]) -> Endings:
    ended = answer.get("ended", {})
    return {(name, int(task)): [Ending(*end) for end in ends] for name, tasks in ended.items() for task, ends in tasks.items()}
