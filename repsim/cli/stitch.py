"""Owns `repsim stitch`: one stitch of one pair of networks, now, on this machine."""

from typing import Annotated, Any

import typer

from repsim import hardware, store
from repsim.cli import dry, here
from repsim.cli.output import Json, project_of, say, show
from repsim.errors import UserError
from repsim.project import Project
from repsim.report import rows
from repsim.report.counts import number
from repsim.sweep import single
from repsim.sweep.expand import Sweep


def stitch(
    front: Annotated[
        str, typer.Argument(metavar="A", help="Network f: a run id or its beginning, ARCH:SEED or ARCH:DATASET:SEED.")
    ],
    end: Annotated[str, typer.Argument(metavar="B", help="Network g, in the same words (see: repsim zoo list).")],
    front_layer: Annotated[str, typer.Option("--front-layer", help="Layer of f whose value is stitched.")],
    end_layer: Annotated[str, typer.Option("--end-layer", help="Layer of g whose value is replaced.")],
    stitcher: Annotated[str | None, typer.Option("--stitcher", help="Family of S; linear where nothing is said.")] = None,
    init: Annotated[str | None, typer.Option("--init", help="Start of S; matched where --epochs is not given either.")] = None,
    rank: Annotated[int | None, typer.Option("--rank", help="Rank of a lowrank stitcher.")] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Passes over the training images.")] = None,
    lr: Annotated[float | None, typer.Option("--lr", help="Learning rate.")] = None,
    optimizer: Annotated[str | None, typer.Option("--optimizer", help="adam or sgd.")] = None,
    target: Annotated[str | None, typer.Option("--target", help="What S is trained for.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of a random start.")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="Data set, if not that of B.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any other field, as in a sweep.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Only so many steps of each loop; stores nothing.")] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")] = "auto",
    json: Json = False,
) -> None:
    """Stitch A up to a layer to B from a layer on, and print what it scores; the row is stored, and asked again only read."""
    project = project_of()
    options = {"stitcher": stitcher, "init": init, "rank": rank, "epochs": epochs, "lr": lr}
    options |= {"optimizer": optimizer, "target": target, "seed": seed, "dataset": dataset}
    fields = single.fields_of(set_ or [], options)
    sweep = single.sweep_of(project, front, end, front_layer, end_layer, fields)
    row, how = _row(project, sweep, hardware.pick_device(device), steps)
    show(json, row, rows.text(sweep.jobs[single.STITCH], row, how))


def _row(project: Project, sweep: Sweep, device: str, steps: int | None) -> tuple[dict[str, Any], str]:
    """The row of the one run, and how it was come by; with `steps`, of a run cut short that is not kept."""
    if steps is not None:
        with dry.throwaway_of(project, sweep) as throwaway:
            return _computed(
                throwaway, sweep, device, steps
            ), f"CUT SHORT after {number(steps, 'step')} of each loop and not stored"
    stored = _stored(project, sweep)
    if stored:
        return stored, f"stored, computed {stored['started']}"
    return _computed(project, sweep, device, None), "computed now"


def _computed(project: Project, sweep: Sweep, device: str, steps: int | None) -> dict[str, Any]:
    outcomes, reasons = here.complete(project, sweep, device, 1, steps)
    for reason in reasons:
        say(f"repsim: {reason}")
    row = _stored(project, sweep)
    if row:
        return row
    if not outcomes:
        raise UserError("a sweep is computing this very run", where=sweep.runs[0].id, do="wait for it, then ask again")
    say(f"repsim: {', '.join(sorted(set(outcomes)))}: nothing was stored")
    raise typer.Exit(here.exit_code(outcomes, reasons))


def _stored(project: Project, sweep: Sweep) -> dict[str, Any] | None:
    found = store.read(project.store, sweep.jobs[single.STITCH], ids=[sweep.runs[0].id]).to_pylist()
    return found[0] if found else None
