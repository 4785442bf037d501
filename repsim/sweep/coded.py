"""Owns columns of runs as codes: a sweep says few values, over and over, so that each is written once and then pointed at."""

import base64
import sys
from array import array
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

TYPES = (("B", 1 << 8), ("H", 1 << 16), ("I", 1 << 32))
"""Types of codes, and how many values each tells apart."""


@dataclass(frozen=True)
class Column:
    """Values, and for each row which of them it has; no codes where all rows have the first."""

    values: Sequence[Any]
    codes: Sequence[int] | None

    def __getitem__(self, row: int) -> Any:
        return self.values[0 if self.codes is None else self.codes[row]]

    def valued(self, values: Sequence[Any]) -> "Column":
        """The column of what stands in `values` for each of its own. ValueError: there are more or fewer."""
        if len(values) != len(self.values):
            raise ValueError("values and codes do not fit")
        return Column(values, self.codes)

    def all(self, rows: int) -> Iterable[Any]:
        """The value of each of so many rows."""
        return repeat(self.values[0], rows) if self.codes is None else map(self.values.__getitem__, self.codes)

    def at(self, rows: Iterable[int]) -> Iterable[Any]:
        """The value of each of these rows."""
        return (
            map(self.__getitem__, rows) if self.codes is None else map(self.values.__getitem__, map(self.codes.__getitem__, rows))
        )


def of(rows: Iterable[Any]) -> Column:
    """The column of these values. What compares equal and is written otherwise (1, 1.0, True) stays apart."""
    return _column(rows, lambda value: value if type(value) is str else (type(value), repr(value)))


def objects(rows: Iterable[Any]) -> Column:
    """The same of objects that are told apart as such, whatever they hold."""
    return _column(rows, id)


def _column(rows: Iterable[Any], key: Callable[[Any], Hashable]) -> Column:
    whole = list(rows)  # which keeps each alive, so that no two of them share an id
    ids = list(map(id, whole))
    place: dict[Any, int] = {}
    values, codes = [], {}
    for one, value in dict(zip(ids, whole, strict=True)).items():  # few objects, over and over
        code = codes[one] = place.setdefault(key(value), len(values))
        if code == len(values):
            values.append(value)
    return Column(values, list(map(codes.__getitem__, ids)) if len(values) != 1 else None)


def written(column: Column) -> dict[str, Any]:
    """The column as plain JSON."""
    if column.codes is None:
        return {"values": column.values}
    kind = next(kind for kind, most in TYPES if len(column.values) <= most)
    return {"values": column.values, "type": kind, "codes": base64.b64encode(array(kind, column.codes).tobytes()).decode()}


def read(said: dict[str, Any], rows: int) -> Column:
    """The column that `written` wrote for so many rows. ValueError, KeyError or TypeError for what it did not write."""
    values = said["values"]
    if "codes" not in said:
        return Column(values, _checked(None, len(values) == 1))
    codes = array(said["type"])
    codes.frombytes(base64.b64decode(said["codes"]))
    return Column(values, _checked(codes, len(codes) == rows and max(codes, default=0) < len(values)))


def _checked(codes: "array[int] | None", good: bool) -> "array[int] | None":
    if not good:
        raise ValueError("codes and values do not fit")
    return codes


ORDER = sys.byteorder
"""In which order the bytes of a code are written here."""
