"""Owns `repsim sweep status`: how far sweeps are, once or (`--watch`) redrawn until nothing of them is under way."""

import json as json_text
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import typer

from repsim import cluster, cost, reconcile, submission, traces
from repsim import plan as planning
from repsim.cli import here, send
from repsim.cli.output import Filters, Json, project_of, show, spec_path
from repsim.errors import ClusterError, InputError, UserError
from repsim.project import Project
from repsim.queued import Queue
from repsim.report import live, plans
from repsim.report import queue as queues
from repsim.state import State
from repsim.sweep.expand import Sweep, open_sweep
from repsim.sweep.filters import matcher

ASK_S = 60.0  # seconds between two questions to Slurm while watching
LOOK_S = 5.0  # and between two looks at the files
BUSY = (State.RUNNING.value, State.PENDING.value)


def status(
    spec: Annotated[str | None, typer.Argument(metavar="[SPEC]", help="A sweep; without it, all that were sent.")] = None,
    filters: Filters = None,
    watch: Annotated[bool, typer.Option("--watch", help="Redraw it until nothing is queued or running; Ctrl-C leaves.")] = False,
    json: Json = False,
) -> None:
    """Show how far a sweep is: counts, grid, live tasks, hours, failures."""
    project = project_of(spec)
    if watch:
        if spec is None:
            raise InputError("one sweep can be watched at a time", do="name it: repsim sweep status SPEC --watch")
        _watch(project, open_sweep(spec_path(spec, project), project), filters or [], json)
        return
    queue = Queue(project)
    if spec:
        shown = _status(project, open_sweep(spec_path(spec, project), project), filters or [], queue)
        show(json, shown, text_of(shown))
        return
    found, errors = _statuses(project, queue)
    text = "\n".join([*map(text_of, found), *errors]) or "nothing was sent or run yet"
    show(json, {"sweeps": found, "unreadable": errors}, text)


def text_of(shown: dict[str, Any]) -> str:
    """The object of a sweep's status for people."""
    return "\n".join([plans.status_text(shown), *live.live_lines(shown)])


def _watch(project: Project, sweep: Sweep, filters: list[str], json: bool) -> None:
    """The same object again and again: redrawn on a terminal, else one text (or one line of JSON) for each look."""
    queue = Queue(project, ASK_S)
    with _screen(json) as draw:
        while True:
            shown = _status(project, sweep, filters, queue)
            draw(shown)
            if not any(shown[kind].get(busy) for kind in ("runs", "networks") for busy in BUSY):
                break
            time.sleep(LOOK_S)
    _close(project)


def _close(project: Project) -> None:
    """What is over is closed, and whoever wished to be told is told; by somebody else where Slurm does not answer now."""
    with suppress(ClusterError):
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
            found.append(_status(project, open_sweep(path, project), [], queue))
        except UserError as error:
            errors.append(error)
    if errors and not found:
        raise errors[0]
    return found, list(map(str, errors))


def _status(project: Project, sweep: Sweep, filters: list[str], queue: Queue) -> dict[str, Any]:
    """The object that is shown, of the runs that the filters name and the networks these need."""
    if filters:
        sweep = planning.restricted(sweep, matcher(filters, sweep))
    known = submission.every(project.submissions)
    states = reconcile.standings(project, sweep, queue, known)
    mine = {s.submission for s in states.values()}
    alive = [t for t in traces.elements(known, queue).values() if t.name in mine and t.state in cluster.ALIVE]
    chosen = send.profile_of(project, sweep, None)[1]
    left = reconcile.make_plan(project, sweep, states, chosen, send.device_of(chosen), (State.RUNNING, State.PENDING))
    ids = {run.id for run in sweep.all_runs}
    used = cost.hours_used(project.store, sweep.jobs, ids)
    return (
        plans.status_json(sweep, states, alive, used, left.hours()) | live.live_json(known, states, alive) | queues.age_json(queue)
    )
