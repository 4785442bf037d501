"""Owns `repsim results compare-paper`: the published numbers of a figure or table, beside ours."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from repsim.cli.output import AS_OUT, Json, format_of, give, opened, project_of, say
from repsim.errors import UserError

if TYPE_CHECKING:
    from repsim.against_paper import Comparison

FORMATS = ("text", "markdown", "latex", "csv", "json")


def compare_paper(
    spec: Annotated[
        str | None, typer.Argument(metavar="[SPEC]", help="A sweep that repeats a paper; without it all of sweeps/papers.")
    ] = None,
    format: Annotated[str | None, typer.Option("--format", help=" | ".join(FORMATS) + AS_OUT)] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write to this file instead.")] = None,
    json: Json = False,
) -> None:
    """Published numbers beside ours, with how they are known, the difference and what is otherwise; and which findings hold."""
    from repsim.report import papers

    format = format_of(format, out, FORMATS)
    found = _of(spec) if spec else _begun()
    give(papers.render(found, "json" if json else format), out)


def _of(spec: str) -> "list[Comparison]":
    from repsim import against_paper

    return against_paper.compare(*opened(spec))


def _begun() -> "list[Comparison]":
    """Of all sweeps of sweeps/papers those with a number; the others are named."""
    found, waiting = [], []
    for path in sorted(project_of().papers.glob("*.yaml")):
        try:
            compared = _of(str(path))
        except UserError as error:
            say(f"repsim: left out: {path.stem}: {error.what}")
            continue
        found += [one for one in compared if one.begun]
        waiting += [] if any(one.begun for one in compared) else [path.stem]
    if waiting:
        say(f"repsim: nothing is computed of: {', '.join(waiting)}")
    return found
