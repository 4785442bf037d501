"""Owns the mean of chosen runs of a sweep: which runs a place names, and what is stored of them, with interval and n."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import NamedTuple

from repsim import counterparts, frames, matrices, tabulating
from repsim import table as tables
from repsim.errors import SpecError
from repsim.project import Project
from repsim.published import IDENTITY, Place
from repsim.sweep import grids
from repsim.sweep.exclude import Draft, condition, meets
from repsim.sweep.expand import Run, Sweep
from repsim.table import Cell, TableDefinition

COLUMNS = ("front_network", "end_network", "network", "control")
"""What a mean reads of expected runs."""


@dataclass(frozen=True)
class Mean:
    """Of chosen runs, in `unit`; nan where nothing is known. `done` of `expected` runs are finished, `n` of them with a number.

    A constant expects no run.
    """

    mean: float
    low: float
    high: float
    n: int
    done: int
    expected: int
    unit: str

    @property
    def whole(self) -> bool:
        """Whether all runs are finished and there is a number."""
        return self.done == self.expected and self.n > 0


class Asked(NamedTuple):
    """The runs whose mean is wanted, and of which number."""

    runs: tuple[Run, ...]
    value: str


def runs_at(sweep: Sweep, place: Place, where: str) -> list[Run]:
    """The runs that meet `place`. SpecError where it names no field, no run, or runs of two measures."""
    job = sweep.jobs[sweep.spec.job]
    wanted = condition({key: values if isinstance(values, list) else [values] for key, values in place.items()}, job, where)
    found = [run for run in sweep.runs if meets(_draft(run, wanted), wanted, job)]
    if not found:
        said = ", ".join(f"{key} {value}" for key, value in place.items())
        raise SpecError(f"no run of the sweep has {said}", where=where, do="compare it with: repsim sweep plan --json")
    if "measure" in job.config.model_fields and len(measures := {run.value("measure") for run in found}) > 1:
        raise SpecError(f"names runs of {' and '.join(sorted(measures))}", where=where, do="name one measure, or its case")
    return found


def _draft(run: Run, wanted: Iterable[str]) -> Draft:
    return Draft({key: run.label(key, run.value(key)) for key in wanted if key != "case"}, run.label("case"))


def usual(sweep: Sweep) -> str:
    """The number that the table of the sweep shows."""
    return tabulating.definition(sweep, {}).value


def means(project: Project, sweep: Sweep, asked: Sequence[Asked]) -> list[Mean]:
    """The mean of each, in the same order; UserError for a number that rows of this job do not have."""
    found: dict[int, Mean] = {}
    for value in dict.fromkeys(one.value for one in asked):
        mine = {index: one for index, one in enumerate(asked) if one.value == value}
        found |= _identities(project, sweep, mine) if value == IDENTITY else _cells(project, sweep, value, mine)
    return [found[index] for index in range(len(asked))]


def _cells(project: Project, sweep: Sweep, value: str, asked: dict[int, Asked]) -> dict[int, Mean]:
    """As the cells of a table whose rows are the places."""
    import pandas as pd

    definition = TableDefinition(job=sweep.spec.job, rows=["asked"], cols=["one"], value=value, spread="interval")
    expected = frames.expected(sweep, COLUMNS)
    place = {run: index for index, run in enumerate(expected["run_id"])}
    chosen = pd.concat(
        [expected.iloc[[place[run.id] for run in one.runs]].assign(asked=str(index), one="") for index, one in asked.items()]
    )
    built = tables.build(definition, frames.stored(project, sweep), chosen, [])
    return {index: _mean(built.cells[(str(index),), ("",)], definition) for index in asked}


def _mean(cell: Cell, definition: TableDefinition) -> Mean:
    done = cell.n + cell.diverged + cell.undefined
    return Mean(cell.mean, cell.low, cell.high, cell.n, done, cell.expected, "points" if definition.in_points else "")


def _identities(project: Project, sweep: Sweep, asked: dict[int, Asked]) -> dict[int, Mean]:
    """Layer identity, both directions together, in percent."""
    rows = grids.rows(project, sweep)
    return {index: _identity(project, sweep, one.runs, rows) for index, one in asked.items()}


def _identity(project: Project, sweep: Sweep, runs: Sequence[Run], rows: dict) -> Mean:
    done = sum(run.id in rows for run in runs)
    if not done:
        return Mean(nan, nan, nan, 0, 0, len(runs), "%")
    expected = [{"run_id": run.id, **run.config.model_dump()} for run in runs]
    found = matrices.build(expected, rows, grids.layers(project, sweep, runs))
    if len(found) > 1:
        titles = ", ".join(matrix.title for matrix in found)
        raise SpecError(f"layer identity is asked of several matrices at once: {titles}", where=str(sweep.path), do="name one")
    share = counterparts.both(counterparts.scores(found[0]))
    mean, half = 100 * share.mean, 100 * share.half
    n = done if isfinite(mean) else 0  # of constant layers no comparison says which is the nearest
    return Mean(mean, mean - half, mean + half, n, done, len(runs), "%")
