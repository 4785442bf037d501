"""Owns `repsim zoo …`: list the networks of a project, import published ones."""

from pathlib import Path
from typing import Annotated, Any

import typer

from repsim import hardware, imports, local
from repsim import job as jobs
from repsim.catalog import Catalog
from repsim.cli import here
from repsim.cli.output import Json, project_of, say, show
from repsim.errors import InputError
from repsim.project import Project
from repsim.sweep import known
from repsim.sweep.expand import IMPORT, Sweep

app = typer.Typer(no_args_is_help=True, help="The networks of a project: trained here by seed, or imported.")


@app.command("list")
def list_networks(json: Json = False) -> None:
    """Every network: id, architecture, data set, how it was made, seed, test accuracy, file."""
    project = project_of()
    rows = [one.shown() for name in known.MAKERS for one in known.networks(project, name)]
    show(json, {"networks": rows}, _text(rows) if rows else "no network yet: run a sweep, or see: repsim zoo import --help")


@app.command("import")
def import_networks(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="Checkpoint files, or folders that hold them.")],
    dataset: Annotated[str, typer.Option("--dataset", help="What they were trained on.")] = "cifar10",
    arch: Annotated[
        str | None, typer.Option("--arch", help="Their architecture; published collections tell it by their folders.")
    ] = None,
    width: Annotated[int | None, typer.Option("--width", min=1, help="Its width, where it has one.")] = None,
    name: Annotated[str, typer.Option("--name", help="What sweeps call this collection (imported: NAME).")] = "published",
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")] = "auto",
    json: Json = False,
) -> None:
    """Check, evaluate and adopt trained networks (plain state dicts); a file that does not fit is refused and not stored."""
    project = project_of()
    importer = jobs.load(project.jobs, IMPORT)
    found = imports.find(paths, arch, width)
    sweep = imports.sweep_of(project, importer, found, dataset, name)
    try:
        refused = imports.in_users_words(project, found, sweep, _adopt(project, sweep, hardware.pick_device(device)))
    finally:
        imports.unstage(project, [imports.digest_of(run) for run in sweep.runs])
    ids = {run.id for run in sweep.runs}
    rows = [one.shown() for one in known.networks(project, IMPORT) if one.run in ids]
    if rows or not refused:
        show(json, {"networks": rows, "refused": refused}, _text(rows))
    if refused:
        do = "the others are in" if rows else "nothing was stored"
        raise InputError(f"{len(refused)} of {len(found)} files refused\n" + "\n".join(refused), do=do)


def _adopt(project: Project, sweep: Sweep, device: str) -> list[str]:
    """Import what is not in yet; the reasons why files were refused."""
    catalog = Catalog(project.data_folders, project.cache)
    check = sweep.jobs[IMPORT].hook("check")
    for run in sweep.runs:
        check(run.config, catalog) if check else None
    outcomes, reasons = here.complete(project, sweep, device, local.workers_for(device, None))
    say(f"  {len(outcomes)} new, {len(sweep.runs)} in all")
    return list(reasons)


def _text(rows: list[dict[str, Any]]) -> str:
    head = ("id", "architecture", "width", "data", "made", "seed", "accuracy", "n")
    lines = [head] + [
        (
            r["run_id"],
            r["arch"],
            "" if r["width"] is None else str(r["width"]),
            r["dataset"],
            r["made"],
            str(r["seed"]),
            f"{r['accuracy']:.4f}",
            f"{r['test_images']:,}",
        )
        for r in rows
    ]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)
