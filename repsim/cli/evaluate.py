"""Owns `repsim zoo eval`: scores of networks on clean images and under attack, now, on this machine."""

from typing import Annotated

import typer

from repsim import hardware, local
from repsim.cli import here
from repsim.cli.output import Json, project_of, say, show
from repsim.project import Project
from repsim.report import evaluations as report
from repsim.report.counts import lacking
from repsim.sweep import evaluations
from repsim.sweep.expand import Sweep


def eval_networks(
    networks: Annotated[
        list[str], typer.Argument(metavar="NETWORK…", help="Run ids or their beginnings, ARCH:SEED or ARCH:DATASET:SEED.")
    ],
    dataset: Annotated[str | None, typer.Option("--dataset", help="Data set, if not what they were trained on.")] = None,
    images: Annotated[int | None, typer.Option("--images", min=1, help="Only so many test images, always the same.")] = None,
    robust: Annotated[bool, typer.Option("--robust", help="Also under PGD in an L∞ ball.")] = False,
    steps: Annotated[str | None, typer.Option("--steps", help=f"Steps of PGD; {evaluations.STEPS} where nothing is said.")] = None,
    restarts: Annotated[int | None, typer.Option("--restarts", min=1, help="Random starts of PGD; 1.")] = None,
    epsilon: Annotated[
        str | None, typer.Option("--epsilon", help="Radius of the ball, pixels in [0, 1], as 0.03 or 8/255 (the default).")
    ] = None,
    autoattack: Annotated[bool, typer.Option("--autoattack", help="Also under AutoAttack; needs that package.")] = False,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")] = "auto",
    json: Json = False,
) -> None:
    """Accuracy, loss and calibration error of networks, and what attacks leave; rows are stored, and asked again only read."""
    project = project_of()
    attacks = evaluations.attacks_of(robust, autoattack, steps, restarts, epsilon)
    sweep = evaluations.sweep_of(project, networks, dataset, images, attacks)
    code = _complete(project, sweep, device)
    rows = evaluations.rows(project, sweep)
    if rows:
        show(json, {"evaluations": rows}, report.text(rows))
    if len(rows) < len(sweep.runs):
        say(f"repsim: {lacking(len(sweep.runs) - len(rows), len(sweep.runs), 'evaluation')}")
        raise typer.Exit(code)


def _complete(project: Project, sweep: Sweep, device: str) -> int:
    """Compute what is not stored; how to leave if something is still missing afterwards."""
    if len(evaluations.rows(project, sweep)) == len(sweep.runs):
        return 0
    picked = hardware.pick_device(device)
    outcomes, reasons = here.complete(project, sweep, picked, local.workers_for(picked, None))
    for reason in reasons:
        say(f"repsim: {reason}")
    return here.exit_code(outcomes, reasons)
