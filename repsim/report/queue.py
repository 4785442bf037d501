"""Owns how the queue is shown: tasks as squeue lists them → one line per submission, with Slurm's reasons in words."""

import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from repsim.cluster import Task
from repsim.queued import Queue
from repsim.report.plans import number
from repsim.submission import Submission

REASONS = {
    "Resources": "next in line; waits for a free node",
    "Priority": "others come first",
    "Dependency": "waits for an array before it",
    "DependencyNeverSatisfied": "waits for an array that will never end well: cancel it and submit again",
    "JobArrayTaskLimit": "as many tasks run as max_parallel allows",
    "BeginTime": "its start time is not reached; after a requeue that takes minutes",
    "ReqNodeNotAvail": "the nodes it needs are down or reserved",
    "Nodes_required_for_job_are_DOWN,_DRAINED_or_reserved_for_jobs_in_higher_priority_partitions": "its nodes are down or reserved",
    "PartitionDown": "the partition is down",
    "PartitionInactive": "the partition takes no jobs now",
    "PartitionTimeLimit": "timeout_min is more than the partition allows",
    "PartitionNodeLimit": "it asks for more nodes than the partition allows",
    "BadConstraints": "no node is as the profile asks: see constraint, cpus_per_task, mem_gb, gpus_per_task",
    "Licenses": "waits for a licence",
    "Reservation": "waits for its reservation to begin",
    "JobHeldUser": "held by its owner: scontrol release lets it go",
    "JobHeldAdmin": "held by an administrator",
    "JobHoldMaxRequeue": "requeued too often: scontrol release lets it go",
    "InvalidAccount": "the account of the profile is not valid here",
    "InvalidQOS": "the qos of the profile is not valid here",
    "Cleaning": "its last attempt is still being cleaned up",
}
LIMITED = {"QOS": "a limit of the QOS is reached", "Assoc": "a limit of the account is reached", "Max": "a limit is reached"}
UNSAID = {"None", ""}
SHOWN_NODES = 6
OLD_S = 1.0


def in_words(reason: str) -> str:
    """What squeue gives as reason, for people; its own word where there is none of ours."""
    name = reason.split(",")[0].strip("()") if reason not in REASONS else reason
    limit = next((words for start, words in LIMITED.items() if name.startswith(start)), None)
    return REASONS.get(name) or (f"{limit} ({name})" if limit else reason)


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
        return [f"unknown now, {ago}. {unknown}"]
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
    return [head, *(f"    {number(why['tasks'], 'task')}: {why['words']}" for why in one["reasons"])]


def _folded(one: Submission, tasks: Sequence[Task]) -> dict[str, Any]:
    why = Counter(task.reason for task in tasks if task.state == "PENDING" and task.reason not in UNSAID)
    held = one.plan["tasks"]
    return {
        "submission": one.name,
        "sweep": one.plan["sweep"],
        "stage": one.plan["stage"],
        "job": element_names([task.element for task in tasks]),
        "tasks": dict(sorted(Counter(task.state.lower() for task in tasks).items())),
        "runs": sum(len(group["runs"]) for task in tasks for group in held[task.index]),
        "reasons": [{"reason": name, "words": in_words(name), "tasks": count} for name, count in why.most_common()],
        "nodes": sorted({task.node for task in tasks if task.node}),
    }


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
