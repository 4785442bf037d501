"""Owns what a report says, as one plain object: everything that its page shows is read from it, and `--json` prints it."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import repsim
from repsim import frames, reconcile, spending, store, submission, tabulating
from repsim.errors import SpecError, UserError
from repsim.project import Project
from repsim.queued import Queue
from repsim.report.page import about, coverage, figures, methods, numbers, origins
from repsim.sweep.expand import Sweep

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1
Data = dict[str, Any]


def of(project: Project, sweep: Sweep, now: datetime) -> Data:
    """All that is known of a sweep; `now` is when the report is made. Raises InputError for rows of another configuration."""
    known = submission.every(project.submissions)
    found, networks = _stored(project, sweep), _networks(project, sweep)
    states = reconcile.standings(project, sweep, Queue(project), known)
    diverged = set() if found.empty else set(found["run_id"][found["outcome"] == "diverged"])
    nets = about.networks(sweep, {**networks, sweep.spec.job: found})
    text = about.spec_text(sweep.path)
    data: Data = {
        "format": FORMAT,
        "sweep": sweep.name,
        "spec_file": sweep.path.name,
        "made": now.isoformat(timespec="seconds"),
        "repsim": repsim.__version__,
        "question": about.question(text),
        "spec": text,
        "size": about.size(sweep, _layers(project, sweep)),
        "networks": nets,
        "kinds": about.kinds(nets),
        "coverage": coverage.of(sweep, states, diverged),
        "failures": coverage.failures(sweep, states),
        **_tables(project, sweep, found),
        "cost": spending.of(project, sweep, known)
        | spending.left(project, sweep, states)
        | {"devices": origins.hours(found, networks)},
        "provenance": origins.of(found, networks),
    }
    data["figures"] = figures.of(data["tables"], data["drawn"])
    return data | {"methods": methods.of(sweep, data, found)}


def _tables(project: Project, sweep: Sweep, found: "pd.DataFrame") -> Data:
    """Tables that are shown, and those that are only drawn; for runs that no table can show, why."""
    try:
        shown = numbers.entries(project, sweep, found)
    except SpecError:
        raise
    except UserError as error:
        return {"tables": [], "drawn": [], "no_tables": str(error)}
    drawn = [*numbers.pooled(sweep, shown[0], found), *numbers.grids(project, sweep, shown[0], found)]
    return {"tables": shown, "drawn": drawn, "no_tables": None}


def _stored(project: Project, sweep: Sweep) -> "pd.DataFrame":
    """The rows of the sweep without columns of lists, which nothing here shows."""
    schema = store.schema_of(sweep.jobs[sweep.spec.job])
    return frames.stored(project, sweep, [field.name for field in schema if not str(field.type).startswith("list")])


def _networks(project: Project, sweep: Sweep) -> "dict[str, pd.DataFrame]":
    """The stored rows of the sweep's networks, by the job that made them."""
    ids = {name: [run.id for run in sweep.networks if run.job == name] for name in sweep.jobs}
    wanted = ("run_id", "accuracy", *origins.SHOWN, "job", "run_seconds", "started")
    columns = {name: [one for one in store.schema_of(sweep.jobs[name]).names if one in wanted] for name in ids}
    return {
        name: store.read(project.store, sweep.jobs[name], columns[name], runs).to_pandas() for name, runs in ids.items() if runs
    }


def _layers(project: Project, sweep: Sweep) -> list[str]:
    fields = sweep.jobs[sweep.spec.job].config.model_fields
    return tabulating.layers(project, sweep, [name for name in about.LAYERS if name in fields])
