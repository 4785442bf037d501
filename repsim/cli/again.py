"""Owns `repsim sweep run --only`: one run in the foreground, beside what is stored of it, with a debugger where it fails."""

import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from repsim import code, cost, identity, measuring, reconcile, store
from repsim.cli.output import say, show
from repsim.errors import InputError
from repsim.job import NETWORK, Context, Job
from repsim.project import Project
from repsim.sweep.expand import Run, Sweep

FOREGROUND = "foreground"  # stands for the submission in a row that was computed so


def run(project: Project, sweep: Sweep, wanted: str, device: str, debug: bool, json: bool) -> None:
    """Compute the run that `wanted` names; stored only if it was missing. Both rows are shown where there was one before."""
    one = _find(sweep, wanted)
    job = sweep.jobs[one.job]
    _must_have_inputs(project, one)
    before = next(iter(store.read(project.store, job, ids=[one.id]).to_pylist()), None)
    if before is None:
        with reconcile.locked(project):
            now = _computed(project, sweep, one, device, project.artefacts, debug)
            measuring.publish(project.store, job, one.dataset, identity.group_id(job.name, [one.id]), [now])
    else:
        with _elsewhere(project, one) as artefacts:
            now = _computed(project, sweep, one, device, artefacts, debug)
    data = _compared(job, one, before, now)
    show(json, data, _text(data))


def _find(sweep: Sweep, wanted: str) -> Run:
    """The run or network whose id begins so."""
    found = {run.id: run for run in sweep.all_runs if run.id.startswith(wanted)}
    if len(found) == 1:
        return next(iter(found.values()))
    what = f"{len(found)} runs begin with '{wanted}'" if found else f"the sweep has no run '{wanted}'"
    raise InputError(what, where="--only", do=f"ids are listed by: repsim sweep plan {sweep.name} --json")


def _must_have_inputs(project: Project, one: Run) -> None:
    lacking = [run for run in one.inputs if not (project.artefacts / run / NETWORK).is_file()]
    if lacking:
        raise InputError(f"the run waits for {', '.join(lacking)}", where=one.slug, do="compute these first, with --only too")


@contextmanager
def _elsewhere(project: Project, one: Run) -> Iterator[Path]:
    """A throwaway folder for what the run leaves, in which it finds the networks that it reads."""
    with tempfile.TemporaryDirectory(prefix="repsim-") as folder:
        for run in one.inputs:
            (Path(folder) / run).symlink_to(project.artefacts / run, target_is_directory=True)
        yield Path(folder)


def _computed(project: Project, sweep: Sweep, one: Run, device: str, artefacts: Path, debug: bool) -> dict[str, Any]:
    """The row; where the job fails, a debugger at that place on a terminal, and the traceback elsewhere."""
    job = sweep.jobs[one.job]
    (work,) = cost.works(job, [one.config], sweep.catalog, device)
    todo = {"id": one.id, "config": one.config.model_dump(mode="json"), "work": work}
    origin = measuring.Origin(FOREGROUND, 0, device, code.identify(project).as_json())
    try:
        rows = measuring.measured(
            job, identity.group_id(job.name, [one.id]), [todo], _context(project, job, device, artefacts), origin
        )
    except Exception as error:
        if not debug:
            raise
        traceback.print_exc()
        _look(error)
        raise typer.Exit(1) from None
    return rows[0]


def _look(error: Exception) -> None:
    """The debugger, if somebody is there to use it."""
    if sys.stdin.isatty() and sys.stderr.isatty():
        import pdb

        pdb.post_mortem(error.__traceback__)


def _context(project: Project, job: Job, device: str, artefacts: Path) -> Context:
    said = [""]

    def report(fraction: float, text: str) -> None:
        line = f"  {fraction:.0%} {text}"
        if line != said[0]:
            said[0] = line
            say(line)

    return Context(
        device=device,
        data_folders=project.data_folders,
        cache=project.cache / "data",
        artefacts=artefacts,
        run_id=lambda config: identity.id_of(job, config),
        report=report,
    )


def _compared(job: Job, one: Run, before: dict[str, Any] | None, now: dict[str, Any]) -> dict[str, Any]:
    """What the job measured, as stored and as it is now; columns that hold lists are left out."""
    columns = [name for name in job.row.model_fields if name != store.KEY and not isinstance(now[name], list)]
    return {
        "run": one.id,
        "slug": one.slug,
        "stored": None if before is None else {name: before[name] for name in columns},
        "now": {name: now[name] for name in columns},
    }


def _text(data: dict[str, Any]) -> str:
    """One line per column; `≠` where the two differ, as seconds always do and accuracies never should."""
    before, now = data["stored"], data["now"]
    width = max(map(len, now))
    if before is None:
        return "\n".join([f"{data['slug']}: was missing, is stored now", *(f"  {name:<{width}}  {now[name]}" for name in now)])
    lines = [f"  {name:<{width}}  {before[name]}  {'=' if before[name] == now[name] else '≠'}  {now[name]}" for name in now]
    return "\n".join([f"{data['slug']}: stored, and again now; nothing was written", *lines])
