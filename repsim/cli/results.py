"""Owns `repsim results …`: check, compact, table, plot, curve; beside them the commands of `matrices` and `tidy`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from repsim import checking, child, compaction, submission
from repsim.cli import matrices, tidy
from repsim.cli.lazily import plain
from repsim.cli.output import Json, SpecArgument, give, opened, project_of, say, show
from repsim.errors import InputError, SpecError, nearest
from repsim.job import load
from repsim.project import Project
from repsim.report import checks
from repsim.report.plans import number
from repsim.sweep import curves
from repsim.sweep.expand import Sweep

if TYPE_CHECKING:
    from repsim.table import Table

app = plain()
app.command("heatmap")(matrices.heatmap)
app.command("identity")(matrices.identity)
app.command("animate")(matrices.animate)
app.command("aggregate")(tidy.aggregate)
app.command("dictionary")(tidy.dictionary)
app.command("export")(tidy.export)
app.command("diff")(tidy.diff)
FORMATS = ("text", "markdown", "latex", "csv", "json")

Rows = Annotated[str | None, typer.Option("--rows", help="Columns that make the rows, separated by commas.")]
Cols = Annotated[str | None, typer.Option("--cols", help="Columns that make the columns, separated by commas.")]
Controls = Annotated[bool, typer.Option("--controls", help="Negative controls in columns beside the real numbers.")]
Value = Annotated[
    str | None, typer.Option("--value", help="The number shown: penalty, accuracy, residual, or any number of a row.")
]


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
def table(
    spec: SpecArgument,
    rows: Rows = None,
    cols: Cols = None,
    value: Value = None,
    spread: Annotated[str | None, typer.Option("--spread", help="What stands behind ±: interval (95 %, default) or std.")] = None,
    controls: Controls = False,
    format: Annotated[str, typer.Option("--format", help=" | ".join(FORMATS))] = "text",
    out: Annotated[Path | None, typer.Option("--out", help="Write to this file instead.")] = None,
    json: Json = False,
) -> None:
    """The table of a sweep, mean ± 95 % interval (n of expected n): penalties per layer and case, or accuracies of networks."""
    from repsim.report import tables

    if format not in FORMATS:
        raise SpecError(f"unknown format '{format}'", where="--format", do=nearest(format, FORMATS))
    project, sweep = opened(spec)
    asked = {**_asked(rows, cols, value), "spread": spread, "controls": controls}
    text = tables.render(_built(project, sweep, asked), "json" if json else format)
    give(text, out)


@app.command()
def plot(
    spec: SpecArgument,
    rows: Rows = None,
    cols: Cols = None,
    value: Value = None,
    controls: Controls = False,
    out: Annotated[Path | None, typer.Option("--out", help="PNG, SVG or PDF; by default results/plots/SWEEP.png.")] = None,
    json: Json = False,
) -> None:
    """The same numbers as a picture: by layer, or against a number where the rows end with one (a rank), with intervals."""
    from repsim.report import plots

    project, sweep = opened(spec)
    path = out or project.results / "plots" / f"{sweep.name}.png"
    table = _built(project, sweep, {**_asked(rows, cols, value), "controls": controls})
    if against := _against(sweep, table):
        against(path)
    else:
        plots.penalty_by_layer(table, path)
    show(json, {"file": str(path)}, f"→ {path}")


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


def _against(sweep: Sweep, table: Any) -> Callable[[Path], None] | None:
    """Draws the table against a number; None where it is not to be drawn so."""
    from repsim import yamlfile
    from repsim.report import against

    definition = yamlfile.validate(against.PlotDefinition, sweep.spec.plot, str(sweep.path), "plot")
    if not (sweep.spec.plot or against.is_number(table)):
        return None
    return lambda path: against.draw(table, definition, path)


def _asked(rows: str | None, cols: str | None, value: str | None) -> dict[str, Any]:
    return {"rows": rows and rows.split(","), "cols": cols and cols.split(","), "value": value}


def _built(project: Project, sweep: Sweep, asked: dict[str, Any]) -> "Table":
    """The table of a sweep: its own definition, changed by what was asked; numbers that may mean nothing are told of."""
    from repsim import frames, tabulating
    from repsim import table as tables

    definition, found = tabulating.definition(sweep, asked), frames.stored(project, sweep)
    if doubted := tables.doubtful(found, definition.value):
        said = f"{number(len(doubted), 'number')} shown may mean nothing, as in: {next(iter(doubted.values()))}"
        say(f"repsim: {said} (see: repsim results heatmap {sweep.name})")
    return tabulating.built(project, sweep, definition, found)
