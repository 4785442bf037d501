"""Owns the tables of a sweep: which definition holds, and the tables that it makes of what the store holds."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from repsim import frames, store, yamlfile
from repsim import table as tables
from repsim.errors import InputError, SpecError, UserError, nearest
from repsim.job import Job
from repsim.project import Project
from repsim.sweep import grids, shown
from repsim.sweep.exclude import field_of
from repsim.sweep.expand import Sweep
from repsim.sweep.run import values
from repsim.table import Table, TableDefinition
from repsim.tablecontrols import CONTROL, null_of
from repsim.tabledefinition import MADE_BY
from repsim.tablefiles import Filed
from repsim.tablekeys import LAYERS

if TYPE_CHECKING:
    import pandas as pd

NETWORKS = ("front_network", "end_network", "network")
NONE = "none"  # asked for in the place of two columns to be compared
MEASURED = ("outcome", "status", "null")  # beside the value and its null


def definition(sweep: Sweep, asked: dict[str, Any], filed: Filed | None = None) -> TableDefinition:
    """What the table of a sweep shows: what its job usually shows, changed by `table:` of its file, by a file of a definition, and
    by what was `asked`, which narrows their filters.

    A comparison names columns: it is left out where other columns are then asked for, and where `none` is; that of the sweep also
    where only some of its runs are.
    """
    asked = {key: value for key, value in asked.items() if value}
    said: dict[str, Any] = {"job": sweep.spec.job}
    of_sweep = sweep.spec.table.get("compare")
    for more in (shown.table_of(sweep), sweep.spec.table, filed.said if filed else {}, asked):
        filtered = "where" in more and said.get("compare") is of_sweep
        if filtered or more.get("cols", said.get("cols")) != said.get("cols"):
            said.pop("compare", None)
        said = narrowed(said, more) if more is asked else said | more
    return validated(said, asked, (str(filed.path), "") if filed else (str(sweep.path), "table"))


def validated(said: dict[str, Any], asked: dict[str, Any], where: tuple[str, str]) -> TableDefinition:
    """What is said as a definition, without a comparison where `none` is asked for.

    Raises: SpecError that blames the option of what was `asked`, else the file and key path `where`.
    """
    if said.get("compare") == [NONE]:
        said = {key: value for key, value in said.items() if key != "compare"}
    try:
        return TableDefinition.model_validate(said)
    except ValidationError as error:
        told = yamlfile.explain(error, TableDefinition, said, *where)
        options = [f"--{key}" for found in error.errors(include_url=False) for key in _meant(found) if key in asked]
        raise SpecError(told.what, where=next(iter(options), told.where), do=told.do) from None


def _meant(found: Any) -> tuple[str, ...]:
    """The keys that an error is of, also where it is one of the definition as a whole."""
    if found["loc"]:
        return (str(found["loc"][0]),)
    return ("compare",) if "compare" in found["msg"] else ("rows", "cols", "pages")


def narrowed(said: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """`asked` over what is said; filters of both hold."""
    filters = {**said.get("where", {}), **asked.get("where", {})}
    return said | asked | ({"where": filters} if filters else {})


def pages(project: Project, sweep: Sweep, definition: TableDefinition, found: "pd.DataFrame | None" = None) -> tuple[Table, ...]:
    """The tables of a sweep, one for each page; `found` are its stored rows where they were read before.

    Raises: UserError for a column that neither runs nor rows have, and for a cell that would mix measures; see also `table.pages`.
    """
    found = rows(project, sweep, definition) if found is None else found
    expected = frames.expected(sweep, sorted(_fields(definition, sweep.jobs[sweep.spec.job].config.model_fields)))
    made = tables.pages(definition, found, expected, layers(project, sweep, definition.keys))
    shown.refuse_mixed(sweep, definition.keys)
    return made


def built(project: Project, sweep: Sweep, definition: TableDefinition, found: "pd.DataFrame | None" = None) -> Table:
    """The same as one table: pages are its first rows."""
    as_rows = definition.model_copy(update={"rows": [*definition.pages, *definition.rows], "pages": []})
    return pages(project, sweep, as_rows, found)[0]


def rows(project: Project, sweep: Sweep, definition: TableDefinition) -> "pd.DataFrame":
    """What the store holds of the runs of the sweep, in the columns that the table needs."""
    job = sweep.jobs[sweep.spec.job]
    _must_be_there(definition, job)
    return frames.stored(project, sweep, sorted(needed(definition, job.config.model_fields)))


def controlled(sweep: Sweep, value: str, found: "pd.DataFrame") -> bool:
    """Whether there are negative controls of a number: runs of the sweep, or a null beside it in the rows `found`."""
    fields = sweep.jobs[sweep.spec.job].config.model_fields
    return null_of(value, found) is not None or (CONTROL in fields and any(values(sweep.runs, CONTROL)))


def layers(project: Project, sweep: Sweep, keys: Sequence[str]) -> list[str]:
    """The layers of all networks in their order; asked only where a key of the table is a layer."""
    if not set(LAYERS) & set(keys):
        return []
    return list(dict.fromkeys(name for names in grids.layers(project, sweep, sweep.runs).values() for name in names))


def needed(definition: TableDefinition, there: Collection[str]) -> set[str]:
    """The columns that a table needs of runs and rows, where there are those of `there`."""
    return {definition.value, f"null_{definition.value}", *MEASURED, *_fields(definition, there)}


def _fields(definition: TableDefinition, there: Collection[str]) -> set[str]:
    """The columns that tell runs apart: keys, their partners behind the cut, filters, networks, and of what the number is."""
    made = [MADE_BY[definition.value]] if definition.value in MADE_BY else []
    keys = {*definition.keys, *(field_of(key, there) for key in definition.where)}
    return {*keys, *(f"end_{key.removeprefix('front_')}" for key in keys), *NETWORKS, CONTROL, *made}


def _must_be_there(definition: TableDefinition, job: Job) -> None:
    schema, config = store.schema_of(job).names, job.config.model_fields
    numbers = [name for name in store.numbers(job) if name not in config]
    must_be_there(definition, schema, numbers, [frames.CASE, CONTROL, *config, *schema])
    kind = str(store.schema_of(job).field(definition.value).type)  # of a column that is all null nothing else tells
    if kind.startswith("list"):
        raise InputError(f"column '{definition.value}' holds lists", where="table", do="choose a --value of single numbers")
    if kind == "string":
        raise InputError(f"column '{definition.value}' is no number", where="table", do="choose another --value")


def must_be_there(definition: TableDefinition, columns: Sequence[str], numbers: Sequence[str], keys: Sequence[str]) -> None:
    """Raise UserError for a value or a key that rows and runs do not have, with the nearest that they have.

    Args:
        columns: those of the rows; of these `numbers` are measured.
        keys: what may be a key.
    """
    job, value = definition.job, definition.value
    if value not in columns:
        raise UserError(f"the rows of job '{job}' have no column '{value}'", where="table", do=nearest(value, numbers))
    for key in [*definition.keys, *definition.where]:
        if field_of(key, keys) not in keys:
            raise UserError(f"the runs of job '{job}' have no column '{key}'", where="table", do=nearest(key, keys))
