"""Owns `repsim sweep cancel` and `repsim sweep retry`: the same filter as `status`, shown, asked, then done."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Annotated, Any

import typer

from repsim import accounting, cluster, hardware, local, nodes, queued, reconcile, retry, submission
from repsim import plan as planning
from repsim.cause import Cause, rule
from repsim.cli import here, send
from repsim.cli.output import Filters, Json, ProfileOption, SpecArgument, Yes, confirm, opened, say, show
from repsim.cluster import Task
from repsim.errors import UserError, nearest
from repsim.profile import Profile
from repsim.project import Project
from repsim.report.counts import number
from repsim.report.queue import element_names
from repsim.state import Standing, State
from repsim.sweep.expand import Sweep
from repsim.sweep.filters import matcher


def _cause(word: str) -> Cause:
    if word not in set(Cause):
        raise UserError(f"no run fails for '{word}'", where="--cause", do=nearest(word, Cause))
    return Cause(word)


CauseOption = Annotated[
    Cause | None,
    typer.Option("--cause", parser=_cause, metavar="|".join(Cause), help="Only what failed for this cause."),
]
BUSY = (State.RUNNING, State.PENDING)


def cancel(spec: SpecArgument, filters: Filters = None, yes: Yes = False, json: Json = False) -> None:
    """Cancel the tasks that hold queued or running runs of the sweep; results stay."""
    project, sweep = opened(spec)
    keep = matcher(filters or [], sweep)
    states = reconcile.standings(project, sweep)
    wanted = {run.id for run in sweep.all_runs if keep(run)}
    tasks = reconcile.tasks_of(project, states, wanted)
    if not tasks:
        show(json, {"cancelled": []}, "nothing of it is queued or running in Slurm")
        return
    say(f"to cancel: {_touched(project, tasks, states, wanted)}")
    confirm("Cancel?", yes)
    elements = [task.element for task in tasks]
    cluster.cancel(elements)
    queued.forget(project)
    show(json, {"cancelled": elements}, f"cancelled {number(len(elements), 'task')}: {element_names(elements)}")


def retry_failed(
    spec: SpecArgument,
    filters: Filters = None,
    failed: Annotated[bool, typer.Option("--failed", help="All that failed; so too without a filter or a cause.")] = False,
    why: CauseOption = None,
    profile: ProfileOption = None,
    compute_here: Annotated[bool, typer.Option("--here", help="Compute them on this machine.")] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Send failed runs again, and only those (submit leaves them alone), as the rule of their cause says."""
    project, sweep = opened(spec)
    states = reconcile.standings(project, sweep)
    part = planning.failed_only(sweep, states, matcher(filters or [], sweep), why)
    failures = [states[run.id] for run in part.all_runs if states[run.id].state is State.FAILED]
    causes = Counter(standing.cause for standing in failures)
    for each, count in causes.items():
        say(f"{number(count, 'run')} × {each}: {rule(each).words}")
    if compute_here:
        picked = hardware.pick_device("auto")
        here.run(project, part, picked, local.workers_for(picked, None), Profile(cluster="local"), None, json, (State.FAILED,))
        return
    show(json, *_sent(project, sweep, part, profile, failures, yes))


def _sent(
    project: Project, sweep: Sweep, part: Sweep, profile: str | None, failures: Sequence[Standing], yes: bool
) -> tuple[dict[str, Any], str]:
    name, chosen = send.profile_of(project, sweep, profile)
    send.must_be_slurm(chosen, name, f"repsim sweep retry {sweep.name} --here")
    known = submission.every(project.submissions)
    plans = {one.name: one.plan for one in known}
    suited = retry.suited(chosen, [retry.Failure(each.cause, plans.get(each.submission or "", {})) for each in failures])
    for words in retry.words(chosen, suited):
        say(words)
    if any(rule(each.cause).elsewhere for each in failures):
        found = nodes.faults(known, endings=accounting.remembered(project.cache))
        suited = nodes.avoiding(suited, nodes.suspects(found, least=1))
    with reconcile.locked(project):
        return send.submit(project, part, suited, name, yes, False, (State.FAILED,))


def _touched(project: Project, tasks: list[Task], states: dict[str, Standing], wanted: set[str]) -> str:
    """2 tasks, 17_[0-1], with 8 runs, 3 of which the filter does not name, and 4 runs of other sweeps."""
    held = {(task.name, task.index) for task in tasks}
    runs = {run for run, s in states.items() if s.state in BUSY and (s.submission, s.task) in held}
    others = len(runs - wanted)
    beside = f", {others:,} of which the filter does not name" if others else ""
    foreign = number(_foreign(project, held, states), "run")
    also = "" if foreign == "0 runs" else f", and {foreign} of other sweeps"
    return f"{number(len(tasks), 'task')}, {element_names(t.element for t in tasks)}, with {number(len(runs), 'run')}{beside}{also}"


def _foreign(project: Project, held: set[tuple[str, int]], mine: Collection[str]) -> int:
    """How many runs that are not `mine` those tasks still have before them: tasks that sweeps share go with all that they hold."""
    found: set[str] = set()
    for one in submission.every(project.submissions):
        over = {(event["task"], event["group"]) for event in one.events() if event["event"] == "end"}
        groups = [(index, group) for index, task in enumerate(one.outline) if (one.name, index) in held for group in task]
        found |= {run["id"] for index, group in groups if (index, group["id"]) not in over for run in group["runs"]}
    return len(found.difference(mine))
