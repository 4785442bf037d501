"""Owns `repsim results aggregate | dictionary`: the tidy file of a sweep, and what its columns mean."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from repsim.cli.output import Json, SpecArgument, give, opened, project_of, show, write
from repsim.errors import SpecError, nearest

if TYPE_CHECKING:
    from repsim.dictionary import Entry

DICTIONARIES = {"md": "markdown", "csv": "csv"}
"""Beside the file: by ending, the format."""


def aggregate(
    spec: SpecArgument,
    out: Annotated[
        Path | None, typer.Option("--out", help="The file to write; by default results/aggregate/SWEEP.parquet.")
    ] = None,
    missing: Annotated[
        bool, typer.Option("--missing", help="Also a line for each run that is not finished: outcome 'missing', nothing measured.")
    ] = False,
    json: Json = False,
) -> None:
    """Merge the parts of a sweep into one Parquet file of distinct finished runs, and write its data dictionary beside it."""
    from repsim import tidy
    from repsim.report import dictionary as report
    from repsim.report.plans import number

    project, sweep = opened(spec)
    path = out or project.results / "aggregate" / f"{sweep.name}.parquet"
    made = tidy.made(project, sweep, missing)
    tidy.write(made, path)
    beside = {format: path.with_suffix(f".dictionary.{ending}") for ending, format in DICTIONARIES.items()}
    for format, place in beside.items():
        write(place, report.render(made.entries, _title(sweep.name, made.facts["job"]), format))
    files = {"file": str(path), "dictionary": str(beside["markdown"])}
    data = {**files, "rows": len(made.table), "expected": len(sweep.runs), "columns": made.table.num_columns, "facts": made.facts}
    show(json, data, f"{made.facts['runs_finished']:,} of {number(len(sweep.runs), 'run')} → {path}")


def dictionary(
    about: Annotated[
        str | None,
        typer.Argument(metavar="[JOB|SPEC]", help="A job, a sweep, or a file of `aggregate`; by default stitch."),
    ] = None,
    format: Annotated[str, typer.Option("--format", help="text | markdown | csv | json")] = "text",
    out: Annotated[Path | None, typer.Option("--out", help="Write to this file instead.")] = None,
    json: Json = False,
) -> None:
    """What every column means: its unit, where it comes from, the paper or formula; needs no results."""
    from repsim import dictionary as dictionaries
    from repsim import job as jobs
    from repsim.report import dictionary as report

    if format not in report.FORMATS:
        raise SpecError(f"unknown format '{format}'", where="--format", do=nearest(format, report.FORMATS))
    name = about or "stitch"
    project = project_of(name)
    if name.endswith(".parquet"):
        from repsim import tidy

        read = tidy.read(Path(name))
        entries, title = read.entries, _title(read.facts["sweep"], read.facts["job"])
    elif (project.jobs / f"{name}.py").is_file():
        entries, title = dictionaries.of(jobs.load(project.jobs, name)), _title(None, name)
    else:
        entries, title = _of_sweep(name)
    give(report.render(entries, title, "json" if json else format), out)


def _of_sweep(name: str) -> "tuple[tuple[Entry, ...], str]":
    """The dictionary of the job of a sweep: its file is read, its runs are not formed."""
    from repsim import dictionary as dictionaries
    from repsim import job as jobs
    from repsim.cli.output import spec_path
    from repsim.sweep.spec import load

    project = project_of(name)
    path = spec_path(name, project)
    job = jobs.load(project.jobs, load(path).job)
    return dictionaries.of(job), _title(path.stem, job.name)


def _title(sweep: str | None, job: str) -> str:
    whose = f"the sweep {sweep} (job {job})" if sweep else f"job {job}"
    return f"Columns of {whose}"
