"""Owns `repsim results aggregate | dictionary | export | diff`: tidy files, what they mean, other forms, and two compared."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from repsim.cli.output import AS_OUT, Json, SpecArgument, format_of, give, opened, project_of, show, write
from repsim.errors import SpecError
from repsim.report.counts import number

if TYPE_CHECKING:
    from repsim.dictionary import Entry
    from repsim.tidy import Tidy

SourceArgument = Annotated[str, typer.Argument(metavar="SPEC|FILE", help="A sweep, or a file that `results aggregate` wrote.")]

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

    if out is not None and not is_parquet(out.name):
        do = "name it FILE.parquet; repsim results export writes CSV, JSON lines and Markdown"
        raise SpecError("a tidy file is Parquet", where=f"--out {out}", do=do)
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
    format: Annotated[str | None, typer.Option("--format", help="text | markdown | csv | json" + AS_OUT)] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write to this file instead.")] = None,
    json: Json = False,
) -> None:
    """What every column means: its unit, where it comes from, the paper or formula; needs no results."""
    from repsim import dictionary as dictionaries
    from repsim import job as jobs
    from repsim.report import dictionary as report

    format = format_of(format, out, report.FORMATS)
    name = about or "stitch"
    project = project_of(name)
    if is_parquet(name):
        from repsim import tidy

        read = tidy.read(Path(name))
        entries, title = read.entries, _title(read.facts["sweep"], read.facts["job"])
    elif (project.jobs / f"{name}.py").is_file():
        entries, title = dictionaries.of(jobs.load(project.jobs, name)), _title(None, name)
    else:
        entries, title = _of_sweep(name)
    give(report.render(entries, title, "json" if json else format), out)


def export(
    spec: SourceArgument,
    wide: Annotated[bool, typer.Option("--wide", help="One line per place and one column per case.")] = False,
    index: Annotated[str | None, typer.Option("--index", help="With --wide: the columns that name a line.")] = None,
    columns: Annotated[
        str | None, typer.Option("--columns", help="With --wide: the keys that make columns; else the columns to keep.")
    ] = None,
    value: Annotated[str | None, typer.Option("--value", help="With --wide: the columns shown, one or several.")] = None,
    missing: Annotated[bool, typer.Option("--missing", help="Also a line for each run that is not finished.")] = False,
    format: Annotated[
        str | None, typer.Option("--format", help="csv | jsonl | markdown | parquet; by default as --out ends, else csv.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write to this file instead; parquet needs one.")] = None,
    json: Json = False,
) -> None:
    """The rows of a sweep, or of a file of `aggregate`, as CSV, JSON lines, Markdown or Parquet; wide: a column per case."""
    from repsim import flatfiles

    format = format_of(format, out, flatfiles.FORMATS, "csv")
    if format == "parquet" and out is None and not json:
        raise SpecError("Parquet is nothing for a terminal", where="--format", do="name a file with --out")
    if not wide and (index or value):
        raise SpecError("only a wide table has such", where="--index" if index else "--value", do="say --wide, or leave it out")
    table = _exported(spec, wide, missing, [one.split(",") if one else [] for one in (index, columns, value)])
    if out is not None:
        flatfiles.write(table, out, format)
        said = {"file": str(out), "format": format, "rows": len(table), "columns": table.num_columns}
        show(json, said, f"{number(len(table), 'line')} of {number(table.num_columns, 'column')} → {out}")
    elif json:
        show(json, {"rows": list(flatfiles.plain_rows(table))}, "")
    else:
        sys.stdout.writelines(piece.decode() for piece in flatfiles.rendered(table, format))


def diff(
    a: SourceArgument,
    b: SourceArgument,
    tolerance: Annotated[float, typer.Option("--tolerance", min=0, help="Numbers that differ by no more count as equal.")] = 0.0,
    by: Annotated[str | None, typer.Option("--by", help="Group the changes by these columns, as in case,front_layer.")] = None,
    value: Annotated[str | None, typer.Option("--value", help="The number whose paired difference is told.")] = None,
    ignore: Annotated[
        str | None, typer.Option("--ignore", help="Match runs although they were asked for differently in these fields.")
    ] = None,
    fail: Annotated[
        bool, typer.Option("--fail-on-change", help="Leave with 1 where a result changed, or a run is in one only.")
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Write to this file instead.")] = None,
    json: Json = False,
) -> None:
    """What differs between two sweeps, or two versions of one: runs in one only, numbers that changed, the paired difference."""
    import json as js

    from repsim import differences as finding
    from repsim.report import differences as report

    ours, theirs = _source(a), _source(b)
    ignored, groups = (one.split(",") if one else [] for one in (ignore, by))
    found = finding.differences(ours, theirs, tolerance, ignored, groups, value)
    text = js.dumps(finding.plain(found, ours, theirs), indent=1) + "\n" if json else report.text(found, (a, b), (ours, theirs))
    give(text, out)
    if fail and found.changed:
        raise typer.Exit(1)


def _exported(spec: str, wide: bool, missing: bool, asked: Sequence[Sequence[str]]) -> Any:
    """The table in the form that was asked for by index, columns and values."""
    from repsim import tidy, widened

    found = _source(spec, missing or wide)
    return widened.widened(found, *asked) if wide else tidy.only(found, asked[1])


def _source(spec: str, missing: bool = False) -> "Tidy":
    """The tidy table of a file that `aggregate` wrote, or of a sweep as it is now."""
    from repsim import tidy

    if is_parquet(spec):
        return tidy.read(Path(spec))
    return tidy.made(*opened(spec), missing)


def is_parquet(spec: str) -> bool:
    """Whether a file is meant that `aggregate` wrote: no name of a sweep ends so."""
    return spec.endswith(".parquet")


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
