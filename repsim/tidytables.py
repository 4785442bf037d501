"""Owns the tables of a tidy file: the same as of its sweep, without the sweep and its store.

Expected are the lines of the file: those of `results aggregate --missing` hold every run of the sweep; without, only finished runs
are there, and the caption says how many the sweep expected.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from repsim import table as tables
from repsim import tabulating, tidy
from repsim.errors import InputError
from repsim.schema import KEY
from repsim.table import Table, TableDefinition
from repsim.tablefiles import Filed

if TYPE_CHECKING:
    import pandas as pd

CASE, SAID = "case", ("rows", "cols", "value")
NUMBERS = ("number", "integer")


def definition(path: Path, asked: dict[str, Any], filed: Filed | None = None) -> TableDefinition:
    """What the sweep of the file shows, changed by a definition, changed by what was `asked`."""
    facts = tidy.described(path).facts
    usual = {key: value for key, value in facts.get("table", {}).items() if key in SAID}
    asked = {key: value for key, value in asked.items() if value}
    said = {"job": facts["job"], **usual, **(filed.said if filed else {})}
    return tabulating.validated(tabulating.narrowed(said, asked), asked, (str(filed.path if filed else path), ""))


def rows(path: Path, definition: TableDefinition) -> "pd.DataFrame":
    """The lines of the file in the columns that the table needs; runs that are only expected have the outcome `missing`.

    Raises: UserError for a column that the file has not; InputError for a file that cannot be read, or holds a run twice.
    """
    about = tidy.described(path)
    columns = [entry.column for entry in about.entries]
    numbers = [entry.column for entry in about.entries if entry.type in NUMBERS]
    tabulating.must_be_there(definition, columns, numbers, columns)
    found = tidy.read(path, {KEY, CASE, *tabulating.needed(definition, columns)}.intersection(columns)).table
    if len(found[KEY].unique()) < len(found):
        raise InputError("holds a run twice", where=str(path), do="make it anew: repsim results aggregate SPEC")
    if definition.controls:
        return found.to_pandas()
    numbered = found.drop_columns([KEY]).to_pandas()  # ids tell runs apart and nothing else: numbers do that faster
    return numbered.assign(**{KEY: np.arange(len(numbered))})


def pages(path: Path, definition: TableDefinition, found: "pd.DataFrame | None" = None) -> tuple[Table, ...]:
    """The tables of a file, one for each page."""
    found = rows(path, definition) if found is None else found
    held = (found["outcome"] != tidy.MISSING).to_numpy(bool)
    made = tables.pages(definition, found if held.all() else found.loc[held], found)
    return tuple(replace(page, note=_note(tidy.described(path).facts)) for page in made)


def _note(facts: dict[str, Any]) -> str:
    expected, lines = facts["runs_expected"], facts["rows"]
    if lines >= expected:
        return ""
    return f"Of a file that holds {lines:,} of the {expected:,} runs of {facts['sweep']}: expected are the runs in the file."
