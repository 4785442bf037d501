"""Owns `repsim results report`: the report of a sweep as one HTML file, as PDF, or as data."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from repsim.cli.output import Json, SpecArgument, opened, show, write
from repsim.errors import UserError

Out = Annotated[Path | None, typer.Option("--out", help="The file to write; by default results/reports/SWEEP.html.")]
Pdf = Annotated[bool, typer.Option("--pdf", help="Print it to a PDF beside it, by the Chromium or Chrome on PATH.")]


def report(spec: SpecArgument, out: Out = None, pdf: Pdf = False, json: Json = False) -> None:
    """One HTML file with all of a sweep: coverage, tables, figures, failures, cost, provenance, methods text; opens offline."""
    from repsim.report.page import document, gathered, printing

    if pdf:
        printing.browser()
    project, sweep = opened(spec)
    path = _path(out, project.results / "reports" / f"{sweep.name}.html")
    data = gathered.of(project, sweep, datetime.now(UTC))
    write(path, document.html(data))
    told: dict[str, Any] = {"file": str(path)}
    if pdf:
        printing.write(path, path.with_suffix(".pdf"))
        told["pdf"] = str(path.with_suffix(".pdf"))
    show(json, {**told, **data}, "\n".join(f"→ {file}" for file in told.values()))


def _path(out: Path | None, usual: Path) -> Path:
    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise UserError(
            f"cannot write a '{out.suffix}' file", where=str(out), do="name an .html file; --pdf adds the PDF beside it"
        )
    return out or usual
