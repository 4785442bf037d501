"""Owns `repsim results …`: check, compact, curve; beside them those of `tables`, `pictures`, `matrices`, `papers`, `tidy`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from repsim import checking, child, compaction, submission
from repsim.cli import matrices, papers, pictures, report, tables, tidy
from repsim.cli.lazily import plain
from repsim.cli.output import Json, project_of, say, show
from repsim.errors import InputError
from repsim.job import load
from repsim.report import checks
from repsim.sweep import curves

app = plain()
app.command("heatmap")(matrices.heatmap)
app.command("identity")(matrices.identity)
app.command("animate")(matrices.animate)
app.command("compare-paper")(papers.compare_paper)
app.command("table")(tables.table)
app.command("plot")(pictures.plot)
app.command("aggregate")(tidy.aggregate)
app.command("dictionary")(tidy.dictionary)
app.command("export")(tidy.export)
app.command("diff")(tidy.diff)
app.command("report")(report.report)


@app.command()
def check(
    move: Annotated[bool, typer.Option("--move", help="Move what cannot be read to results/quarantine, with the reason.")] = False,
    json: Json = False,
) -> None:
    """Read every part of the store to its end, and name what is damaged or no part; leaves with 1 if there is any."""
    project = project_of()
    jobs = {path.stem: load(project.jobs, path.stem) for path in sorted(project.jobs.glob("*.py"))}
    found = checking.check(project.store, jobs, submission.every(project.submissions))
    moved = checking.mend(project.store, found.bad) if move else {}
    shown = checks.check_json(found, moved)
    show(json, shown, checks.check_text(shown))
    if found.odd or (found.bad and not move):
        raise typer.Exit(1)


@app.command()
def compact(json: Json = False) -> None:
    """Merge the many small parts of the store into few, so that it is read faster; safe at any time, also while tasks write."""
    project = project_of()
    found = [load(project.jobs, path.stem) for path in sorted(project.jobs.glob("*.py"))]
    done = [merge for job in found for merge in compaction.compact(project.store, job)]
    shown = checks.merges_json(done)
    show(json, shown, checks.merges_text(shown))


@app.command()
def curve(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN…", help="Runs of trainings, or of one stitch that was saved: ids or their beginnings."),
    ],
    out: Annotated[Path | None, typer.Option("--out", help="Draw accuracies of trainings by epoch: PNG, SVG or PDF.")] = None,
    json: Json = False,
) -> None:
    """The learning curves of trainings, or that of a saved stitcher with the file that holds its weights."""
    from repsim.report import rows

    project = project_of()
    found = [_told(curves.find(project, run)) for run in runs]
    if out is not None:
        _draw(found, out)
        say(f"→ {out}")
    data = found[0] if len(found) == 1 else {"runs": found}
    show(json, data, "\n\n".join(rows.training_text(data) if "label" in data else rows.curve_text(data) for data in found))


def _told(found: Path | dict[str, Any]) -> dict[str, Any]:
    """A curve as data; that of a stitcher is asked of the half that can read its file."""
    if not isinstance(found, Path):
        return found
    return {"run_id": found.parent.name, "file": str(found), **child.ask("repsim.stitching", str(found))}


def _draw(found: list[dict[str, Any]], path: Path) -> None:
    from repsim.report import curves as pictures

    stitches = [data["run_id"] for data in found if "label" not in data]
    if stitches:
        raise InputError("is a stitch: only trainings are drawn", where=stitches[0], do="leave it out, or leave --out out")
    pictures.draw(found, path)
