"""Owns what a sweep has cost as one object: hours used and lost, how far off its forecasts were, what its tasks did."""

from collections.abc import Sequence
from typing import Any

from repsim import budget, cost, forecast, hindsight, occupancy
from repsim.project import Project
from repsim.report import costs, plans
from repsim.submission import Submission
from repsim.sweep.expand import Sweep


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
