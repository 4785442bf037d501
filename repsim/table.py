"""Owns the table: rows of the store and the runs that a sweep expects → cells with mean, interval, n and expected n."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from repsim import bests, pairing, tablecells, tablecontrols, tablefilter, tablekeys
from repsim.pairing import Comparison
from repsim.tablecells import Cell
from repsim.tabledefinition import MADE_BY, TableDefinition
from repsim.tablekeys import Key
from repsim.tableruns import doubtful, known, measured

if TYPE_CHECKING:  # commands that only read a definition stay without pandas
    import pandas as pd

__all__ = ["Cell", "Comparison", "Key", "TableDefinition", "doubtful"]


@dataclass(frozen=True)
class Table:
    """Cells by (row key, column key); no cell where the sweep expects no run.

    `best` are the cells that differ from every other one of their row by a paired interval (`repsim.bests`). `comparison` is that
    of two columns, where the definition asks for one. `page` is the key of this table among those of its definition.
    `of` is the one measure, or detector, that all its numbers are of; nothing where there are several, or none is to be named.
    `of_rows_only` are keys that only stored rows have; `note` is what else its caption must say.
    """

    definition: TableDefinition
    row_names: Key
    col_names: Key
    row_keys: tuple[Key, ...]
    col_keys: tuple[Key, ...]
    cells: dict[tuple[Key, Key], Cell] = field(repr=False)
    unit_of_mean: Literal["pair", "network"] = "pair"
    page_names: Key = ()
    page: Key = ()
    best: frozenset[tuple[Key, Key]] = frozenset()
    comparison: Comparison | None = None
    of: str = ""
    of_rows_only: Key = ()
    note: str = ""

    @property
    def unit(self) -> str:
        """ "accuracy points", or nothing for a plain number."""
        return "accuracy points" if self.definition.in_points else ""

    def cell(self, row: Key, col: Key) -> Cell | None:
        """The cell at (row, col), or None where no run is expected."""
        return self.cells.get((row, col))


def build(definition: TableDefinition, rows: "pd.DataFrame", expected: "pd.DataFrame", layers: Sequence[str] = ()) -> Table:
    """The table of `definition` as one: with pages these are its first rows. See `pages`."""
    as_rows = definition.model_copy(update={"rows": [*definition.pages, *definition.rows], "pages": []})
    return pages(as_rows, rows, expected, layers)[0]


def pages(
    definition: TableDefinition, rows: "pd.DataFrame", expected: "pd.DataFrame", layers: Sequence[str] = ()
) -> tuple[Table, ...]:
    """The tables of `definition`: labels and expected n from `expected`, outcome and value from `rows`, joined by run id.

    Args:
        rows: rows of the store, one per finished run (`run_id`, `outcome`, the value); runs not expected are ignored.
        expected: one row per expected run: `run_id`, the columns named as keys, and the networks that a run is about:
            `front_network` and `end_network`, or `network`; where there is neither, every run is a network of its own.
        layers: the layers of the networks, in the order in which they are computed.

    Layers stand in their order, those that are not among `layers` (logits) last; all else stands in order of first appearance in
    `expected`. The order of `rows` changes nothing. A run that is expected under two labels counts in both cells.

    Raises: UserError for an unknown column or a filter that no run matches; InputError for a run stored twice or a value that is
        no number.
    """
    definition, rows, expected, of_rows = _prepared(definition, rows, expected)
    keys = [tablekeys.keys_of(expected, names, definition.keys) for names in (definition.pages, definition.rows, definition.cols)]
    place, parts = tablekeys.together([one.codes for one in keys])
    found = tablecells.cells(
        *(place, len(parts[0]), measured(definition, rows, expected)),
        scale=100 if definition.in_points else 1,
        bootstrap=definition.spread == "bootstrap",
    )
    named = [tuple(one.keys[code] for code in part) for one, part in zip(keys, parts, strict=True)]
    cells = {(page, row, col): cell for page, row, col, cell in zip(*named, found, strict=True)}
    whole = Table(
        definition,
        row_names=tuple(tablekeys.shown(key, definition.keys) for key in definition.rows),
        col_names=tuple(tablekeys.shown(key, definition.keys) for key in definition.cols),
        row_keys=tablekeys.ordered(keys[1].keys, definition.rows, layers),
        col_keys=tablekeys.ordered(keys[2].keys, definition.cols, layers),
        cells={},
        unit_of_mean="pair" if "front_network" in expected.columns else "network",
        page_names=tuple(tablekeys.shown(key, definition.keys) for key in definition.pages),
        of_rows_only=tuple(of_rows),
    )
    controls = _controls(expected, place, named)
    order = tablekeys.ordered(keys[0].keys, definition.pages, layers)
    of = _of(definition, expected, place, named[0])
    return _compared(definition, [replace(_page(whole, page, cells, controls), of=of.get(page, "")) for page in order])


Place = tuple[Key, Key, Key]


def _prepared(
    definition: TableDefinition, rows: "pd.DataFrame", expected: "pd.DataFrame"
) -> "tuple[TableDefinition, pd.DataFrame, pd.DataFrame, list[str]]":
    """Definition, rows and expected runs as they are counted: controls beside or left out, `where` obeyed."""
    definition = tablefilter.spelled(definition, [*map(str, expected.columns), *map(str, rows.columns)])
    expected, of_rows = tablefilter.joined(definition, rows, expected)
    if definition.controls and tablecontrols.CONTROL not in definition.keys:
        rows, expected = tablecontrols.beside(rows, expected, definition.value)
        definition = definition.model_copy(update={"cols": [*definition.cols, tablecontrols.CONTROL]})
    for name in ["run_id", *definition.keys, *definition.where]:
        known(name, expected, f"the runs of job '{definition.job}'")
    return definition, rows, tablecontrols.real(tablefilter.filtered(definition, expected), definition.keys), of_rows


def _controls(expected: "pd.DataFrame", place: np.ndarray, named: Sequence[Sequence[Key]]) -> set[Place]:
    """The cells of which every run is a negative control."""
    found = np.bincount(place[tablecontrols.is_real(expected)], minlength=len(named[0])) == 0
    return {(named[0][at], named[1][at], named[2][at]) for at in np.flatnonzero(found).tolist()}


def _of(definition: TableDefinition, expected: "pd.DataFrame", place: np.ndarray, pages: Sequence[Key]) -> dict[Key, str]:
    """By page, the one measure or detector of all its runs, where there is one."""
    name = MADE_BY.get(definition.value)
    if name not in expected.columns:
        return {}
    found: dict[Key, set[str]] = {}
    codes, labels = expected[name].factorize(use_na_sentinel=False)
    for both in np.unique(place * len(labels) + codes).tolist():
        found.setdefault(pages[both // len(labels)], set()).add(str(labels[both % len(labels)]))
    return {page: label for page, (label, *others) in found.items() if not others}


def _page(whole: Table, page: Key, cells: Mapping[Place, Cell], controls: Set[Place]) -> Table:
    """The part of the cells that belongs to `page`, with its rows and columns alone."""
    mine = {(row, col): cell for (of, row, col), cell in cells.items() if of == page}
    rows, cols = {row for row, _ in mine}, {col for _, col in mine}
    out = {(row, col) for of, row, col in controls if of == page}
    definition = whole.definition
    return replace(
        whole,
        cells=mine,
        page=page,
        row_keys=tuple(row for row in whole.row_keys if row in rows),
        col_keys=tuple(col for col in whole.col_keys if col in cols),
        best=bests.marked(mine, definition.aim, definition.spread == "bootstrap", out),
    )


def _compared(definition: TableDefinition, tables: Sequence[Table]) -> tuple[Table, ...]:
    """With the comparison of two columns where it is asked for."""
    if not definition.compare:
        return tuple(tables)
    a, b = pairing.columns(definition.compare, list(dict.fromkeys(col for table in tables for col in table.col_keys)))
    bootstrap = definition.spread == "bootstrap"
    found = pairing.adjusted([pairing.comparison(table.cells, table.row_keys, a, b, bootstrap) for table in tables])
    return tuple(replace(table, comparison=one) for table, one in zip(tables, found, strict=True))
