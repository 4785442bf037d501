"""Owns `repsim results table`: what is asked for, from which runs, in which format, to where."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from repsim import store
from repsim.cli.output import AS_OUT, Json, SpecArgument, format_of, give, project_of, say, spec_path
from repsim.cli.tableoptions import Cols, Controls, Rows, Value
from repsim.errors import SpecError, UserError, nearest
from repsim.project import Project
from repsim.report.counts import number

if TYPE_CHECKING:
    from repsim.sweep.expand import Sweep
    from repsim.table import Table
    from repsim.tablefiles import Filed

ONE_TABLE = ("csv", "parquet")  # a comparison would stand there alone, and so only where it is asked for
FORMATS = ("text", "markdown", "latex", "csv", "json", "parquet")

Pages = Annotated[str | None, typer.Option("--pages", help="One table for each value of these columns, separated by commas.")]
Where = Annotated[
    list[str] | None,
    typer.Option("--where", metavar="KEY=VALUE", help="Only these runs, as in case='linear*'; again with one key: any of them."),
]
Spread = Annotated[
    str | None,
    typer.Option("--spread", help="interval (95 %, jackknife over networks; default), bootstrap (both ends) or std."),
]
Best = Annotated[
    str | None,
    typer.Option("--best", help="Mark the min or max of each row where it differs from all others; none. By default by the value."),
]
Compare = Annotated[
    str | None,
    typer.Option("--compare", metavar="A,B", help="Two columns pair by pair: difference, test, effect by row; or none."),
]
Named = Annotated[str | None, typer.Option("--table", help="A definition: the name of a file in results/tables, or a path.")]


def table(
    spec: SpecArgument,
    rows: Rows = None,
    cols: Cols = None,
    pages: Pages = None,
    value: Value = None,
    where: Where = None,
    spread: Spread = None,
    best: Best = None,
    compare: Compare = None,
    controls: Controls = False,
    named: Named = None,
    format: Annotated[str | None, typer.Option("--format", help=" | ".join(FORMATS) + AS_OUT)] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write to this file instead.")] = None,
    json: Json = False,
) -> None:
    """The table of a sweep, mean ± 95 % interval (n of expected n): penalties per layer and case, or accuracies of networks.

    SPEC may also be a definition in results/tables, which names its sweep, or a Parquet file of `results aggregate`.
    """
    from repsim import tabulating

    format = _writable(format, out, json)
    if compare is None and not json and format in ONE_TABLE:
        compare = tabulating.NONE
    asked = {
        **{"rows": split(rows), "cols": split(cols), "pages": split(pages), "value": value, "where": filters(where or [])},
        **{"spread": spread, "best": best, "compare": split(compare), "controls": controls},
    }
    _write(_tables(spec, named, asked), "json" if json else format, out)


def _writable(asked: str | None, out: Path | None, json: bool) -> str:
    """The format that is meant. Raises SpecError for one that is none, and for a Parquet file without a name."""
    format = format_of(asked, out, FORMATS)
    if format == "parquet" and out is None and not json:
        raise SpecError("a Parquet file needs a name", where="--format parquet", do="say --out FILE.parquet")
    return format


def _write(tables: "Sequence[Table]", format: str, out: Path | None) -> None:
    from repsim.report import tables as report

    if format == "parquet":
        assert out is not None
        store.write_records(report.file_records(tables), out)
        say(f"→ {out}")
    else:
        give(report.render(tables, format), out)  # type: ignore[arg-type]


def _tables(spec: str, named: str | None, asked: dict[str, Any]) -> "Sequence[Table]":
    if (file := Path(spec)).suffix == ".parquet":
        return _of_file(file, named, asked)
    from repsim import tabulating

    project, sweep, filed = opened_with_definition(spec, named)
    definition = tabulating.definition(sweep, asked, filed)
    found = tabulating.rows(project, sweep, definition)
    tell_doubtful(found, definition.value, sweep.name)
    return tabulating.pages(project, sweep, definition, found)


def _of_file(file: Path, named: str | None, asked: dict[str, Any]) -> "Sequence[Table]":
    from repsim import tablefiles, tidytables

    filed = tablefiles.read(tablefiles.find(named, project_of())) if named else None
    definition = tidytables.definition(file, asked, filed)
    found = tidytables.rows(file, definition)
    tell_doubtful(found, definition.value, file.stem)
    return tidytables.pages(file, definition, found)


def tell_doubtful(found: Any, value: str, name: str) -> None:
    """Say of numbers that may mean nothing how many there are, with one of them."""
    from repsim.table import doubtful

    if doubted := doubtful(found, value):
        said = f"{number(len(doubted), 'number')} shown may mean nothing, as in: {next(iter(doubted.values()))}"
        say(f"repsim: {said} (see: repsim results heatmap {name})")


def opened_with_definition(spec: str, named: str | None) -> "tuple[Project, Sweep, Filed | None]":
    """The sweep that is meant, and the definition that was named: beside it, or in its place."""
    from repsim import tablefiles
    from repsim.sweep.expand import open_sweep

    project = project_of(spec)
    filed = tablefiles.read(tablefiles.find(named, project)) if named else _in_its_place(spec, project)
    if named is None and filed is not None:
        return project, open_sweep(spec_path(filed.sweep, project), project), filed
    sweep = open_sweep(spec_path(spec, project), project)
    if filed is not None and filed.sweep != sweep.name:
        do = f"say: repsim results table {filed.path.stem}"
        raise UserError(f"is of the sweep '{filed.sweep}', not of '{sweep.name}'", where=str(filed.path), do=do)
    return project, sweep, filed


def _in_its_place(spec: str, project: Project) -> "Filed | None":
    """The definition that SPEC is, where it names no sweep."""
    from repsim import tablefiles

    path = Path(spec)
    if path.suffix == tablefiles.SUFFIX and path.is_file():
        return tablefiles.read(path) if tablefiles.is_one(path) else None
    try:
        spec_path(spec, project)
    except SpecError as error:
        if found := tablefiles.named(spec, project):
            return tablefiles.read(found)
        tables = nearest(spec, tablefiles.there(project))
        raise SpecError(error.what + ", nor a table", where=error.where, do=f"{error.do} Tables: {tables}") from None
    return None


def split(text: str | None) -> list[str] | None:
    """The parts of an option that names several."""
    return [part for part in map(str.strip, text.split(",")) if part] if text else None


def filters(asked: Sequence[str]) -> dict[str, list[str]]:
    """By key, what `--where KEY=VALUE` asks for. Raises SpecError for what is none."""
    found: dict[str, list[str]] = {}
    for text in asked:
        key, equals, value = text.partition("=")
        if not equals or not value:
            raise SpecError(f"'{text}' is no filter", where="--where", do="write KEY=VALUE, as in case=linear or front_layer=bn*")
        found.setdefault(key, []).append(value)
    return found
