"""Owns which runs a table shows, and what their rows alone say of them: keys that no configuration has."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np

from repsim.errors import UserError, nearest
from repsim.sweep.exclude import field_of
from repsim.tabledefinition import Scalar, TableDefinition
from repsim.tablekeys import UNSET, texts

if TYPE_CHECKING:  # commands that only read a definition stay without pandas
    import pandas as pd

NOT_RUN = "not run"


def spelled(definition: TableDefinition, columns: Sequence[str]) -> TableDefinition:
    """With whole names of the fields that `where` names: `layer` is short for front_layer where there is no such column."""
    return definition.model_copy(update={"where": {field_of(key, columns): values for key, values in definition.where.items()}})


def joined(definition: TableDefinition, rows: "pd.DataFrame", expected: "pd.DataFrame") -> tuple["pd.DataFrame", list[str]]:
    """`expected` with the columns of `rows` that are asked for as keys or in `where`, and the names of these.

    A run without a row has "not run" there: nobody knows on which host it will run, so it belongs to no such label.

    Raises: UserError for a column of measurements, which makes a row of every run, and for one of lists.
    """
    import pandas as pd

    own = [name for name in [*definition.keys, *definition.where] if name not in expected.columns and name in rows.columns]
    own = list(dict.fromkeys(own))
    if own:
        known = rows.drop_duplicates("run_id").set_index("run_id")
        place = known.index.get_indexer(pd.Index(expected["run_id"]))
        expected = expected.assign(**{name: _told(known, name, place) for name in own})
    return expected, own


def filtered(definition: TableDefinition, expected: "pd.DataFrame") -> "pd.DataFrame":
    """The expected runs that `where` lets pass: each field must match one of the values wanted of it, as text; globs are allowed.

    Raises: UserError where none does, with what there is of the first field that none matches.
    """
    kept = np.ones(len(expected), bool)
    for key, values in definition.where.items():
        found = texts(expected, key)
        matching = [any(_same(name, _text(value)) for value in values) for name in found.names]
        mine = np.array(matching, bool)[found.codes] if len(expected) else kept
        if not (kept & mine).any():
            said = ", ".join(map(_text, values))
            raise UserError(
                f"no run has {key}={said}" + _beside(definition, key), where="table.where", do=nearest(said, found.names)
            )
        kept &= mine
    return expected if kept.all() else expected.loc[kept]


def _same(name: str, wanted: str) -> bool:
    """Whether a label is what is wanted: by glob, or as the same truth value or number in other words (true, 1e-3, 2.0)."""
    if fnmatchcase(name, wanted) or (name in ("True", "False") and name.lower() == wanted.lower()):
        return True
    try:
        return float(name) == float(wanted)
    except ValueError:
        return False


def _beside(definition: TableDefinition, key: str) -> str:
    others = [other for other in definition.where if other != key]
    return f" and the {', '.join(others)} asked for" if others else ""


def _text(value: Scalar) -> str:
    """How a label of such a value reads."""
    if value is None or value == "None":
        return UNSET
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _told(rows: "pd.DataFrame", name: str, place: np.ndarray) -> np.ndarray:
    """The label of each expected run, by the place of its row, −1 for none."""
    column = rows[name]
    if column.dtype.kind == "f" and np.any(column.dropna().to_numpy() % 1):
        do = "name what few runs share, as in host, commit, selected_epoch"
        raise UserError(f"column '{name}' is measured anew in every run, and makes no rows", where="table", do=do)
    try:
        found = texts(rows, name)
    except TypeError:
        raise UserError(f"column '{name}' holds lists, which make no rows", where="table") from None
    names = np.array([*found.names, NOT_RUN], dtype=object)
    codes = np.append(found.codes, len(found.names))
    return names[codes[place]]
