"""Owns the tables of a sweep: which definition holds, and the table that it makes of what the store holds."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from repsim import frames, yamlfile
from repsim import table as tables
from repsim.project import Project
from repsim.sweep import grids, shown
from repsim.sweep.expand import Sweep
from repsim.table import Table, TableDefinition
from repsim.tablekeys import LAYERS

if TYPE_CHECKING:
    import pandas as pd


def definition(sweep: Sweep, asked: dict[str, Any]) -> TableDefinition:
    """What the table of a sweep shows: what its job usually shows, changed by the file's `table:`, changed by what was `asked`."""
    said = {"job": sweep.spec.job, **shown.table_of(sweep), **sweep.spec.table, **{k: v for k, v in asked.items() if v}}
    return yamlfile.validate(TableDefinition, said, str(sweep.path), "table")


def built(project: Project, sweep: Sweep, definition: TableDefinition, found: "pd.DataFrame | None" = None) -> Table:
    """The table of a sweep; `found` are its stored rows where they were read before."""
    keys = [*definition.rows, *definition.cols]
    found = frames.stored(project, sweep) if found is None else found
    table = tables.build(definition, found, frames.expected(sweep), layers(project, sweep, keys))
    shown.refuse_mixed(sweep, keys)
    return table


def layers(project: Project, sweep: Sweep, keys: Sequence[str]) -> list[str]:
    """The layers of all networks in their order; asked only where a key of the table is a layer."""
    if not set(LAYERS) & set(keys):
        return []
    return list(dict.fromkeys(name for names in grids.layers(project, sweep, sweep.runs).values() for name in names))
