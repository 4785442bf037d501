"""Owns `repsim judge`: measures and stitchers scored by tests whose answer is known."""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import typer

from repsim import hardware, local
from repsim.cli import here
from repsim.cli.output import Json, give, known_format, project_of, say, spec_path
from repsim.errors import InputError
from repsim.profile import Profile
from repsim.project import Project
from repsim.sweep.expand import Sweep, open_sweep

FORMATS = ("text", "markdown", "csv", "json")
SUITE = "judge_*_small"


def judge(
    specs: Annotated[
        list[str] | None, typer.Argument(metavar="[SPEC]…", help=f"Sweeps with a judge block, globs allowed; by default {SUITE}.")
    ] = None,
    run: Annotated[bool, typer.Option("--run", help="First compute here what is missing of them.")] = False,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Processes; by default one per card or core.")] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")] = "auto",
    format: Annotated[str, typer.Option("--format", help=" | ".join(FORMATS))] = "text",
    out: Annotated[Path | None, typer.Option("--out", help="Write to this file instead.")] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw it too: PNG, SVG or PDF.")] = None,
    json: Json = False,
) -> None:
    """Score every measure and stitcher by ReSi's six tests, layer identity, specificity and sensitivity: one table."""
    from repsim.judging import suite
    from repsim.report import judgement
    from repsim.sweep import judged

    known_format(format, FORMATS)
    project = project_of()
    sweeps = [open_sweep(path, project) for path in _paths(specs or [SUITE], project)]
    if run:
        for sweep in sweeps:
            _compute(project, sweep, hardware.pick_device(device), workers)
    readings = judged.readings(project, sweeps)
    if not readings.names:
        raise InputError("nothing of these sweeps is computed", where=", ".join(s.name for s in sweeps), do="say --run")
    if readings.lacking:
        say(f"repsim: {sum(readings.lacking.values()):,} numbers are not computed, or undefined, and left out")
    found = suite.judge(readings)
    if plot is not None:
        from repsim.report import judgeplot

        judgeplot.draw(found, plot)
        say(f"→ {plot}")
    give(judgement.render(found, "json" if json else format), out)


def _compute(project: Project, sweep: Sweep, device: str, workers: int | None) -> None:
    """What is missing of one sweep; what cannot be computed is said and left out."""
    chosen = Profile(cluster="local")
    attempt = here.attempted(project, sweep, device, local.workers_for(device, workers), chosen, None, ())
    say(attempt.text)


def _paths(specs: list[str], project: Project) -> list[Path]:
    """The files that names, paths and globs mean, each once."""
    stems = sorted(path.stem for path in project.sweeps.glob("*.yaml"))
    found: list[Path] = []
    for spec in specs:
        named = [project.sweeps / f"{stem}.yaml" for stem in stems if fnmatchcase(stem, spec)]
        found += named or [spec_path(spec, project)]
    return list(dict.fromkeys(found))
