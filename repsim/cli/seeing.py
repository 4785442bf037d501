"""Owns `repsim sweep queue`, `logs`, `nodes` and `clean`: what waits and why, what was printed for a run, which nodes are bad."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated

import typer

from repsim import accounting, cleaning, log, nodes, progress, queued, reconcile, submission, traces
from repsim.cli.output import Json, Yes, confirm, opened, project_of, say, show, spec_path
from repsim.cluster import ALIVE
from repsim.errors import ClusterError, InputError, printable
from repsim.project import Project
from repsim.report import faults, plans
from repsim.report import logs as failures
from repsim.report import queue as queues
from repsim.report.counts import number
from repsim.submission import Submission

LAST_WORDS = 20
Sent = Annotated[str | None, typer.Argument(metavar="[SPEC]", help="A sweep; without it, all that were sent.")]


def queue(spec: Sent = None, json: Json = False) -> None:
    """Show what is queued or running, one line per submission, and why it waits; asks Slurm at most once in 30 s."""
    project = project_of(spec)
    known = [one for one in submission.every(project.submissions) if not one.closed and _is_of(one, spec, project)]
    asked = queued.Queue(project)
    tasks = traces.elements(known, asked).values()
    shown = queues.queue_json(known, [task for task in tasks if task.state in ALIVE]) | queues.age_json(asked)
    show(json, shown, queues.queue_text(shown))


def logs(
    what: Annotated[str, typer.Argument(metavar="RUN|SPEC", help="The id of a run, or its beginning; with --failed, a sweep.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines are added, until the run has ended.")] = False,
    tail: Annotated[int | None, typer.Option("--tail", min=1, help="Only the last N lines.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Each distinct error of the sweep once, with its last lines.")] = False,
    json: Json = False,
) -> None:
    """Show what was printed while a run was computed, or the errors of a sweep."""
    if follow and (failed or json):
        raise InputError("only the log of one run can be followed, as text", do="leave out --failed and --json, or -f")
    if failed:
        _failed(what, tail or LAST_WORDS, json)
        return
    project = project_of()
    place = log.latest(log.places(submission.every(project.submissions), what))
    if follow:
        _follow(project, place, tail)
        return
    text = log.tail(place.slice or "", tail)
    last = progress.last(place.submission, place.task, place.group)
    known = {"run": place.run, "submission": place.submission.name, "task": place.task, "group": place.group}
    known |= {"host": last and last.host, "gpu": last and last.gpu}
    if last and last.host and not json:
        say(f"{log.PREFIX}run {place.run} on {', '.join(filter(None, (last.host, last.gpu)))}")
    show(json, {**known, "file": str(place.file), "log": text}, text.rstrip("\n") or _nothing(place))


def bad_nodes(json: Json = False) -> None:
    """Show the nodes that had a CUDA fault, or that Slurm lost, in the last 24 hours; after two, submissions avoid them."""
    project = project_of()
    found = nodes.faults(submission.every(project.submissions), endings=accounting.remembered(project.cache))
    shown = faults.nodes_json(found, nodes.suspects(found), nodes.EXPIRES_S)
    show(json, shown, faults.nodes_text(shown))


def clean(spec: Sent = None, yes: Yes = False, json: Json = False) -> None:
    """Remove the logs of tasks that are over and did all their groups; logs of failures, results and records stay."""
    project = project_of(spec)
    with suppress(ClusterError):  # what Slurm cannot be asked about is not over
        reconcile.close_finished(project)
    known = [one for one in submission.every(project.submissions) if _is_of(one, spec, project)]
    files = [file for one in known for file in cleaning.removable(one)]
    size = sum(file.stat().st_size for file in files)
    if not files:
        show(json, {"removed": 0, "bytes": 0}, "nothing to remove")
        return
    say(f"to remove: {number(len(files), 'file')} of tasks that went well, {size / 1e6:.1f} MB")
    confirm("Remove?", yes)
    for file in files:
        file.unlink(missing_ok=True)
    show(json, {"removed": len(files), "bytes": size}, f"removed {number(len(files), 'file')}")


def _failed(spec: str, tail: int, json: bool) -> None:
    project, sweep = opened(spec)
    known = submission.every(project.submissions)
    states = reconcile.standings(project, sweep, known=known)
    shown = failures.failed_json(plans.failures(sweep, states), states, known, tail)
    show(json, shown, printable(failures.failed_text(shown, sweep.name)))


def _follow(project: Project, place: log.Place, tail: int | None) -> None:
    """Print what comes; Ctrl-C ends the watching and nothing else."""
    for looks, text in enumerate(log.follow(place, _alive(project, place), time.sleep)):
        print(log.tail(text, tail) if looks == 0 else text, end="", flush=True)


def _alive(project: Project, place: log.Place) -> Callable[[], bool]:
    """Whether the task is queued or running, as far as Slurm said in the last half minute."""
    queue = queued.Queue(project)

    def alive() -> bool:
        task = traces.elements([place.submission], queue).get((place.submission.name, place.task))
        return task is not None and task.state in ALIVE

    return alive


def _nothing(place: log.Place) -> str:
    if not place.file.exists():
        return f"nothing is logged: task {place.task} of {place.submission.name} has not begun, or its log was removed"
    return f"its task has not come to run {place.run}; all that it printed is in {place.file}"


def _is_of(one: Submission, spec: str | None, project: Project) -> bool:
    return spec is None or one.head["sweep"] == spec_path(spec, project).stem
