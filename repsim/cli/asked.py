"""Owns what `repsim sweep status` can be asked: its help answers before anything that reads a project is imported."""

from typing import Annotated

import typer

from repsim.cli.output import Filters, Json


def status(
    spec: Annotated[str | None, typer.Argument(metavar="[SPEC]", help="A sweep; without it, all that were sent.")] = None,
    filters: Filters = None,
    watch: Annotated[bool, typer.Option("--watch", help="Redraw it until nothing is queued or running; Ctrl-C leaves.")] = False,
    rows: Annotated[str | None, typer.Option(help="Field that the grid has down the side: stitcher, init, …")] = None,
    cols: Annotated[str | None, typer.Option(help="And across: layer, seed, …")] = None,
    json: Json = False,
) -> None:
    """Show how far a sweep is: counts, grid, live tasks, hours, failures."""
    from repsim.cli.status import Asked, told

    told(spec, Asked(tuple(filters or ()), rows, cols), watch, json)
