"""Owns the budget: hours that a sweep may cost in all, and the refusal to send what would exceed them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from repsim import cost, progress, reconcile, submission
from repsim.errors import InputError, UserError
from repsim.job import RunId
from repsim.plan import Plan
from repsim.profile import Profile
from repsim.project import Project
from repsim.state import Standing, State
from repsim.submission import Submission
from repsim.sweep.expand import Sweep

BUSY = (State.RUNNING, State.PENDING)


@dataclass(frozen=True)
class Budget:
    """Hours (of GPUs where tasks hold some, else of tasks), and who says so."""

    hours: float
    where: str


@dataclass(frozen=True)
class Spent:
    """Hours of a sweep: of stored rows, of attempts that gave none, and expected of what is queued or running."""

    used: float
    wasted: float
    under_way: float

    @property
    def hours(self) -> float:
        return self.used + self.wasted + self.under_way


def of(sweep: Sweep, profile: Profile, name: str, asked: float | None = None) -> Budget | None:
    """What was asked for by --budget, else what the sweep says, else what its profile says."""
    said = ((asked, "--budget"), (sweep.spec.budget, f"{sweep.path}: budget"), (profile.budget, f"{name}.yaml: budget"))
    return next((Budget(hours, where) for hours, where in said if hours is not None), None)


def checked(hours: float | None) -> float | None:
    """What --budget says; InputError for hours that are none."""
    if hours is not None and not (math.isfinite(hours) and hours > 0):
        raise InputError(f"{hours} hours are no budget", where="--budget", do="give hours above 0, as in --budget 200")
    return hours


def spent(project: Project, sweep: Sweep, profile: Profile, device: str, states: Mapping[RunId, Standing]) -> Spent:
    """What the sweep has cost so far, and will by what was sent already. A row counts whichever sweep asked for it first."""
    known = submission.every(project.submissions)
    ids = {run.id for run in sweep.all_runs}
    used = cost.hours_used(project.store, sweep.jobs, ids, {one.name: one.gpus for one in known})
    return Spent(used, wasted(known, ids, states), _under_way(project, sweep, profile, device, states))


def wasted(known: list[Submission], ids: set[RunId], states: Mapping[RunId, Standing]) -> float:
    """Hours of attempts at runs among `ids` that gave no row, and will give none."""
    alive = {(s.submission, s.task) for s in states.values() if s.state in BUSY and s.submission and s.task is not None}
    held = ((one, _groups(one, ids)) for one in known)
    found = (span for one, mine in held if mine for span in progress.spans(one) if span.group in mine)
    return progress.wasted_hours(found, alive)


def refuse(budget: Budget, spent: Spent, made: Plan, unit: str) -> None:
    """UserError if what was spent, what is under way, and what `made` would send come to more than the budget."""
    total = spent.hours + made.hours()
    if total <= budget.hours * (1 + 1e-9):
        return
    parts = {"used": spent.used, "lost on attempts without a row": spent.wasted, "under way": spent.under_way}
    words = [f"{hours:.2f} {name}" for name, hours in parts.items() if hours] + [f"{made.hours():.2f} to be sent"]
    raise UserError(
        f"{total:.2f} {unit} are expected, more than the budget of {budget.hours:g}: {', '.join(words)}; "
        f"what is to be sent may come to {made.hours(worst=True):.2f}",
        where=budget.where,
        do="nothing was sent; raise the budget (budget: in the sweep or the profile, or --budget HOURS), "
        "or take seeds, pairs or values of an axis out of the sweep",
    )


def to_send(made: Plan, chain: bool) -> Plan:
    """The part of a plan that a submit sends: what waits for networks goes only with `chain`."""
    return replace(made, stages=tuple(stage for stage in made.stages if stage.name != "later" or chain))


def _under_way(project: Project, sweep: Sweep, profile: Profile, device: str, states: Mapping[RunId, Standing]) -> float:
    """As if what is queued or running were new, and nothing else."""
    if not any(standing.state in BUSY for standing in states.values()):
        return 0.0
    busy = {run: Standing(State.NEW if standing.state in BUSY else State.DONE) for run, standing in states.items()}
    return reconcile.make_plan(project, sweep, busy, profile, device).hours()


def _groups(one: Submission, ids: set[RunId]) -> set[str]:
    """The groups of a submission that hold any of the runs."""
    return {group["id"] for task in one.plan["tasks"] for group in task if any(run["id"] in ids for run in group["runs"])}
