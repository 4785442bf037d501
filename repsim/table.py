"""Owns the table: rows of the store and the runs that a sweep expects → cells with mean, interval, n and expected n."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import isfinite, nan
from statistics import fmean
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import Field, model_validator

from repsim import interval, tablecontrols
from repsim.errors import InputError, UserError, nearest
from repsim.tablekeys import Key, keys_of, ordered, shown
from repsim.yamlfile import Strict

if TYPE_CHECKING:  # commands that only read a definition stay without pandas
    import pandas as pd

OK = "ok"
STATUS_OF = ("value", "null", "low", "high")  # columns that a status speaks of, where a job has one


class TableDefinition(Strict):
    """What a table shows. `rows` and `cols` name columns of the expected runs, `value` a column of the job's Row.

    `front_layer` is shown as `layer`: "bn1" where both networks are cut at bn1, "bn1→bn3" where the end layer differs.
    The same holds for `front_arch`. A key `end_layer` (`end_arch`) keeps them apart: a matrix of front × end.
    """

    job: str = "stitch"
    rows: list[str] = Field(default=["front_layer"], min_length=1)
    cols: list[str] = Field(default=["case"], min_length=1)
    value: str = "penalty"
    spread: Literal["interval", "std"] = Field("interval", description="what stands behind ±")
    controls: bool = Field(default=False, description="show negative controls beside the real numbers; else they are left out")
    points: bool | None = Field(default=None, description="show ×100, as accuracy points; by default for accuracies and penalties")

    @model_validator(mode="after")
    def _each_key_once(self) -> "TableDefinition":
        keys = self.rows + self.cols
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise ValueError(f"'{twice[0]}' stands twice in rows and cols")
        return self

    @property
    def in_points(self) -> bool:
        """Whether values are fractions to be shown in accuracy points; a relative accuracy is a ratio, so not."""
        if self.points is not None:
            return self.points
        return "relative" not in self.value and ("accuracy" in self.value or "penalty" in self.value)


@dataclass(frozen=True)
class Cell:
    """One cell, in the unit of its table; nan where there is no number.

    `n` of `expected` runs are finished with a finite value; `diverged` runs are finished without one; of `undefined` runs the
    value has no meaning (a robust accuracy without an attack); `doubtful` runs have a value, and a status that is not ok. Runs of
    one pair of networks are averaged first (`values`, one per pair), so that each pair weighs the same; mean and std are over
    pairs.
    In a table of single networks each is a pair of its own.
    """

    mean: float
    std: float
    low: float
    high: float
    n: int
    expected: int
    diverged: int
    undefined: int
    n_pairs: int
    n_units: int
    units: str
    values: tuple[float, ...]
    doubtful: int = 0

    @property
    def half(self) -> float:
        """Half-width of the 95 % interval."""
        return (self.high - self.low) / 2

    @property
    def short(self) -> bool:
        """Whether runs are missing, or diverged."""
        return self.n + self.undefined < self.expected


@dataclass(frozen=True)
class Table:
    """Cells by (row key, column key); no cell where the sweep expects no run."""

    definition: TableDefinition
    row_names: Key
    col_names: Key
    row_keys: tuple[Key, ...]
    col_keys: tuple[Key, ...]
    cells: dict[tuple[Key, Key], Cell] = field(repr=False)
    unit_of_mean: Literal["pair", "network"] = "pair"

    @property
    def unit(self) -> str:
        """ "accuracy points", or nothing for a plain number."""
        return "accuracy points" if self.definition.in_points else ""

    def cell(self, row: Key, col: Key) -> Cell | None:
        """The cell at (row, col), or None where no run is expected."""
        return self.cells.get((row, col))


class _Run(NamedTuple):
    run_id: str
    front: str
    end: str
    value: float
    outcome: Literal["missing", "ok", "diverged"]
    doubtful: bool = False


def build(definition: TableDefinition, rows: "pd.DataFrame", expected: "pd.DataFrame", layers: Sequence[str] = ()) -> Table:
    """The table of `definition`: labels and expected n from `expected`, outcome and value from `rows`, joined by run id.

    Args:
        rows: rows of the store, one per finished run (`run_id`, `outcome`, the value); runs not expected are ignored.
        expected: one row per expected run: `run_id`, the columns named as keys, and the networks that a run is about:
            `front_network` and `end_network`, or `network`; where there is neither, every run is a network of its own.
        layers: the layers of the networks, in the order in which they are computed.

    Layers stand in their order, those that are not among `layers` (logits) last; all else stands in order of first appearance in
    `expected`. The order of `rows` changes nothing. A run that is expected under two labels counts in both cells.

    Raises: UserError for an unknown column; InputError for a run stored twice or a value that is no number.
    """
    if definition.controls and tablecontrols.CONTROL not in definition.rows + definition.cols:
        rows, expected = tablecontrols.beside(rows, expected, definition.value)
        definition = definition.model_copy(update={"cols": [*definition.cols, tablecontrols.CONTROL]})
    keys = definition.rows + definition.cols
    for name in ["run_id", *keys]:
        _known(name, expected, f"the runs of job '{definition.job}'")
    expected = tablecontrols.real(expected, keys)
    row_keys, col_keys = keys_of(expected, definition.rows, keys), keys_of(expected, definition.cols, keys)
    cells: dict[tuple[Key, Key], list[_Run]] = defaultdict(list)
    for row, col, run in zip(row_keys, col_keys, _runs(definition, rows, expected), strict=True):
        cells[row, col].append(run)
    scale = 100 if definition.in_points else 1
    return Table(
        definition,
        row_names=tuple(shown(key, keys) for key in definition.rows),
        col_names=tuple(shown(key, keys) for key in definition.cols),
        row_keys=ordered(row_keys, definition.rows, layers),
        col_keys=ordered(col_keys, definition.cols, layers),
        cells={key: _cell(runs, scale) for key, runs in cells.items()},
        unit_of_mean="pair" if "front_network" in expected.columns else "network",
    )


def _known(name: str, frame: "pd.DataFrame", of: str) -> None:
    if name not in frame.columns:
        raise UserError(f"{of} have no column '{name}'", where="table", do=nearest(name, map(str, frame.columns)))


def _runs(definition: TableDefinition, rows: "pd.DataFrame", expected: "pd.DataFrame") -> Iterable[_Run]:
    """Each expected run with what the store holds of it."""
    values, diverged = _stored(definition, rows, expected)
    doubted = doubtful(rows, definition.value)
    for run, front, end in zip(expected["run_id"], *_ends(expected), strict=True):
        outcome = "diverged" if run in diverged else "ok" if run in values else "missing"
        yield _Run(run, str(front), str(end), values[run] if outcome == "ok" else nan, outcome, run in doubted)


def doubtful(rows: "pd.DataFrame", value: str) -> dict[str, str]:
    """By run id, the status that is not ok of a number which stands all the same; none where no status speaks of `value`."""
    if value not in STATUS_OF or not {"status", value} <= set(rows.columns):
        return {}
    found = rows.loc[(rows["status"] != OK) & rows[value].notna()]
    return dict(zip(found["run_id"], found["status"], strict=True))


def _ends(expected: "pd.DataFrame") -> tuple[list[str], list[str]]:
    """Front and end network of each run; a network that stands alone is paired with itself."""
    if "front_network" in expected.columns:
        return list(expected["front_network"]), list(expected["end_network"])
    alone = list(expected["network" if "network" in expected.columns else "run_id"])
    return alone, alone


def _stored(definition: TableDefinition, rows: "pd.DataFrame", expected: "pd.DataFrame") -> tuple[dict[str, float], set[str]]:
    """Value by run id, and the ids of the diverged runs, of the expected runs."""
    if rows.empty:
        return {}, set()
    _known(definition.value, rows, f"the rows of job '{definition.job}'")
    rows = rows.loc[rows["run_id"].isin(expected["run_id"])]
    twice = rows["run_id"][rows["run_id"].duplicated()]
    if len(twice):
        raise InputError(f"run {min(twice)} is stored twice", where="table", do="drop repeated runs: repsim results aggregate")
    values = _numbers(rows, definition.value)
    diverged = rows["run_id"][rows["outcome"] == "diverged"]
    return dict(zip(rows["run_id"], values, strict=True)), set(diverged)


def _numbers(rows: "pd.DataFrame", name: str) -> list[float]:
    """The column `name`, missing values as nan. A list of one number is no number: the next row may hold two."""
    from pandas.api.types import is_list_like

    if any(map(is_list_like, rows[name])):
        raise InputError(f"column '{name}' holds lists", where="table", do="choose a --value of single numbers")
    try:
        return rows[name].to_numpy(dtype=float, na_value=nan).tolist()
    except (TypeError, ValueError):
        raise InputError(f"column '{name}' is no number", where="table", do="choose another --value") from None


def _cell(runs: Sequence[_Run], scale: float) -> Cell:
    distinct = {run.run_id: run for run in sorted(runs, key=lambda run: (run.front, run.end, run.run_id))}.values()
    pairs: dict[tuple[str, str], list[float]] = defaultdict(list)
    for run in distinct:
        if isfinite(run.value):
            pairs[run.front, run.end].append(run.value * scale)
    values = tuple(fmean(of_pair) for of_pair in pairs.values())
    found = interval.over_pairs(values, [front for front, _ in pairs], [end for _, end in pairs])
    return Cell(
        mean=found.mean,
        std=found.std,
        low=found.mean - found.half,
        high=found.mean + found.half,
        n=sum(map(len, pairs.values())),
        expected=len(distinct),
        diverged=sum(run.outcome == "diverged" for run in distinct),
        undefined=sum(run.outcome == "ok" and not isfinite(run.value) for run in distinct),
        n_pairs=len(pairs),
        n_units=found.units,
        units=found.over,
        values=values,
        doubtful=sum(run.doubtful for run in distinct),
    )
