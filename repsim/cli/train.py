"""Owns `repsim zoo train`: the networks of a sweep file, or those that flags name."""

from typing import Annotated, Any

import typer

from repsim import hardware, local, reconcile
from repsim.cli import here, send
from repsim.cli.here import Attempt
from repsim.cli.output import Json, Yes, project_of, say, show, spec_path
from repsim.errors import SpecError
from repsim.profile import Profile
from repsim.project import Project
from repsim.report import networks
from repsim.report.counts import lacking, number
from repsim.sweep import flags, known, single
from repsim.sweep.expand import Sweep, open_sweep
from repsim.sweep.networks import TRAIN


def train(
    spec: Annotated[str | None, typer.Argument(metavar="[SPEC]", help="A sweep file with job: train, in place of flags.")] = None,
    arch: Annotated[list[str] | None, typer.Option("--arch", help="Architecture; may be said again (repsim models list).")] = None,
    width: Annotated[int | None, typer.Option("--width", help="Its width, if not its default.")] = None,
    depth: Annotated[int | None, typer.Option("--depth", help="Its depth, if not its default.")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="What to train on (repsim data list).")] = None,
    recipe: Annotated[
        str | None, typer.Option("--recipe", help="How to train: quick, fast, frankenstein …; a wrong name lists all.")
    ] = None,
    seeds: Annotated[str | None, typer.Option("--seeds", help="Seeds of the first weights: 0, 0..31 or 0,2,5; 0.")] = None,
    data_seed: Annotated[int | None, typer.Option("--data-seed", help="Seed of the batches; else that of the weights.")] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Passes over the images, if not the recipe's.")] = None,
    together: Annotated[int | None, typer.Option("--together", help="So many networks at once on one device.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any other field, as in a sweep.")] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")] = "auto",
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Processes; by default one per core on a CPU.")] = None,
    slurm: Annotated[str | None, typer.Option("--slurm", metavar="PROFILE", help="Send them to Slurm with this profile.")] = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Train networks, here or on Slurm: the very runs of a sweep, computed once. Shows what they score."""
    project = project_of(spec)
    options = {"width": width, "depth": depth, "recipe": recipe, "data_seed": data_seed, "epochs": epochs, "together": together}
    fields = single.fields_of(set_ or [], options)
    if spec and (arch or dataset or seeds or fields):
        raise SpecError("a sweep file says all about its networks", where="repsim zoo train", do="name the file, or say flags")
    sweep = _opened(project, spec) if spec else flags.sweep_of(project, arch or [], dataset, seeds or "0", fields)
    if slurm:
        _send(project, sweep, slurm, yes, json)
        return
    picked = hardware.pick_device(device)
    _show(project, sweep, _attempt(project, sweep, picked, local.workers_for(picked, workers), bool(spec)), json)


def _opened(project: Project, spec: str) -> Sweep:
    sweep = open_sweep(spec_path(spec, project), project)
    if sweep.spec.job != TRAIN:
        raise SpecError(f"its job is {sweep.spec.job}, not {TRAIN}", where=str(sweep.path), do="run it with: repsim sweep run")
    return sweep


def _send(project: Project, sweep: Sweep, profile: str, yes: bool, json: bool) -> None:
    name, chosen = send.profile_of(project, sweep, profile)
    send.must_be_slurm(chosen, name)
    with reconcile.locked(project):
        sent, text = send.submit(project, sweep, chosen, name, yes, False, ())
    show(json, {**sent, "networks": _rows(project, sweep)}, text)


def _attempt(project: Project, sweep: Sweep, device: str, workers: int, by_file: bool) -> Attempt:
    """As `sweep run` does; who names the networks by flags wants failed ones tried again."""
    if by_file:
        return here.attempted(project, sweep, device, workers, Profile(cluster="local"), None, ())
    done = len(_rows(project, sweep))
    say(f"{number(len(sweep.runs), 'network')} on {device}" + (f", {done} of them trained already" if done else ""))
    outcomes, reasons = here.complete(project, sweep, device, workers)
    for reason in reasons:
        say(f"repsim: {reason}")
    return Attempt(sweep.name, outcomes, reasons, {})


def _show(project: Project, sweep: Sweep, attempt: Attempt, json: bool) -> None:
    rows = _rows(project, sweep)
    text = networks.text(rows, project.root) if rows else "no network was trained"
    show(json, {**attempt.as_json(), "networks": rows}, text)
    if len(rows) < len(sweep.runs):
        say(f"repsim: {lacking(len(sweep.runs) - len(rows), len(sweep.runs), 'network')}")
    attempt.leave()


def _rows(project: Project, sweep: Sweep) -> list[dict[str, Any]]:
    """The networks of the sweep that are trained, in its order."""
    there = {one.run: one.shown() for one in known.networks(project, TRAIN)}
    return [there[run.id] for run in sweep.runs if run.id in there]
