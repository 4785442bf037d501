"""Owns what a sweep has cost and will cost: hours used, lost and left, how far off its forecasts were, what its tasks did."""

from collections.abc import Mapping, Sequence
from typing import Any

from repsim import budget, cost, forecast, hindsight, occupancy, reconcile
from repsim.job import RunId
from repsim.plan import Plan
from repsim.profile import device_of, load_profile
from repsim.project import Project
from repsim.report import costs, plans
from repsim.state import Standing, State
from repsim.submission import Submission
from repsim.sweep.expand import Sweep

ALIVE = (State.RUNNING, State.PENDING)


def of(project: Project, sweep: Sweep, known: Sequence[Submission]) -> dict[str, Any]:
    """The object of `sweep cost`; `known` are all submissions of the project."""
    ids = {run.id for run in sweep.all_runs}
    used = cost.hours_used(project.store, sweep.jobs, ids, {one.name: one.gpus for one in known})
    wasted = budget.wasted([one for one in known if one.closed], ids, {})  # what is alive may still give rows
    found = forecast.outcomes(hindsight.done(project.store, sweep.jobs, ids, known))
    unit = plans.unit(any(one.on_gpu for one in known if one.head["sweep"] == sweep.name))
    told = hindsight.total(project.store, sweep.jobs, ids, known)
    shown = costs.cost_json(sweep.name, unit, used, wasted, found, told[1] if told else 0.0)
    return shown | costs.idle_json(occupancy.startup(known), occupancy.shares(known, ids))


def rest(project: Project, sweep: Sweep, states: Mapping[RunId, Standing]) -> Plan:
    """What has no row yet, what is queued or running among it, as the sweep's own profile would compute it."""
    chosen = load_profile(project.profiles, sweep.spec.profile or "local")
    return reconcile.make_plan(project, sweep, states, chosen, device_of(chosen), ALIVE)


def left(project: Project, sweep: Sweep, states: Mapping[RunId, Standing]) -> dict[str, Any]:
    """Hours that are forecast for what has no row yet, also at the slow end, in all and by kind; failed runs are left out."""
    if not any(standing.undone for standing in states.values()):
        return {"hours_left": 0.0, "hours_left_worst": 0.0, "left": []}
    made = rest(project, sweep, states)
    by_kind = [one.as_json() for one in forecast.expected(made.groups)]
    return {"hours_left": round(made.hours(), 4), "hours_left_worst": round(made.hours(worst=True), 4), "left": by_kind}
