"""Owns `repsim results plot`: a sweep as a picture of any kind."""

from pathlib import Path
from typing import Annotated

import typer

from repsim.cli import tables
from repsim.cli.output import Json, SpecArgument, show
from repsim.cli.tableoptions import Cols, Controls, Rows, Value
from repsim.cli.tables import Named, Pages, Spread, Where, split

KINDS = "bars | points | lines | matrix | scatter | curves | similarity | weights | pareto; by default what suits the table."


def plot(
    spec: SpecArgument,
    kind: Annotated[str | None, typer.Option("--kind", help=KINDS)] = None,
    rows: Rows = None,
    cols: Cols = None,
    pages: Pages = None,
    value: Value = None,
    where: Where = None,
    spread: Spread = None,
    across: Annotated[str | None, typer.Option("--across", help="The number along x of scatter and pareto.")] = None,
    run: Annotated[
        list[str] | None, typer.Option("--run", help="Only this saved run (weights, curves); may be said again.")
    ] = None,
    controls: Controls = False,
    named: Named = None,
    out: Annotated[Path | None, typer.Option("--out", help="PNG, SVG or PDF; by default results/plots/SWEEP_KIND.png.")] = None,
    json: Json = False,
) -> None:
    """The same as pictures, with intervals and n: by layer, against a number, matrices, matching, cost, weights.

    Where one picture would be too much it is several files, NAME_PAGE.png.
    """
    from repsim.report import drawing

    project, sweep, filed = opened = tables.opened_with_definition(spec, named)
    asked = {
        **{"rows": split(rows), "cols": split(cols), "pages": split(pages), "value": value, "where": tables.filters(where or [])},
        **{"spread": spread, "controls": controls},
    }
    subject = drawing.subject(opened, asked, {"kind": kind, "across": across}, tuple(run or ()))
    stem = "_".join(filter(None, [filed.path.stem if filed else sweep.name, kind]))
    files = list(map(str, drawing.draw(subject, out or project.results / "plots" / f"{stem}.png")))
    tables.tell_doubtful(subject.found, subject.value, sweep.name)
    show(json, {"file": files[0], "files": files}, "\n".join(f"→ {file}" for file in files))
