"""Owns `repsim zoo …`: list, import and export the networks of a project; training and evaluating them stand beside."""

from pathlib import Path
from typing import Annotated

import typer

from repsim import exports, hardware, imports, local
from repsim import job as jobs
from repsim.catalog import Catalog
from repsim.cli import evaluate, here, train
from repsim.cli.lazily import plain
from repsim.cli.output import Json, project_of, say, show
from repsim.errors import InputError
from repsim.project import Project
from repsim.report import networks as report
from repsim.report.counts import number
from repsim.sweep import known
from repsim.sweep.expand import IMPORT, Sweep

app = plain()
app.command("train")(train.train)
app.command("eval")(evaluate.eval_networks)


@app.command("list")
def list_networks(
    arch: Annotated[str | None, typer.Option("--arch", help="Only these, as in mcnn, mcnn-w16 or 'resnet*'.")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="Only those of this data set.")] = None,
    recipe: Annotated[str | None, typer.Option("--recipe", help="Only those of this recipe, or imported under this name.")] = None,
    json: Json = False,
) -> None:
    """Every network: id, architecture, data set, how it was made, seeds (weights/batches), test accuracy, file."""
    project = project_of()
    there = known.everything(project)
    rows = [one.shown() for one in there if one.answers({"arch": arch, "dataset": dataset, "recipe": recipe})]
    none = "no such network" if there else "no network yet: see repsim zoo train --help, or repsim zoo import --help"
    show(json, {"networks": rows}, report.text(rows, project.root) if rows else none)


@app.command("import")
def import_networks(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="Checkpoint files, or folders that hold them.")],
    arch: Annotated[
        str | None, typer.Option("--arch", help="Their architecture; published collections tell it by their folders.")
    ] = None,
    width: Annotated[int | None, typer.Option("--width", min=1, help="Its width, where it has one.")] = None,
    depth: Annotated[int | None, typer.Option("--depth", min=1, help="Its depth, where it has one.")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help=f"What they were trained on; {imports.DATASET}.")] = None,
    normalise: Annotated[
        str | None,
        typer.Option("--normalise", help="Of inputs in [0, 1]: a data set's name, none, or MEAN/STD; that of the data set."),
    ] = None,
    name: Annotated[str, typer.Option("--name", help="What sweeps call this collection (imported: NAME).")] = "published",
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")] = "auto",
    json: Json = False,
) -> None:
    """Check, evaluate and adopt trained networks (state dicts, safetensors); a file that does not fit is refused and not stored."""
    project = project_of()
    importer = jobs.load(project.jobs, IMPORT)
    found = imports.find(paths, imports.Said(arch, width, depth, dataset, normalise))
    sweep = imports.sweep_of(project, importer, found, name)
    try:
        refused = imports.in_users_words(project, found, sweep, _adopt(project, sweep, hardware.pick_device(device)))
    finally:
        imports.unstage(project, [imports.digest_of(run) for run in sweep.runs])
    ids = {run.id for run in sweep.runs}
    rows = [one.shown() for one in known.networks(project, IMPORT) if one.run in ids]
    if rows or not refused:
        show(json, {"networks": rows, "refused": refused}, report.text(rows, project.root))
    if refused:
        do = "the others are in" if rows else "nothing was stored"
        raise InputError(f"{len(refused)} of {number(len(found), 'file')} refused\n" + "\n".join(refused), do=do)


@app.command("export")
def export_networks(
    networks: Annotated[
        list[str], typer.Argument(metavar="NETWORK…", help="Run ids or their beginnings, ARCH:SEED or ARCH:DATASET:SEED.")
    ],
    out: Annotated[Path, typer.Option("--out", help="A file (.pt, .pth, .safetensors), or a folder for several networks.")],
    format: Annotated[str | None, typer.Option("--format", help="pt or safetensors; else what the file's name says.")] = None,
    checkpoint: Annotated[str | None, typer.Option("--checkpoint", help="last or epoch_0010, where it was kept.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")] = False,
    json: Json = False,
) -> None:
    """Write networks as plain state dicts, each with a .json beside it that says what it is; repsim zoo import takes both."""
    planned = exports.plan(project_of(), networks, out, format, checkpoint, force)
    written = exports.write(planned)
    show(json, {"networks": written}, "\n".join(f"{one['run_id']} → {one['path']}" for one in written))


def _adopt(project: Project, sweep: Sweep, device: str) -> list[str]:
    """Import what is not in yet; the reasons why files were refused."""
    catalog = Catalog(project.data_folders, project.cache)
    check = sweep.jobs[IMPORT].hook("check")
    for run in sweep.runs:
        check(run.config, catalog) if check else None
    outcomes, reasons = here.complete(project, sweep, device, local.workers_for(device, None))
    say(f"  {outcomes.count('done')} new, {len(sweep.runs)} in all")
    return list(reasons)
