"""Owns what the restarts of a task tell: what ended it each time, and which group was tried often enough.

A task that Slurm puts back into the queue, or that puts itself back, begins again as the next restart, perhaps on
another node. Being preempted costs a run nothing as long as something gets done; to be killed, or to run out of time,
again and again is the run's own doing.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from repsim.cause import Cause
from repsim.submission import Submission

MOST = 3  # times that a group may lose its process, run out of time, or see its task come and go with nothing done
STEP = 0.01  # share of a group that must be saved anew to count as progress: what is done again after a restart varies
AGAIN = frozenset({Cause.CUDA_FAULT, Cause.NODE_FAIL, Cause.MISSING_INPUT, Cause.UNKNOWN})
"""Failures that another node, or a file that came, may mend: tried again in the next restart, not in this one."""
TERM, USR2 = "SIGTERM", "SIGUSR2"
Record = dict[str, Any]


class Ending(StrEnum):
    """What ended a restart of a task from outside; in the words of `status`."""

    PREEMPTED = "preempted"
    TIME_LIMIT = "time limit"
    LOST = "lost"


@dataclass(frozen=True)
class History:
    """The attempt records of a task, oldest first, as its restart number `restart` finds them."""

    records: Sequence[Record]
    restart: int

    def failed(self, group: str) -> bool:
        """Whether a group is not to be tried again here: it failed in this restart, or for good in an earlier one."""
        ends = [r for r in self.records if r["group"] == group and r["event"] == "end"]
        if not ends or ends[-1]["outcome"] != "failed":
            return False
        return ends[-1]["restart"] == self.restart or ends[-1].get("cause") not in AGAIN

    def saved(self, group: str, before: int | None = None) -> float:
        """The largest share of a group that was saved when it was left, in any restart or in those before one."""
        mine = [r for r in self.records if r["group"] == group and (before is None or r["restart"] < before)]
        return max((r.get("saved") or 0.0 for r in mine), default=0.0)

    @property
    def got_on(self) -> bool:
        """Whether an earlier process of this restart finished a group."""
        return any(r.get("outcome") == "done" and r["restart"] == self.restart for r in self.records)

    @property
    def worked(self) -> bool:
        """Whether an earlier process of this restart has computed anything, so that its time is not whole."""
        return any(r["event"] == "start" and r["restart"] == self.restart for r in self.records)

    def verdict(self, group: str) -> tuple[Cause, str] | None:
        """Why a group is not begun once more: cause and message; None where nothing is against it."""
        mine = [r for r in self.records if r["group"] == group]
        lost = sum(r["event"] == "start" for r in mine) - sum(r["event"] == "end" and r["outcome"] in BEGUN for r in mine)
        if lost >= MOST:
            return Cause.NODE_FAIL, f"killed, or its node lost, {lost} times"
        if self.fruitless(group) >= MOST:
            return Cause.PREEMPTED, f"its task was restarted {MOST} times in a row and finished nothing"
        return None

    def timeouts(self, group: str) -> int:
        """How often the time limit interrupted a group."""
        return sum(r["group"] == group and r["event"] == "end" and r.get("why") == USR2 for r in self.records)

    def fruitless(self, group: str) -> int:
        """Restarts in a row, up to this one, that began the group and finished or saved nothing."""
        count, restarts = 0, sorted({r["restart"] for r in self.records if r["restart"] < self.restart}, reverse=True)
        for restart in restarts:
            begun = any(r["group"] == group and r["event"] == "start" and r["restart"] == restart for r in self.records)
            if not begun or self._got_on(restart):
                break
            count += 1
        return count

    def _got_on(self, restart: int) -> bool:
        """Whether a restart finished a group, or saved more of one than any before it."""
        ends = [r for r in self.records if r["event"] == "end" and r["restart"] == restart]
        return any(r["outcome"] in ("done", "failed") or self._saved_more(r) for r in ends)

    def _saved_more(self, end: Record) -> bool:
        return (end.get("saved") or 0.0) >= self.saved(end["group"], end["restart"]) + STEP


BEGUN = frozenset({"done", "failed", "interrupted", "stored"})
"""How a group ends that was begun; `blocked` and `handed_back` were not."""


def counts(known: Iterable[Submission], alive: Collection[tuple[str, int]]) -> dict[str, int]:
    """How often tasks were preempted, ran into their time limit, and were lost: killed, or their node gone.

    `alive` are the tasks (name of the submission, index) that are queued or running.
    """
    found: Counter[str] = Counter()
    for one in known:
        by_task: dict[int, list[Record]] = {}
        for record in one.comings():
            by_task.setdefault(record["task"], []).append(record)
        for task, records in by_task.items():
            found.update(endings(records, (one.name, task) in alive))
    return {str(ending): found[ending] for ending in Ending if found[ending]}


def endings(records: Sequence[Record], alive: bool) -> list[Ending]:
    """What ended each restart of one task, as far as it was ended from outside; `records` say when it came and left."""
    last = max(record["restart"] for record in records)
    found = []
    for restart in sorted({record["restart"] for record in records}):
        mine = [record for record in records if record["restart"] == restart]
        goes_on = restart < last or alive
        ending = _ending(mine, restart < last, goes_on)
        found += [ending] if ending else []
    return found


def _ending(mine: Sequence[Record], over: bool, goes_on: bool) -> Ending | None:
    """A task that was told to stop and came back was preempted; one that did not come back was cancelled by somebody."""
    left = [record for record in mine if record["event"] == "left"]
    whys = {record.get("why") for record in left}
    if USR2 in whys:
        return Ending.TIME_LIMIT
    if TERM in whys:
        return Ending.PREEMPTED if goes_on else None
    missing = len(left) < sum(record["event"] == "begun" for record in mine)
    return Ending.LOST if missing and (over or not goes_on) else None
