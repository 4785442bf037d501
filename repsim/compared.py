"""Owns the comparison of columns in runs that two tidy tables share: numbers, lists of numbers, texts, and one number in pairs.

Nothing equals nothing; nan counts as nothing, as a reader of either sees no number.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import nan
from typing import Any

import numpy as np

from repsim import columns, interval
from repsim.errors import UserError, nearest
from repsim.matched import Matched, one_column
from repsim.schema import KEY
from repsim.tidy import Tidy
from repsim.vectors import computed

SHOWN = 3  # commonest changes of a text
MANY = 10_000  # networks that stand alone, beyond which their interval would take gigabytes
KINDS = ("lost", "found", "reshaped")
OUTCOME, OK = "outcome", "ok"
NETWORKS = {"pair": ("front_network", "end_network"), "network": ("network", "network"), "run": (KEY, KEY)}
"""What runs are averaged by → the columns that name it."""


@dataclass(frozen=True)
class Numbers:
    """A column of numbers in the runs of both; `changed` is what differs by more than the tolerance.

    Of the changed, `lost` and `found` hold nothing on one side, and `reshaped` are lists of unequal lengths. `mean` is that of
    b − a over the others that changed, `largest` the one of largest absolute value, in the runs `run_a` and `run_b`; None where
    there is none. A list counts by its element of largest |b − a|.
    """

    column: str
    unit: str
    equal: int
    within: int
    changed: int
    lost: int = 0
    found: int = 0
    reshaped: int = 0
    mean: float | None = None
    largest: float | None = None
    run_a: str | None = None
    run_b: str | None = None


@dataclass(frozen=True)
class Texts:
    """A column of other values: in how many runs it changed, and the commonest changes as (a, b, runs)."""

    column: str
    changed: int
    common: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True)
class Paired:
    """Mean of b − a of one number over `pairs` (their `runs` averaged first) ± half of its 95 % interval, or nan.

    `of`: what each is: a pair of networks, a network, or where runs are about none a run.
    """

    value: str
    points: bool
    runs: int
    mean: float
    half: float
    pairs: int
    units: int
    over: str
    of: str = "pair"


@dataclass
class Pair:
    """The runs of a and b that are the same, column by column."""

    a: Tidy
    b: Tidy
    matched: Matched
    _numbers: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict, repr=False)

    def both(self, *sources: str) -> list[str]:
        """Columns of these sources that both have."""
        return [name for name in self.a.of_source(*sources) if name in self.b.table.column_names]

    def keys(self, names: Sequence[str]) -> list[Any]:
        """Columns of a in the runs of both. Raises: UserError for one that is not there."""
        for name in names:
            if name not in self.a.table.column_names:
                raise UserError(f"there is no column '{name}'", where="--by", do=nearest(name, self.a.table.column_names))
        return [self._of(self.a, name) for name in names]

    def column(self, name: str, rows: np.ndarray) -> Any:
        """A column of a in some of the runs of both."""
        return self.a.table[name].take(_indices(self.matched.a[rows]))

    def compared(self, name: str, tolerance: float) -> tuple[np.ndarray, Numbers | Texts]:
        """Which runs changed in a column, and what is to be said of it."""
        kinds = [_kind(side.table.schema.field(name).type) for side in (self.a, self.b)]
        if "text" not in kinds and kinds[0] == kinds[1] and self._of(self.a, name).equals(self._of(self.b, name)):
            return np.zeros(len(self.matched.a), bool), Numbers(name, self._unit(name), len(self.matched.a), 0, 0)
        if kinds == ["number", "number"]:
            return self._told(name, tolerance, *_gaps(*self._values(name)))
        if kinds == ["list", "list"]:
            return self._told(name, tolerance, *_list_gaps(self._of(self.a, name), self._of(self.b, name)))
        return self._texts(name)

    def otherwise(self, names: Sequence[str]) -> tuple[Texts, ...]:
        """The columns among `names` that differ in any run."""
        found = (self._texts(name)[1] for name in names)
        return tuple(one for one in found if one.changed)

    def paired(self, value: str, points: bool, rows: np.ndarray) -> Paired:
        """The paired difference of a number in some runs, diverged ones left out. Raises: UserError for no number in both."""
        if not {_kind(side.table.schema.field(value).type) for side in (self.a, self.b)} <= {"number"}:
            raise UserError(f"column '{value}' is no number", where="--value", do="choose a column of single numbers")
        gap = _gaps(*(side[rows] for side in self._values(value)))[0] * (100 if points else 1)
        there = np.isfinite(gap) & self._ok[rows]
        of, names = next(one for one in NETWORKS.items() if all(map(self._said, one[1])))
        coded = [columns.codes(self.column(name, rows[there])) for name in names]
        place, pairs = columns.together(*coded)
        if not there.any():
            return Paired(value, points, 0, nan, nan, 0, 0, "pairs", of)
        means = np.bincount(place, gap[there]) / np.bincount(place)
        if len(set(names)) == 1 and len(pairs) > MANY:
            return Paired(value, points, int(there.sum()), float(means.mean()), nan, len(pairs), len(pairs), "networks", of)
        found = interval.over_pairs(means.tolist(), [str(f) for f, _ in pairs], [str(e) for _, e in pairs])
        return Paired(value, points, int(there.sum()), found.mean, found.half, len(pairs), found.units, found.over, of)

    @cached_property
    def _ok(self) -> np.ndarray:
        """Whether each run ended well in both: the number of one that diverged means nothing."""
        ended = np.ones(len(self.matched.a), bool)
        for side in (self.a, self.b):
            if OUTCOME in side.table.column_names:
                found, values = columns.codes(self._of(side, OUTCOME))
                ended &= found == (values.index(OK) if OK in values else -1)
        return ended

    def _said(self, name: str) -> bool:
        """Whether there is such a column of a that says something of every run."""
        return name in self.a.table.column_names and not self.a.table[name].null_count

    def _of(self, side: Tidy, name: str) -> Any:
        """A column in the runs of both."""
        rows, column = self.matched.a if side is self.a else self.matched.b, side.table[name]
        return column if len(rows) == len(column) and (rows[1:] > rows[:-1]).all() else column.take(_indices(rows))

    def _unit(self, name: str) -> str:
        return next((one.unit for one in self.a.entries if one.column == name), "")

    def _values(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        if name not in self._numbers:
            one, other = (columns.numbers(self._of(side, name).cast("float64")) for side in (self.a, self.b))
            self._numbers[name] = one, other
        return self._numbers[name]

    def _told(
        self, name: str, tolerance: float, gap: np.ndarray, equal: np.ndarray, beside: dict[str, np.ndarray]
    ) -> tuple[np.ndarray, Numbers]:
        """`gap` is b − a, nan where there is no number of it; `beside` names the runs without one."""
        within = ~equal & (np.abs(gap) <= tolerance)
        changed = ~equal & ~within
        lost, found, reshaped = (int((changed & beside[kind]).sum()) if kind in beside else 0 for kind in KINDS)
        told = Numbers(name, self._unit(name), int(equal.sum()), int(within.sum()), int(changed.sum()), lost, found, reshaped)
        rows = np.flatnonzero(changed & ~np.isnan(gap))
        if not len(rows):
            return changed, told
        row = rows[np.argmax(np.abs(gap[rows]))]
        runs = [side.table[KEY][int(at[row])].as_py() for side, at in ((self.a, self.matched.a), (self.b, self.matched.b))]
        mean, largest = float(gap[rows].mean()), float(gap[row])
        return changed, replace(told, mean=mean, largest=largest, run_a=runs[0], run_b=runs[1])

    def _texts(self, name: str) -> tuple[np.ndarray, Texts]:
        one, other = self._of(self.a, name), self._of(self.b, name)
        if _kind(one.type) == "list":
            return np.zeros(len(one), bool), Texts(name, 0, ())
        coded, values = columns.codes(one_column(one, other))
        first, second = coded[: len(one)], coded[len(one) :]
        changed = first != second
        common = Counter(zip(first[changed].tolist(), second[changed].tolist(), strict=True)).most_common(SHOWN)
        said = tuple((_word(values[x]), _word(values[y]), count) for (x, y), count in common)
        return changed, Texts(name, int(changed.sum()), said)


def _word(value: Any) -> str:
    return "nothing" if value is None else str(value)


def _indices(rows: np.ndarray) -> Any:
    import pyarrow as pa

    return pa.array(rows, pa.int64())


def _kind(type: Any) -> str:
    """number, list or text, of an Arrow type."""
    said = str(type)
    return "list" if "list" in said else "number" if said.startswith(("int", "double", "float")) else "text"


Gaps = tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]


def _gaps(one: np.ndarray, other: np.ndarray) -> Gaps:
    """b − a, whether they are equal, and where there is nothing on one side."""
    nothing = np.isnan(one), np.isnan(other)
    with np.errstate(invalid="ignore"):
        gap = other - one
    equal = (one == other) | (nothing[0] & nothing[1])
    return gap, equal, {"lost": ~nothing[0] & nothing[1], "found": nothing[0] & ~nothing[1]}


def _list_gaps(one: Any, other: Any) -> Gaps:
    """The same of lists: the element of largest |b − a|; infinite where a number stands against none."""
    sizes, flat = zip(*map(_flat, (one, other)), strict=True)
    shaped = (sizes[0] == sizes[1]) & (sizes[0] > 0)
    gap, equal = np.full(len(one), nan), (sizes[0] == sizes[1]) & (sizes[0] <= 0)
    x, y = (values[np.repeat(shaped, np.maximum(size, 0))] for values, size in zip(flat, sizes, strict=True))
    elements, same, _ = _gaps(x, y)
    elements = np.where(same, 0.0, np.where(np.isnan(elements), np.inf, elements))
    starts = np.cumsum(sizes[0][shaped]) - sizes[0][shaped]
    if shaped.any():
        high, low = np.maximum.reduceat(elements, starts), np.minimum.reduceat(elements, starts)
        gap[shaped] = np.where(high >= -low, high, low)
        equal[shaped] = np.logical_and.reduceat(same, starts)
    lost, found = (sizes[0] >= 0) & (sizes[1] < 0), (sizes[0] < 0) & (sizes[1] >= 0)
    return gap, equal, {"lost": lost, "found": found, "reshaped": (sizes[0] != sizes[1]) & ~lost & ~found}


def _flat(column: Any) -> tuple[np.ndarray, np.ndarray]:
    """How long each list is, −1 for none, and all their elements."""
    size = columns.numbers(computed("list_value_length", column).cast("float64"))
    return np.nan_to_num(size, nan=-1).astype(np.int64), columns.numbers(computed("list_flatten", column).cast("float64"))
