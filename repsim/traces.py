"""Owns what submissions left behind of each run: attempt records and the queue → the last standing, and how often it was killed.

An element counts as alive only while squeue shows it so, or while nobody can be asked. Of dead ones whose records and whose last
state do not say how they ended, accounting is asked where there is any.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

from repsim import accounting, cause, cluster, log, progress, submission
from repsim.cause import Cause
from repsim.job import RunId
from repsim.restarts import STEP, USR2
from repsim.state import MAX_KILLED, Standing, State, Traces
from repsim.submission import Submission

UNTOLD = (None, "FAILED")
"""Last states that do not tell why a task died."""
UNTELLING = ("", "None", "NonZeroExitCode")
"""What Slurm gives as reason where it knows none."""
MEMORY = "killed: it took more memory than mem_gb of its task"
STILLBORN = "the task died before its first group"
Elements = Mapping[tuple[str, int], cluster.Task]
"""By name of the submission and index of the task."""


def read(
    submissions: Iterable[Submission],
    ask_queue: Callable[[], list[cluster.Task]],
    ask_accounts: accounting.Ask = accounting.nobody,
) -> Traces:
    """Read every submission, oldest first; the queue is asked only if one of them may still be alive.

    Accounting is asked how those tasks ended of which neither the queue nor a record tells.
    """
    known = [one for one in submissions if not one.withdrawn]
    tasks = elements(known, ask_queue)
    records = [_Record(one, one.events(), tasks) for one in known]
    endings = ask_accounts([lost for record in records for lost in record.lost()])
    last: dict[RunId, Standing] = {}
    killed: Counter[RunId] = Counter()
    late: Counter[RunId] = Counter()
    for record in records:
        for run, standing, deaths, limits in record.read(endings):
            if deaths or run in killed:  # after so many only a person sends it: again
                killed[run] = deaths + (killed[run] if killed[run] < MAX_KILLED else 0)
            if limits:
                late[run] = limits + (late[run] if late[run] < MAX_KILLED else 0)
            if run not in last or last[run].state not in (State.RUNNING, State.PENDING):
                last[run] = standing
    return Traces(last, killed, late)


def elements(known: Sequence[Submission], ask_queue: Callable[[], list[cluster.Task]]) -> Elements:
    """Array elements that squeue knows, dead ones too, and the tasks of each local run whose process lives.

    A closed submission has none, whatever an old answer of squeue says.
    """
    open_ones = {one.name: one for one in known if not one.closed}
    local = [one for one in open_ones.values() if "pid" in (one.sent or {})]
    found = [task for task in ask_queue() if task.name in open_ones] if len(local) < len(open_ones) else []
    found += [
        _local_task(one, index) for one in local if submission.local_alive(one.sent or {}) for index in range(len(one.outline))
    ]
    return {(task.name, task.index): task for task in found}


def _local_task(one: Submission, index: int) -> cluster.Task:
    return cluster.Task(one.name, index, "RUNNING", "None", (one.sent or {})["host"], "local")


@dataclass(frozen=True)
class _Record:
    """What is on record of one submission, and what the queue shows of its tasks."""

    one: Submission
    events: Sequence[Mapping[str, Any]]
    tasks: Elements

    @cached_property
    def ended(self) -> Mapping[int, str]:
        """The last state of each task, read once: a submission may have a thousand."""
        return self.one.ended

    def alive(self, index: int) -> cluster.Task | None:
        element = self.tasks.get((self.one.name, index))
        return element if element is not None and element.state in cluster.ALIVE else None

    def last(self, index: int, endings: accounting.Endings = MappingProxyType({})) -> str | None:
        """The state in which Slurm left a dead task. FAILED is all that squeue says of one that ran out of memory."""
        element = self.tasks.get((self.one.name, index))
        shown = element.state if element else self.ended.get(index)
        if shown not in UNTOLD:
            return shown
        if said := endings.get((self.one.name, index)):
            return said[-1].state
        return accounting.OUT_OF_MEMORY if index in self.killed_for_memory else shown

    @cached_property
    def spans(self) -> Sequence[progress.Span]:
        return progress.spans(self.one, self.events)

    @cached_property
    def killed_for_memory(self) -> frozenset[int]:
        """Tasks that left a group without an end, and in whose log Slurm says that memory was why."""
        unended = {span.task for span in self.spans if span.end is None}
        return frozenset(index for index in unended if not self.alive(index) and cause.of_log(log.last_words(self.one, index)))

    def lost(self) -> Iterable[accounting.Lost]:
        """Tasks whose end only accounting may know: killed in a group, begun anew after that, or dead before their first."""
        if "job_id" not in (self.one.sent or {}):
            return
        newest = {span.task: span for span in self.spans}
        seen = {event["task"] for event in self.events}
        open_ones = {span.task: span for span in self.spans if span.end is None}
        for index in range(len(self.one.outline)):
            span, alive = open_ones.get(index), self.alive(index)
            if span is not None and (span is not newest[index] if alive else self.last(index) in UNTOLD):
                yield accounting.Lost(self.one, index, span.start)
            elif index not in seen and not alive and self.last(index) in UNTOLD:
                yield accounting.Lost(self.one, index, 0.0)

    def read(self, endings: accounting.Endings) -> Iterable[tuple[RunId, Standing, int, int]]:
        """(run, standing, how often it was killed, how often the time limit ended it with nothing more saved) for every run."""
        latest, starts, ends = _by_group(self.events)
        limits = _time_limits(self.events)
        begun = {task for task, _ in starts}
        for index, groups in enumerate(self.one.outline):
            alive = self.alive(index)
            last = self.last(index, endings)
            stillborn = not alive and index not in begun and last in cluster.DIED
            for group in groups:
                key = (index, group["id"])
                event = latest.get(key)
                busy = alive and event is not None and event["event"] == "start"
                standing = self._stillborn(index, last) if stillborn else _of_task(self.one, alive, event, index, last)
                deaths = max(0, starts[key] - ends[key] - (1 if busy else 0))
                yield from ((run["id"], standing, deaths, limits[key]) for run in group["runs"])

    def _stillborn(self, index: int, last: str | None) -> Standing:
        """A task that Slurm calls failed and that never began a group: interpreter, path, set-up or what it asks for are wrong."""
        one, element = self.one, self.tasks.get((self.one.name, index))
        if last == "FAILED" and cause.told_to_stop(log.last_words(one, index)):
            return Standing(State.NEW, None, None, one.name, index)
        why = f"Slurm says {element.reason}; " if element and element.reason not in UNTELLING else ""
        seen = f"do the nodes see {one.slurm}, and has one of them what the profile asks for?"
        said = log.last_line(log.file_of(one, index)) or f"it left no log: {why}{seen}"
        return Standing(State.FAILED, cause.of_slurm(last), f"{STILLBORN}: {said}", one.name, index)


def _by_group(events: Sequence[Mapping[str, Any]]) -> tuple[dict, Counter, Counter]:
    latest = {(e["task"], e["group"]): e for e in events}
    starts = Counter((e["task"], e["group"]) for e in events if e["event"] == "start")
    ends = Counter((e["task"], e["group"]) for e in events if e["event"] == "end")
    return latest, starts, ends


def _time_limits(events: Sequence[Mapping[str, Any]]) -> Counter:
    """How often the time limit ended a group of which no more was saved than before: what gets on may take many tasks."""
    found: Counter[tuple[int, str]] = Counter()
    saved: dict[tuple[int, str], float] = {}
    for event in (event for event in events if event.get("why") == USR2):
        key, share = (event["task"], event["group"]), event.get("saved") or 0.0
        found[key] += share < saved.get(key, 0.0) + STEP
        saved[key] = max(share, saved.get(key, 0.0))
    return found


def _of_task(one: Submission, task: cluster.Task | None, event: dict[str, Any] | None, index: int, last: str | None) -> Standing:
    """The state that a task gives its group: `task` where it is alive, else `last`, the state in which Slurm left it."""
    failed = event is not None and event.get("outcome") == "failed"
    if task is not None and not (failed and task.state not in cluster.WAITING):  # a failure shows before its task ends
        begun = event is not None and event["event"] == "start" and (task.state not in cluster.WAITING or event["at"] > task.asked)
        return Standing(State.RUNNING if begun else State.PENDING, task.reason, None, one.name, index)
    if event is None:
        return Standing(State.NEW, None, None, one.name, index)
    if event["event"] == "start":
        why = cause.of_slurm(last)
        ended = State.FAILED if why is Cause.OOM_HOST else State.NEW  # sent again as it is, it would only be killed again
        return Standing(ended, why, MEMORY if ended is State.FAILED else None, one.name, index)
    if event["outcome"] == "failed":
        return Standing(State.FAILED, event["cause"], event["message"], one.name, index)
    return Standing(State.NEW, event["outcome"], None, one.name, index)
