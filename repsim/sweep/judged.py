"""Owns what a suite of sweeps has measured for the tests of `judging`, as far as it is stored."""

from collections.abc import Sequence

from repsim import store
from repsim.errors import SpecError
from repsim.judging.readings import Readings, add
from repsim.project import Project
from repsim.sweep import grids
from repsim.sweep.expand import Sweep


def readings(project: Project, sweeps: Sequence[Sweep]) -> Readings:
    """All that the sweeps tell. Raises SpecError for one that serves no test."""
    found = Readings()
    for sweep in sweeps:
        if not sweep.spec.judge:
            raise SpecError("serves no test", where=str(sweep.path), do="say which: judge: layers (see: repsim judge --help)")
        job = sweep.jobs[sweep.spec.job]
        rows = store.read(project.store, job, ids=[run.id for run in sweep.runs]).to_pylist()
        runs = [{"run_id": run.id, "case": run.labels["case"], **run.config.model_dump()} for run in sweep.runs]
        networks = {run.id: run.config.model_dump() for run in sweep.networks}
        order = [name for names in grids.layers(project, sweep, sweep.runs[:1]).values() for name in names]
        add(found, sweep.spec.judge, runs, {row["run_id"]: row for row in rows}, networks, order)
    return found
