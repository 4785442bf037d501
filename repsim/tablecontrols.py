"""Owns the negative controls of a table: left out where they are not asked for, beside the real numbers where they are.

A run is a control if its column `control` says so. What rows hold of a null besides (`null_accuracy` beside `accuracy`, `null`
beside `value`) counts as the control "null": the same run with each image of f beside another one of g.
"""

from typing import TYPE_CHECKING

import numpy as np

from repsim.errors import UserError
from repsim.tablekeys import texts, together

if TYPE_CHECKING:  # commands that only read a definition stay without pandas
    import pandas as pd

CONTROL, REAL, NULL = "control", "real", "null"


def real(expected: "pd.DataFrame", keys: list[str]) -> "pd.DataFrame":
    """`expected` without the controls in cells that hold real runs too. Raises UserError for a cell of several controls alone."""
    if CONTROL in keys or CONTROL not in expected.columns or all(expected[CONTROL].isna()):
        return expected
    cell, _ = together([texts(expected, key).codes for key in keys])
    mine, control = expected[CONTROL].isna().to_numpy(bool), texts(expected, CONTROL).codes
    count = int(cell.max()) + 1
    held = np.bincount(cell[mine], minlength=count) > 0
    _, (of, _) = together([cell[~mine], control[~mine]])
    if (np.bincount(of, minlength=count)[~held] > 1).any():
        raise UserError("a cell would be the mean of several controls", where="table", do="say controls: true, or --cols control")
    return expected.loc[mine | ~held[cell]]


def is_real(expected: "pd.DataFrame") -> np.ndarray:
    """Whether each run is no negative control."""
    if CONTROL not in expected.columns:
        return np.ones(len(expected), bool)
    return (expected[CONTROL].isna() | (expected[CONTROL] == REAL)).to_numpy(bool)


def beside(rows: "pd.DataFrame", expected: "pd.DataFrame", value: str) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """Rows and expected runs with a column `control`: real, null where rows hold one of `value`, and the controls by name.

    Raises UserError where there is no control at all.
    """
    import pandas as pd

    named = expected[CONTROL] if CONTROL in expected.columns else pd.Series(None, index=expected.index, dtype=object)
    null = null_of(value, rows)
    if all(named.isna()) and null is None:
        raise UserError("these runs have no negative controls", where="table.controls", do="give the sweep an axis of control")
    told = expected.assign(**{CONTROL: named.astype(object).where(named.notna(), REAL)})
    if null is None:
        return rows, told
    of = told.loc[named.isna()]
    nulls = of.assign(run_id=of["run_id"] + f":{NULL}", **{CONTROL: NULL})
    stored = rows.loc[rows["run_id"].isin(of["run_id"])]
    copies = stored.assign(run_id=stored["run_id"] + f":{NULL}", **{value: stored[null]})
    return pd.concat([rows, copies], ignore_index=True), pd.concat([of, nulls, told.loc[named.notna()]], ignore_index=True)


def null_of(value: str, rows: "pd.DataFrame") -> str | None:
    """The column of `rows` that holds the null of `value`."""
    return next((name for name in (f"null_{value}", NULL if value == "value" else "") if name in rows.columns), None)
