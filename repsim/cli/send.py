"""Owns sending to Slurm what a sweep lacks, as `sweep submit` does: plan, show, ask, send."""

from pathlib import Path
from typing import Any

from repsim import budget, cluster, orders, reconcile, submission
from repsim.cli import here
from repsim.cli.output import confirm, say
from repsim.dropped import Dropped
from repsim.errors import SpecError
from repsim.plan import Plan
from repsim.profile import Profile, device_of, load_profile
from repsim.project import Project
from repsim.report import places, plans
from repsim.report.counts import number
from repsim.report.queue import element_names
from repsim.state import State
from repsim.sweep.expand import Sweep


def profile_of(project: Project, sweep: Sweep, name: str | None) -> tuple[str, Profile]:
    """The profile called `name`, else the sweep's own, else `local`."""
    chosen = (sweep.spec.profile or "local") if name is None else name
    return chosen, load_profile(project.profiles, chosen)


def must_be_slurm(profile: Profile, name: str, instead: str = "repsim sweep run") -> None:
    """SpecError for a profile that computes on this machine; `instead` is the command that does."""
    if profile.cluster != "slurm":
        raise SpecError(f"the profile '{name}' is not for Slurm", do=f"compute here with: {instead}, or name one with --profile")


def submit(
    project: Project,
    sweep: Sweep,
    profile: Profile,
    name: str,
    yes: bool,
    chain: bool,
    also: tuple[State, ...],
    hours: float | None = None,
    prune: bool = False,
) -> tuple[dict[str, Any], str]:
    """Plan, show, ask, send; what was sent as an object and as text. UserError beyond the budget: `hours`, else the file's."""
    allowed = budget.of(sweep, profile, name, hours)
    cluster.version()
    reconcile.close_finished(project)
    if not also:  # a retry is asked for by somebody who has seen the failures
        orders.refuse_stopped(submission.every(project.submissions), sweep.name)
    old = Dropped() if also else reconcile.find_dropped(project, sweep)  # a retry is of a part of the file
    states = reconcile.standings(project, sweep)
    reconcile.refuse_lost_imports(project, sweep, states)
    made = reconcile.make_plan(project, sweep, states, profile, device_of(profile), also)
    say(plans.plan_text(made, sweep, name, states, allowed and allowed.hours))
    stages = reconcile.stages_of(made, chain)
    for words in (places.where_text(stages, profile) if stages else "", places.dropped_text(old)):
        if words:
            say(words)
    facts = {"sweep": sweep.name, "dropped": len(old.runs), "pruned": _pruned(old, yes) if prune else []}
    tasks = sum(len(stage.tasks) for stage in stages)
    if not tasks:
        return {**facts, "sent": [], "left": 0}, "nothing to submit" + _why(made, also)
    if allowed:
        paid = budget.spent(project, sweep, profile, device_of(profile), states)
        budget.refuse(allowed, paid, budget.to_send(made, chain), plans.unit(profile.gpus_per_task))
    confirm(f"Submit {number(tasks, 'task')}?", yes)
    sent = reconcile.submit(project, sweep, made, profile, states, chain, lambda words: say(f"repsim: {words}"))
    facts |= {"sent": [vars(one) for one in sent], "left": tasks - sum(one.tasks for one in sent)}
    if not sent:
        return facts, "nothing was sent" + _why(made, also)
    lines = [f"sent {number(one.runs, 'run')} in {number(one.tasks, 'task')}: job {one.job_id} ({one.stage})" for one in sent]
    watch = [f"watch: repsim sweep status {sweep.name}"] if sweep.path.is_file() else []
    return facts, "\n".join([*lines, *watch])


def emit(project: Project, sweep: Sweep, profile: Profile, name: str, chain: bool, folder: Path) -> tuple[dict[str, Any], str]:
    """Write what `submit` would send, and the plan, into `folder`; what is queued counts as new, as no Slurm is asked."""
    states = reconcile.standings(project, sweep, list)
    made = reconcile.make_plan(project, sweep, states, profile, device_of(profile))
    scripts = reconcile.emit(project, sweep, made, profile, states, chain, folder)
    text = plans.plan_text(made, sweep, name, states)
    said = {"sweep": sweep.name, "folder": str(folder), "scripts": [str(script) for script in scripts]}
    return said, f"{text}\n→ {folder}: {number(len(scripts), 'batch script')}, each with its plan.json; nothing was sent"


def _pruned(old: Dropped, yes: bool) -> list[str]:
    """Cancel, after asking, what holds only runs that the file no longer names; the elements."""
    elements = [task.element for task in old.tasks]
    if elements:
        confirm(f"Cancel {number(len(elements), 'task')}?", yes)
        cluster.cancel(elements)
        say(f"cancelled {number(len(elements), 'task')}: {element_names(elements)}")
    return elements


def _why(made: Plan, also: tuple[State, ...]) -> str:
    waiting = made.stage("later")
    if waiting:
        wait = number(waiting.runs, "run")
        return f": {wait} waiting for networks that are queued or failed (--chain sends them behind)"
    busy = made.counts.get(State.RUNNING, 0) + made.counts.get(State.PENDING, 0)
    left = {"under way": busy, **here.left_alone(made, also)}
    return ": " + (", ".join(f"{number(n, 'run')} {name}" for name, n in left.items() if n) or "all is done")
