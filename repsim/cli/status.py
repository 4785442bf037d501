"""Owns `repsim sweep status`: how far sweeps are, once or (`--watch`) redrawn until nothing of them is under way."""

import gc
import json as json_text
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from repsim import cluster, cost, hindsight, reconcile, spending, store, submission, traces
from repsim import plan as planning
from repsim.cli import here
from repsim.cli.output import project_of, show, spec_path
from repsim.errors import ClusterError, InputError, UserError, printable
from repsim.job import RunId
from repsim.project import Project
from repsim.queued import Queue
from repsim.report import halts, live, plans
from repsim.report import queue as queues
from repsim.report.grid import grid_json
from repsim.state import Standing, State
from repsim.submission import Submission
from repsim.sweep.expand import Sweep, open_sweep
from repsim.sweep.filters import matcher

MANY = 500_000  # objects made before garbage is looked for: those of a large sweep all live to the end, and looking takes longer
ASK_S = 60.0  # seconds between two questions to Slurm while watching
LOOK_S = 5.0  # and between two looks at the files
BUSY = (State.RUNNING.value, State.PENDING.value)


@dataclass(frozen=True)
class Asked:
    """What is asked of one sweep: filters KEY=VALUE, and the axes of the grid."""

    filters: Sequence[str] = ()
    rows: str | None = None
    cols: str | None = None


def told(spec: str | None, asked: Asked, watch: bool, json: bool) -> None:
    """Print how far the sweep is, or without one all that were sent; with `watch` until nothing of it is under way."""
    gc.set_threshold(MANY)
    project = project_of(spec)
    if spec is None and (watch or asked != Asked()):
        raise InputError("that is shown of one sweep at a time", do="name it: repsim sweep status SPEC …")
    if spec and watch:
        _watch(project, open_sweep(spec_path(spec, project), project), asked, json)
        return
    queue = Queue(project)
    if spec:
        shown = _status(project, open_sweep(spec_path(spec, project), project), asked, queue)
        show(json, shown, text_of(shown))
        _close(project, queue)
        return
    found, errors = _statuses(project, queue)
    text = "\n".join([*map(text_of, found), *errors]) or "nothing was sent or run yet"
    show(json, {"sweeps": found, "unreadable": errors}, text)


def text_of(shown: dict[str, Any]) -> str:
    """The object of a sweep's status for people."""
    bad = [f"  bad       {shown['bad_parts']} × no part that can be read, see: repsim results check"] if shown["bad_parts"] else []
    lines = [plans.status_text(shown), *bad, *halts.halts_lines(shown), *live.live_lines(shown), *_next(shown)]
    return printable("\n".join(lines))


def _next(shown: dict[str, Any]) -> list[str]:
    """The command that sends what nobody was asked to compute yet, where nothing else is under way or in the way."""
    counts = [shown["networks"], shown["runs"]]
    idle = not any(of.get(busy) for of in counts for busy in BUSY) and not shown["stops"]
    new = sum(of.get(State.NEW.value, 0) for of in counts)
    name = shown["sweep"]
    return [f"  next      repsim sweep submit {name}, or here: repsim sweep run {name}"] if idle and new else []


def _watch(project: Project, sweep: Sweep, asked: Asked, json: bool) -> None:
    """The same object again and again: redrawn on a terminal, else one text (or one line of JSON) for each look."""
    queue = Queue(project, ASK_S)
    with _screen(json) as draw:
        while True:
            shown = _status(project, sweep, asked, queue)
            draw(shown)
            if not any(shown[kind].get(busy) for kind in ("runs", "networks") for busy in BUSY):
                break
            time.sleep(LOOK_S)
    _close(project, queue)


def _close(project: Project, queue: Queue) -> None:
    """What is over is closed, and whoever wished to be told is told; by somebody else where Slurm does not answer now.

    Who may only read the project closes nothing.
    """
    known = [one for one in submission.every(project.submissions) if not one.closed]
    alive = {name for (name, _), task in traces.elements(known, queue).items() if task.state in cluster.ALIVE}
    if any(one.name not in alive and one.sent is not None for one in known):
        with suppress(ClusterError, OSError):
            reconcile.close_finished(project)


@contextmanager
def _screen(json: bool) -> Iterator[Callable[[dict[str, Any]], None]]:
    if json or not sys.stdout.isatty():
        yield lambda shown: print(json_text.dumps(shown, default=str) if json else text_of(shown), flush=True)
        return
    from rich.live import Live
    from rich.text import Text

    with Live(auto_refresh=False) as screen:
        yield lambda shown: screen.update(Text(text_of(shown)), refresh=True)


def _statuses(project: Project, queue: Queue) -> tuple[list[dict[str, Any]], list[str]]:
    """The status of every sweep that was sent; what is wrong with a file that no longer loads stops no other."""
    found, errors = [], []
    for path in here.known_sweeps(project):
        try:
            found.append(_status(project, open_sweep(path, project), Asked(), queue))
        except UserError as error:
            errors.append(error)
    if errors and not found:
        raise errors[0]
    return found, list(map(str, errors))


def _status(project: Project, sweep: Sweep, asked: Asked, queue: Queue) -> dict[str, Any]:
    """The object that is shown, of the runs that the filters name and the networks these need."""
    if asked.filters:
        sweep = planning.restricted(sweep, matcher(asked.filters, sweep))
    known = submission.every(project.submissions)
    states = reconcile.standings(project, sweep, queue, known)
    mine = {s.submission for s in states.values()}
    alive = [t for t in traces.elements(known, queue).values() if t.name in mine and t.state in cluster.ALIVE]
    shown = plans.status_json(sweep, states, alive, _hours(project, sweep, states, known))
    shown |= grid_json(sweep, states, asked.rows, asked.cols)
    shown |= halts.halts_json(known, sweep.name, {(task.name, task.index) for task in alive})
    shown["bad_parts"] = sum(len(store.bad_parts(project.store, job)) for job in sweep.jobs.values())
    return shown | live.live_json(known, states, alive, sweep.all_runs) | queues.age_json(queue)


def _hours(project: Project, sweep: Sweep, states: dict[RunId, Standing], known: Sequence[Submission]) -> plans.Hours:
    """Hours that stored runs took, and that the rest would take with the sweep's own profile."""
    left = spending.rest(project, sweep, states)
    ids = {run.id for run in sweep.all_runs}
    used = cost.hours_used(project.store, sweep.jobs, ids, {one.name: one.gpus for one in known})
    on_gpu = any(one.on_gpu for one in known if one.head["sweep"] == sweep.name)
    sent, guess = left.part(lambda run: states[run].state in (State.RUNNING, State.PENDING))
    is_over = not any(standing.undone for standing in states.values())
    past = hindsight.total(project.store, sweep.jobs, ids, known) if is_over else None
    return plans.Hours(used, left.hours(), plans.unit(left.gpus_per_task or on_gpu), left.gpus_per_task, sent, guess, past)
