"""Owns runs that are queued or running for a sweep though its file names them no longer."""

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass

from repsim import cluster
from repsim.job import RunId
from repsim.submission import Submission
from repsim.sweep.expand import Sweep

OVER = ("done", "stored")


@dataclass(frozen=True)
class Dropped:
    """Such runs, the tasks that hold nothing else (they may be cancelled), and how many tasks hold runs of the file too."""

    runs: frozenset[RunId] = frozenset()
    tasks: tuple[cluster.Task, ...] = ()
    mixed: int = 0


def find(sweep: Sweep, known: Iterable[Submission], tasks: Iterable[cluster.Task]) -> Dropped:
    """What the live `tasks` of the submissions of this sweep hold besides what its file names now."""
    named = {run.id for run in sweep.all_runs}
    mine = {one.name: one for one in known if not one.closed and not one.withdrawn and one.head["sweep"] == sweep.name}
    live = [task for task in tasks if task.name in mine and task.state in cluster.ALIVE]
    over = {name: _over(mine[name]) for name in {task.name for task in live}}
    held = [(task, set(_open(mine[task.name], task.index, over[task.name]))) for task in live]
    others = [(task, runs) for task, runs in held if runs - named]
    alone = tuple(task for task, runs in others if not runs & named)
    return Dropped(frozenset().union(*(runs - named for _, runs in others)), alone, len(others) - len(alone))


def _over(one: Submission) -> set[tuple[int, str]]:
    """Tasks and their groups that are stored; the records of all tasks are read at once, as a queue may hold a thousand."""
    return {(event["task"], event["group"]) for event in one.events() if event.get("outcome") in OVER}


def _open(one: Submission, index: int, over: Container[tuple[int, str]]) -> Iterator[RunId]:
    """Runs of a task that are not over."""
    for group in one.outline[index]:
        if (index, group["id"]) not in over:
            yield from (run["id"] for run in group["runs"])
