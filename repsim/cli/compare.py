"""Owns `repsim compare`: layers of two networks by measures of similarity, now, on this machine."""

from pathlib import Path
from typing import Annotated, Any

import typer

from repsim import hardware, local
from repsim.cli import here
from repsim.cli.output import Json, project_of, say, show
from repsim.project import Project
from repsim.report import comparisons as report
from repsim.report.counts import lacking, number
from repsim.sweep import comparisons, grids, single
from repsim.sweep.comparisons import Asked
from repsim.sweep.expand import Run, Sweep

NETWORK = "a run id or its beginning, ARCH:SEED or ARCH:DATASET:SEED; with @10 behind, its checkpoint of epoch 10"
MEASURES = (
    "cka cka_debiased cka_angular cka_minibatch cka_rbf cka_rbf_debiased "
    "cca cca_squared svcca svcca_squared pwcca pwcca_reversed nbs "
    "procrustes procrustes_squared procrustes_half procrustes_angular procrustes_scaled procrustes_size_and_shape "
    "ortho_procrustes shape permutation_match permutation_procrustes permutation_procrustes_squared permutation_angular "
    "correlation_match correlation_match_soft wreath_procrustes wreath_cosine "
    "regression regression_reversed ridge ridge_reversed gulp "
    "wreath_cka wreath_cka_biased ortho_cka distance_correlation distance_correlation_debiased rsa "
    "mutual_knn jaccard cknna l2 sign_overlap agreement jensen_shannon accuracy_difference"
)
"""The names, for the help: what they mean is in the half that computes them."""


def compare(
    front: Annotated[str, typer.Argument(metavar="A", help=f"Network f: {NETWORK}.")],
    end: Annotated[str, typer.Argument(metavar="B", help="Network g, in the same words (see: repsim zoo list).")],
    layers: Annotated[
        str, typer.Option("--layers", help="Layers of both: names, globs, relu, bn, conv, block, all, logits; separated by commas.")
    ],
    measures: Annotated[str, typer.Option("--measures", help=f"Separated by commas: {MEASURES}.")] = "cka",
    end_layers: Annotated[str | None, typer.Option("--end-layers", help="Layers of B, where they are others.")] = None,
    ranks: Annotated[
        str | None, typer.Option("--ranks", help="Replace layers of A by approximations of these ranks, as in 1,2,4,full.")
    ] = None,
    end_ranks: Annotated[str | None, typer.Option("--end-ranks", help="The same of B.")] = None,
    view: Annotated[
        str | None, typer.Option("--view", help="flatten, channel, pool, position, class or mean; each measure has its own.")
    ] = None,
    align: Annotated[str | None, typer.Option("--align", help="pool, bilinear or nearest, where maps differ in size.")] = None,
    images: Annotated[int | None, typer.Option("--images", help="Only so many images, always the same; all.")] = None,
    bootstrap: Annotated[int | None, typer.Option("--bootstrap", help="Draws of images behind a 95 % interval; 0.")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="Data set, if not that of B.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any other field, as in a sweep.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Draw heat maps: PNG, SVG or PDF.")] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")] = "auto",
    json: Json = False,
) -> None:
    """Compare layers of A with layers of B, each with each; numbers are stored, and asked again only read."""
    project, picked = project_of(), hardware.pick_device(device)
    _refuse_picture(out)
    fields = single.fields_of(
        set_ or [], {"view": view, "align": align, "images": images, "bootstrap": bootstrap, "dataset": dataset}
    )
    asked = Asked(
        comparisons.names_of(measures, "--measures"),
        comparisons.names_of(layers, "--layers"),
        None if end_layers is None else comparisons.names_of(end_layers, "--end-layers"),
        comparisons.ranks_of(ranks, "--ranks"),
        comparisons.ranks_of(end_ranks, "--end-ranks"),
        fields,
    )
    sweep = comparisons.sweep_of(project, front, end, asked)
    plan, code = _complete(project, sweep, picked)
    _tell(project, sweep, plan, out, json)
    if missing := _missing(project, sweep):
        say(f"repsim: {lacking(len(missing), len(sweep.runs), 'comparison')}")
        raise typer.Exit(code)


def _complete(project: Project, sweep: Sweep, device: str) -> tuple[dict[str, Any] | None, int]:
    """Say how what is not stored is computed, then compute it; the plan, and how to leave if something is missing afterwards."""
    missing = _missing(project, sweep)
    if not missing:
        return None, 0
    plan = comparisons.plan(project, sweep, missing, device)
    say(f"{number(len(missing), 'number')} to compute of {len(sweep.runs):,}, on {device}:")
    for line in plan.lines():
        say(f"  {line}")
    outcomes, reasons = here.complete(project, sweep, device, local.workers_for(device, None))
    for reason in reasons:
        say(f"repsim: {reason}")
    return plan.as_dict(), here.exit_code(outcomes, reasons)


def _tell(project: Project, sweep: Sweep, plan: dict[str, Any] | None, out: Path | None, json: bool) -> None:
    """Print what is stored, and draw it."""
    found = [matrix for matrix in grids.of(project, sweep) if matrix.means or matrix.troubles]
    if not found:
        return
    show(json, {"plan": plan, "matrices": [report.as_dict(matrix) for matrix in found]}, report.text(found))
    if out is not None:
        from repsim.report import heatmaps

        heatmaps.draw(found, out)
        say(f"→ {out}")


def _missing(project: Project, sweep: Sweep) -> list[Run]:
    there = grids.rows(project, sweep)
    return [run for run in sweep.runs if run.id not in there]


def _refuse_picture(out: Path | None) -> None:
    """Before anything is computed."""
    if out is not None:
        from repsim.report.saving import check_suffix

        check_suffix(out)
