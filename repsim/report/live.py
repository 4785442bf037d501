"""Owns how work under way is shown: what dies at once, the queue folded, progress and pace of live tasks, new failures."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from repsim import progress, traces
from repsim.cluster import WAITING, Task
from repsim.job import RunId
from repsim.progress import Span
from repsim.report import queue as queues
from repsim.report.counts import number
from repsim.state import Standing, State
from repsim.submission import Submission
from repsim.sweep.expand import Run

NEWEST = 3
SHOWN_TASKS = 20
LONGEST = 120  # letters of a message
AT_ONCE = 3  # tasks that die before their first group: the next would too


def live_json(
    known: Sequence[Submission], states: Mapping[RunId, Standing], tasks: Sequence[Task], runs: Iterable[Run]
) -> dict[str, Any]:
    """What `sweep status` says beyond counts, of submissions that hold one of `runs`; `tasks` are the live ones."""
    ids, failed = set(states), {run for run, standing in states.items() if standing.state is State.FAILED}
    held = {one.name: groups for one in known if (groups := _groups(one, ids))}
    mine = [one for one in known if one.name in held]
    found = [span for one in mine for span in progress.spans(one) if span.group in held[one.name]]
    lasting = [span for span in found if not failed.isdisjoint(held[span.submission.name][span.group])]
    alive = {(task.name, task.index) for task in tasks}
    stillborn = _stillborn_tasks(states.values())
    return {
        "hours_wasted": round(progress.wasted_hours(found, alive), 4),
        "warnings": [words for one in mine for words in _stillborn(one, stillborn.get(one.name, set()), tasks)],
        **queues.queue_json(mine, tasks),
        "live": [_task(task, mine, found, held) for task in tasks if task.state == "RUNNING" and task.name in held],
        "newest_failures": _failures(list(progress.newest_failures(lasting, NEWEST)), held, runs),
    }


def live_lines(shown: Mapping[str, Any], now: float | None = None) -> list[str]:
    """The part of `live_json` for people."""
    lines = _block("dying", shown["warnings"])
    lines += _block("queue", [*(line for one in shown["queue"] for line in queues.lines(one)), *_age(shown)])
    more = [f"and {number(len(shown['live']) - SHOWN_TASKS, 'task')} more"] if len(shown["live"]) > SHOWN_TASKS else []
    lines += _block("live", [*map(_live, shown["live"][:SHOWN_TASKS]), *more])
    now = time.time() if now is None else now
    return lines + _block("newest", [_failed(failure, now) for failure in shown["newest_failures"]])


def _stillborn_tasks(standings: Iterable[Standing]) -> dict[str, set[int]]:
    """By name of the submission the tasks that died before their first group."""
    found: dict[str, set[int]] = {}
    for standing in standings:
        if standing.message and standing.message.startswith(traces.STILLBORN) and standing.submission and standing.task is not None:
            found.setdefault(standing.submission, set()).add(standing.task)
    return found


def _stillborn(one: Submission, died: set[int], tasks: Iterable[Task]) -> list[str]:
    """What to do where task after task dies before its first group, so that the rest does not follow."""
    waiting = [task.element for task in tasks if task.name == one.name and task.state in WAITING]
    if len(died) < AT_ONCE or not waiting:
        return []
    job = waiting[0].partition("_")[0]
    todo = f"scontrol hold {job}; mend it; scontrol release {job}"
    return [f"{number(len(died), 'task')} of {job} died before a group, {len(waiting):,} more wait → {todo}"]


def _age(shown: Mapping[str, Any]) -> list[str]:
    """How old the queue is, where there is one to be shown."""
    return queues.age_lines(shown) if shown["queue"] or shown["queue_unknown"] else []


def _block(name: str, lines: Iterable[str]) -> list[str]:
    """Lines with a name before the first."""
    return [f"  {name if index == 0 else '':<9} {line}" for index, line in enumerate(lines)]


def _groups(one: Submission, ids: set[RunId]) -> dict[str, list[RunId]]:
    """The groups of a submission that hold any of the runs, with their runs."""
    all_groups = {group["id"]: [run["id"] for run in group["runs"]] for task in one.outline for group in task}
    return {group: runs for group, runs in all_groups.items() if not ids.isdisjoint(runs)}


def _task(task: Task, known: Iterable[Submission], found: Iterable[Span], held: Mapping[str, Mapping[str, list[RunId]]]) -> dict:
    one = next(one for one in known if one.name == task.name)
    mine = [span for span in found if (span.submission.name, span.task) == (task.name, task.index)]
    groups = one.outline[task.index]
    last = progress.beat(one, task.index) or {}
    pace = progress.pace(mine, lambda span: len(held[task.name][span.group]))
    return {
        "job": task.element,
        "task": task.index,
        "node": task.node,
        "groups": len(groups),
        "finished": len({span.group for span in mine if span.outcome in ("done", "failed")}),
        "group": last.get("group"),
        "fraction": last.get("fraction"),
        "text": last.get("text"),
        "runs_per_hour": None if pace is None else round(pace, 2),
    }


def _failures(spans: Sequence[Span], held: Mapping[str, Mapping[str, list[RunId]]], runs: Iterable[Run]) -> list[dict[str, Any]]:
    """Each with one of its runs as example, by id and, where it is one of `runs`, in words."""
    examples = [held[span.submission.name][span.group][0] for span in spans]
    slugs = {run.id: run.slug for run in runs if run.id in examples} if examples else {}
    return [
        {"at": s.end, "cause": s.cause, "message": s.message, "host": s.host, "example": run, "slug": slugs.get(run, run)}
        for s, run in zip(spans, examples, strict=True)
    ]


def _live(task: Mapping[str, Any]) -> str:
    """17_3 on n2: group 4 of 9, 35 % stitching, 120 runs/h."""
    part = f", {task['fraction']:.0%} {task['text']}".rstrip() if task["fraction"] is not None and task["fraction"] < 1 else ""
    pace = f", {task['runs_per_hour']:,.0f} runs/h" if task["runs_per_hour"] else ""
    name = f"local {task['task']}" if task["job"] == "local" else task["job"]
    return f"{name} on {task['node']}: {task['finished']} of {number(task['groups'], 'group')}{part}{pace}"


def _failed(one: Mapping[str, Any], now: float) -> str:
    """3 min ago on n1: oom_gpu: the first line of the message (a run in words)."""
    first, ago = (one["message"] or "").partition("\n")[0], max(0.0, now - one["at"]) / 60
    said = first if len(first) <= LONGEST else first[: LONGEST - 1] + "…"
    return f"{ago:.0f} min ago on {one['host']}: {one['cause']}: {said}  ({one['slug']})"
