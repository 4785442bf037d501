"""Owns how much of a sweep is there: done of expected runs by case and layer, and by name what is missing, diverged or failed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from repsim.cause import rule
from repsim.job import RunId
from repsim.report import grid, plans
from repsim.state import Standing, State
from repsim.sweep.expand import Run, Sweep

NAMED = 500  # missing and diverged runs that are named
MESSAGE = 20_000  # characters of an error that are shown


def of(sweep: Sweep, states: Mapping[RunId, Standing], diverged: set[RunId]) -> dict[str, Any]:
    """States in all, done of expected by case and layer, and the runs that have no number, by name."""
    missing = [run for run in sweep.runs if states[run.id].state is not State.DONE]
    return {
        "states": _counts(sweep.runs, states),
        "networks": _counts(sweep.networks, states),
        "diverged": len(diverged),
        "axes": grid.names(sweep),
        "cells": _cells(sweep, states, diverged),
        "missing": [_named(run, states[run.id]) for run in missing[:NAMED]],
        "missing_runs": len(missing),
        "diverged_runs": [run.slug for run in sweep.runs if run.id in diverged][:NAMED],
    }


def failures(sweep: Sweep, states: Mapping[RunId, Standing]) -> dict[str, Any]:
    """Each distinct failure once with its cause, what helps, and an example; and what waits for what will not come."""
    return {
        "failed": [_failure(one) for one in plans.failures(sweep, states)],
        "blocked": [_failure(one) for one in plans.blocked(sweep, states)],
    }


def _cells(sweep: Sweep, states: Mapping[RunId, Standing], diverged: set[RunId]) -> list[dict[str, Any]]:
    across, along = grid.axes(sweep)
    cells: dict[tuple[str, str], Counter[str]] = {}
    for run, row, col in zip(sweep.runs, across, along, strict=True):
        counts = cells.setdefault((row, col), Counter())
        counts["expected"] += 1
        counts[states[run.id].state.value] += 1
        counts["diverged"] += run.id in diverged
    shown = ("expected", *(state.value for state in State), "diverged")
    return [{"row": row, "col": col, **{key: counts[key] for key in shown if counts[key]}} for (row, col), counts in cells.items()]


def _counts(runs: Sequence[Run], states: Mapping[RunId, Standing]) -> dict[str, int]:
    counts = Counter(states[run.id].state.value for run in runs)
    return {state.value: counts[state.value] for state in State if counts[state.value]}


def _named(run: Run, standing: Standing) -> dict[str, Any]:
    return {"run": run.slug, "state": standing.state.value, "cause": standing.cause}


def _failure(one: dict[str, Any]) -> dict[str, Any]:
    message = one["message"]
    short = message if len(message) <= MESSAGE else f"{message[:MESSAGE]}… ({len(message):,} characters)"
    return {**one, "message": short, "do": rule(one["cause"]).words}
