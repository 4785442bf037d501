"""Owns what is known of each expected run: its value, and whether it is missing, diverged or in doubt."""

from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from repsim.errors import InputError, UserError, nearest
from repsim.tabledefinition import TableDefinition

if TYPE_CHECKING:  # commands that only read a definition stay without pandas
    import pandas as pd

OK = "ok"
STATUS_OF = ("value", "null", "low", "high")  # columns that a status speaks of, where a job has one
STORED, DIVERGED = 1, 2
NUMBERS = "biuf"


@dataclass(frozen=True)
class Measured:
    """Of each expected run, (runs,): its number, its networks, and what the store holds of it.

    `run` is equal where a run is expected under several labels. `value` is nan where there is none. `outcome` is 0 for a run that
    is missing, else STORED or DIVERGED. `front` and `end` number `networks`, which are sorted; a network that stands alone is
    paired with itself.
    """

    run: np.ndarray
    value: np.ndarray
    outcome: np.ndarray
    doubtful: np.ndarray
    front: np.ndarray
    end: np.ndarray
    networks: list[str]


def measured(definition: TableDefinition, rows: "pd.DataFrame", expected: "pd.DataFrame") -> Measured:
    """What `rows` hold of the expected runs, joined by run id.

    Raises: UserError for an unknown value; InputError for a run stored twice or a value that is no number.
    """
    import pandas as pd

    run, ids = pd.factorize(expected["run_id"])
    value, outcome, doubted = np.full(len(ids), nan), np.zeros(len(ids), np.int8), np.zeros(len(ids), bool)
    if not rows.empty:
        known(definition.value, rows, f"the rows of job '{definition.job}'")
        rows, place = _of(rows, pd.Index(ids))
        value[place] = _numbers(rows, definition.value)
        diverged = (rows["outcome"] == "diverged").to_numpy(bool)
        outcome[place] = np.where(diverged, DIVERGED, STORED)
        value[place[diverged]] = nan
        doubted[place] = _doubtful(rows, definition.value)
    front, end, networks = _networks(expected)
    return Measured(run, value[run], outcome[run], doubted[run], front, end, networks)


def known(name: str, frame: "pd.DataFrame", of: str) -> None:
    """Raise UserError for a column that is not there."""
    if name not in frame.columns:
        raise UserError(f"{of} have no column '{name}'", where="table", do=nearest(name, map(str, frame.columns)))


def doubtful(rows: "pd.DataFrame", value: str) -> dict[str, str]:
    """By run id, the status that is not ok of a number which stands all the same; none where no status speaks of `value`."""
    found = rows.loc[_doubtful(rows, value)]
    return dict(zip(found["run_id"], found["status"], strict=True)) if len(found) else {}


def _doubtful(rows: "pd.DataFrame", value: str) -> np.ndarray:
    if value not in STATUS_OF or not {"status", value} <= set(rows.columns):
        return np.zeros(len(rows), bool)
    return ((rows["status"] != OK) & rows[value].notna()).to_numpy(bool)


def _of(rows: "pd.DataFrame", ids: "pd.Index") -> "tuple[pd.DataFrame, np.ndarray]":
    """The rows of the runs `ids`, and the number of the run of each."""
    import pandas as pd

    place = ids.get_indexer(pd.Index(rows["run_id"]))
    mine = place >= 0
    rows, place = (rows, place) if mine.all() else (rows.loc[mine], place[mine])
    twice = np.flatnonzero(np.bincount(place, minlength=len(ids)) > 1)
    if len(twice):
        run = min(ids[twice])
        raise InputError(f"run {run} is stored twice", where="table", do="drop repeated runs: repsim results aggregate")
    return rows, place


def _numbers(rows: "pd.DataFrame", name: str) -> np.ndarray:
    """The column `name`, missing values as nan. A list of one number is no number: the next row may hold two."""
    from pandas.api.types import is_list_like

    column = rows[name]
    if column.dtype.kind not in NUMBERS and any(map(is_list_like, column)):
        raise InputError(f"column '{name}' holds lists", where="table", do="choose a --value of single numbers")
    try:
        return column.to_numpy(dtype=float, na_value=nan)
    except (TypeError, ValueError):
        raise InputError(f"column '{name}' is no number", where="table", do="choose another --value") from None


def _networks(expected: "pd.DataFrame") -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Front and end network of each run, as numbers of sorted names."""
    import pandas as pd

    pair = "front_network" in expected.columns
    columns = ["front_network", "end_network"] if pair else ["network" if "network" in expected.columns else "run_id"]
    coded = [pd.factorize(expected[name], use_na_sentinel=False) for name in columns]
    names = sorted({str(name) for _, found in coded for name in found})
    number = {name: place for place, name in enumerate(names)}
    front, *rest = (np.array([number[str(name)] for name in found], np.int64)[codes] for codes, found in coded)
    return front, rest[0] if rest else front, names
