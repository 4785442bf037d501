"""Owns `repsim sweep cost`: what a sweep has cost, and how far off its forecasts were."""

from repsim import spending, submission
from repsim.cli.output import Json, SpecArgument, opened, show
from repsim.report import costs


def cost_of(spec: SpecArgument, json: Json = False) -> None:
    """Show the hours that a sweep has cost, and how far off the forecasts of its submissions were, by kind of run."""
    project, sweep = opened(spec)
    shown = spending.of(project, sweep, submission.every(project.submissions))
    show(json, shown, costs.cost_text(shown))
