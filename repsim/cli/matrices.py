"""Owns `repsim results heatmap | identity | animate`: what a sweep of comparisons has measured, layer by layer."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from repsim.cli.output import Json, SpecArgument, give, known_format, opened, say, show
from repsim.errors import InputError
from repsim.matrix import Matrix
from repsim.sweep import grids

if TYPE_CHECKING:
    from repsim.counterparts import Score

FORMATS = ("text", "markdown", "json")
Measures = Annotated[list[str] | None, typer.Option("--measure", metavar="M", help="Only this measure; may be said again.")]


def heatmap(
    spec: SpecArgument,
    measure: Measures = None,
    out: Annotated[Path | None, typer.Option("--out", help="PNG, SVG or PDF; by default results/plots/SWEEP_heatmap.png.")] = None,
    json: Json = False,
) -> None:
    """Layers of f by layers of g, one panel per measure: mean over pairs of networks; what is undefined is hatched and listed."""
    from repsim.report import comparisons, heatmaps
    from repsim.report import matrixwords as words

    project, sweep = opened(spec)
    path = out or project.results / "plots" / f"{sweep.name}_heatmap.png"
    found = grids.of(project, sweep, measure or [])
    heatmaps.draw(found, path)
    lines = [f"{matrix.title}: {said}" for matrix in found for said in (words.averaged(matrix), *words.lacking(matrix))]
    show(
        json, {"file": str(path), "matrices": [comparisons.means_of(matrix) for matrix in found]}, "\n".join([*lines, f"→ {path}"])
    )


def identity(
    spec: SpecArgument,
    measure: Measures = None,
    format: Annotated[str, typer.Option("--format", help=" | ".join(FORMATS))] = "text",
    out: Annotated[Path | None, typer.Option("--out", help="Write to this file instead.")] = None,
    json: Json = False,
) -> None:
    """How often a layer's counterpart is the most similar layer of the other network: by measure, in both directions."""
    from repsim.report import identity as report

    known_format(format, FORMATS)
    project, sweep = opened(spec)
    text = report.render(_scores(grids.of(project, sweep, measure or [])), "json" if json else format)
    give(text, out)


def _scores(found: Sequence[Matrix]) -> "list[Score]":
    """Of all matrices that have one; the others are named. Raises InputError where none has."""
    from repsim.counterparts import scores

    scored, refused = [], []
    for matrix in found:
        try:
            scored += scores(matrix)
        except InputError as error:
            refused.append(error)
    if not scored and refused:
        raise refused[0]
    for error in refused:
        say(f"repsim: left out: {error.where}: {error.what}")
    return scored


def animate(
    spec: SpecArgument,
    measure: Measures = None,
    out: Annotated[Path | None, typer.Option("--out", help="GIF or HTML; by default results/plots/SWEEP.html.")] = None,
    json: Json = False,
) -> None:
    """The same over the epochs of checkpoints: a GIF, or an HTML file with controls that needs no network."""
    from repsim.report import animation

    project, sweep = opened(spec)
    path = out or project.results / "plots" / f"{sweep.name}.html"
    films = grids.over_epochs(project, sweep, measure or [])
    animation.draw(films, path)
    epochs = list(dict.fromkeys(epoch for film in films for epoch in film))
    show(json, {"file": str(path), "epochs": epochs}, f"{len(epochs)} epochs → {path}")
