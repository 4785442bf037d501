"""Owns what a sweep of comparisons has measured: its matrices of similarity, in the order of the networks' layers."""

from collections.abc import Sequence
from typing import Any

from repsim import matrices, store
from repsim.catalog import Catalog
from repsim.errors import SpecError, nearest
from repsim.job import Job, NetworkFacts, RunId
from repsim.matrices import Fields
from repsim.matrix import Matrix, Number
from repsim.project import Project
from repsim.sweep import known
from repsim.sweep.expand import Run, Sweep

Gathered = tuple[list[Fields], dict[RunId, dict[str, Any]], dict[RunId, list[str]]]
"""What is expected, what is stored of it, and the layers of each network: what `repsim.matrices` takes."""


def of(project: Project, sweep: Sweep, measures: Sequence[str] = ()) -> list[Matrix]:
    """The matrices of a sweep, or of those measures. Raises SpecError for another sweep, and for a measure that it has not."""
    return matrices.build(*_gathered(project, sweep, measures))


def over_epochs(project: Project, sweep: Sweep, measures: Sequence[str] = ()) -> list[dict[str, Matrix]]:
    """The same by epoch of the checkpoints, one film per matrix."""
    return list(matrices.frames(*_gathered(project, sweep, measures)).values())


def rows(project: Project, sweep: Sweep) -> dict[RunId, dict[str, Any]]:
    """What is stored of the sweep, by run."""
    table = store.read(project.store, _job(sweep), ids=[run.id for run in sweep.runs])
    return {row["run_id"]: row for row in table.to_pylist()}


def _gathered(project: Project, sweep: Sweep, measures: Sequence[str]) -> Gathered:
    job = _job(sweep)
    if not {*Number._fields, "scale"} <= job.row.model_fields.keys():
        raise SpecError(f"the job '{job.name}' compares no layers", where=str(sweep.path), do="name a sweep with job: compare")
    runs = _wanted(sweep, measures)
    expected: list[Fields] = [{"run_id": run.id, **run.config.model_dump()} for run in runs]
    return expected, rows(project, sweep), layers(project, sweep, runs)


def _wanted(sweep: Sweep, measures: Sequence[str]) -> list[Run]:
    there = dict.fromkeys(_measure(run) for run in sweep.runs)
    for name in measures:
        if name not in there:
            raise SpecError(f"the sweep has no measure '{name}'", where="--measure", do=nearest(name, there))
    return [run for run in sweep.runs if not measures or _measure(run) in measures]


def _measure(run: Run) -> str:
    return run.config.model_dump()["measure"]


def layers(project: Project, sweep: Sweep, runs: Sequence[Run]) -> dict[RunId, list[str]]:
    """The layers of each network that is compared, in the order in which they are computed."""
    catalog, facts = Catalog(project.data_folders, project.cache), _facts(project, sweep)
    needed = dict.fromkeys(network for run in runs for network in run.inputs)
    return {network: [layer["name"] for layer in catalog.layers(facts[network])] for network in needed if network in facts}


def _facts(project: Project, sweep: Sweep) -> dict[RunId, NetworkFacts]:
    """What the networks are: those of the sweep's zoo, which may not be trained yet, else those of the project."""
    found = {}
    for run in sweep.networks:
        hook = sweep.jobs[run.job].hook("network")
        assert hook, f"{run.job} makes networks but offers no network(config)"
        found[run.id] = hook(run.config)
    return found or {one.run: one.facts for one in known.everything(project)}


def _job(sweep: Sweep) -> Job:
    return sweep.jobs[sweep.spec.job]
