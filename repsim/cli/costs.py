"""Owns `repsim sweep cost`: what a sweep has cost, and how far off its forecasts were."""

from repsim import budget, cost, forecast, hindsight, occupancy, submission
from repsim.cli.output import Json, SpecArgument, project_of, show, spec_path
from repsim.report import costs, plans
from repsim.sweep.expand import open_sweep


def cost_of(spec: SpecArgument, json: Json = False) -> None:
    """Show the hours that a sweep has cost, and how far off the forecasts of its submissions were, by kind of run."""
    project = project_of(spec)
    sweep = open_sweep(spec_path(spec, project), project)
    ids, known = {run.id for run in sweep.all_runs}, submission.every(project.submissions)
    used = cost.hours_used(project.store, sweep.jobs, ids, {one.name: one.gpus for one in known})
    wasted = budget.wasted([one for one in known if one.closed], ids, {})  # what is alive may still give rows
    found = forecast.outcomes(hindsight.done(project.store, sweep.jobs, ids, known))
    unit = plans.unit(any(one.on_gpu for one in known if one.head["sweep"] == sweep.name))
    shown = costs.cost_json(sweep.name, unit, used, wasted, found)
    shown |= costs.idle_json(occupancy.startup(known), occupancy.shares(known, ids))
    show(json, shown, costs.cost_text(shown))
