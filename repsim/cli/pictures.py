"""Owns `repsim results plot`: a sweep as a picture of any kind."""

from pathlib import Path
from typing import Annotated

import typer

from repsim.cli.output import Json, SpecArgument, opened, say, show
from repsim.cli.tableoptions import Cols, Controls, Rows, Value
from repsim.report.plans import number

KINDS = "bars | points | lines | matrix | scatter | curves | similarity | weights | pareto; by default what suits the table."


def plot(
    spec: SpecArgument,
    kind: Annotated[str | None, typer.Option("--kind", help=KINDS)] = None,
    rows: Rows = None,
    cols: Cols = None,
    value: Value = None,
    across: Annotated[str | None, typer.Option("--across", help="The number along x of scatter and pareto.")] = None,
    run: Annotated[
        list[str] | None, typer.Option("--run", help="Only this saved run (weights, curves); may be said again.")
    ] = None,
    controls: Controls = False,
    out: Annotated[Path | None, typer.Option("--out", help="PNG, SVG or PDF; by default results/plots/SWEEP.png.")] = None,
    json: Json = False,
) -> None:
    """The same as pictures, with intervals and n: by layer, against a number, matrices, matching, cost, weights."""
    from repsim import table as tables
    from repsim.report import drawing

    project, sweep = opened(spec)
    asked = {"rows": rows and rows.split(","), "cols": cols and cols.split(","), "value": value, "controls": controls}
    subject = drawing.subject(project, sweep, asked, {"kind": kind, "across": across}, tuple(run or ()))
    path = out or project.results / "plots" / f"{sweep.name}{f'_{kind}' if kind else ''}.png"
    files = list(map(str, drawing.draw(subject, path)))
    if doubted := tables.doubtful(subject.found, subject.table.definition.value):
        said = f"{number(len(doubted), 'number')} shown may mean nothing, as in: {next(iter(doubted.values()))}"
        say(f"repsim: {said} (see: repsim results heatmap {sweep.name})")
    show(json, {"file": files[0], "files": files}, "\n".join(f"→ {file}" for file in files))
