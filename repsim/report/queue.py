"""Owns how the queue is shown: tasks as squeue lists them → one line per submission, with the reasons to wait."""

import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from repsim.cluster import UNKNOWN, WAITING, Task
from repsim.queued import Queue
from repsim.report import reasons
from repsim.report.counts import number
from repsim.submission import Submission

UNSAID = {"None", ""}
SHOWN_NODES = 6
OLD_S = 1.0


def queue_json(submissions: Iterable[Submission], tasks: Iterable[Task]) -> dict[str, Any]:
    """Each submission that has a task in the queue, oldest first, its tasks folded by state and by reason."""
    by_name: dict[str, list[Task]] = {}
    for task in tasks:
        by_name.setdefault(task.name, []).append(task)
    return {"queue": [_folded(one, by_name[one.name]) for one in submissions if one.name in by_name]}


def age_json(queue: Queue, now: float | None = None) -> dict[str, Any]:
    """How old that is which is shown of the queue, in seconds (null: it was never seen), and why it is no newer."""
    now = time.time() if now is None else now
    return {"queue_age_s": None if queue.asked is None else round(max(0.0, now - queue.asked), 1), "queue_unknown": queue.unknown}


def age_lines(shown: Mapping[str, Any]) -> list[str]:
    """The object of `age_json` for people: nothing where it was asked just now."""
    age, unknown = shown["queue_age_s"], shown["queue_unknown"]
    ago = "it was never seen" if age is None else f"as it was {age:.0f} s ago"
    if unknown:
        first, *rest = unknown.splitlines()
        return [f"unknown now, {ago}. {first}", *(line.strip() for line in rest)]
    return [f"({ago})"] if age is not None and age >= OLD_S else []


def queue_text(shown: Mapping[str, Any]) -> str:
    """The object of `queue_json` and `age_json` for people."""
    found = [line for one in shown["queue"] for line in lines(one)] or ["nothing is queued or running"]
    return "\n".join([*found, *age_lines(shown)])


def lines(one: Mapping[str, Any]) -> list[str]:
    """A submission in one line, and one more for each reason to wait."""
    states = ", ".join(f"{count:,} {state}" for state, count in one["tasks"].items())
    nodes = f" on {', '.join(one['nodes'][:SHOWN_NODES])}" if one["nodes"] else ""
    more = f" and {len(one['nodes']) - SHOWN_NODES} more" if len(one["nodes"]) > SHOWN_NODES else ""
    head = f"{one['job']}  {one['sweep']} ({one['stage']})  {states} with {number(one['runs'], 'run')}{nodes}{more}"
    return [head, *(line for why in one["reasons"] for line in _why(why))]


def _why(why: Mapping[str, Any]) -> list[str]:
    """Why some tasks wait, and what helps where waiting does not."""
    return [f"    {number(why['tasks'], 'task')}: {why['words']}", *([f"        → {why['do']}"] if why["do"] else [])]


def _folded(one: Submission, tasks: Sequence[Task]) -> dict[str, Any]:
    waiting = [task for task in tasks if task.state in (*WAITING, UNKNOWN) and task.reason not in UNSAID]
    why = Counter(task.reason for task in waiting)
    held = one.outline
    return {
        "submission": one.name,
        "sweep": one.head["sweep"],
        "stage": one.head["stage"],
        "job": element_names([task.element for task in tasks]),
        "tasks": dict(sorted(Counter(task.state.lower() for task in tasks).items())),
        "runs": sum(len(group["runs"]) for task in tasks for group in held[task.index]),
        "reasons": [_reason(one, name, [task for task in waiting if task.reason == name]) for name, _ in why.most_common()],
        "nodes": sorted({task.node for task in tasks if task.node}),
    }


def _reason(one: Submission, name: str, tasks: Sequence[Task]) -> dict[str, Any]:
    why, job = reasons.of(name), element_names([task.element for task in tasks])
    do = why.do.format(job=job.replace(" ", ","), sweep=one.head["sweep"]) if why.do else None
    return {"reason": name, "words": why.words, "tasks": len(tasks), "do": do}


def element_names(elements: Iterable[str]) -> str:
    """17_0, 17_1, 17_2, 17_5 → 17_[0-2,5]; a plain job or a local run keeps its name."""
    indices: dict[str, set[int]] = {}
    for element in elements:
        job, _, index = element.partition("_")
        indices.setdefault(job, set()).update([int(index)] if re.fullmatch(r"\d+", index) else [])
    return " ".join(f"{job}_[{_ranges(sorted(found))}]" if found else job for job, found in indices.items())


def _ranges(indices: Sequence[int]) -> str:
    """0, 1, 2, 5 → 0-2,5."""
    runs = (list(members) for _, members in groupby(enumerate(indices), lambda pair: pair[1] - pair[0]))
    ends = ((run[0][1], run[-1][1]) for run in runs)
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ends)
