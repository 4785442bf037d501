"""Owns the few computations on columns that the store needs; none of them imports pandas, which would take a second.

`pa.array` of a list would, so values go to Arrow through buffers; the functions are called by name, as Arrow makes the others when
it is imported.
"""

from array import array
from collections import Counter
from collections.abc import Collection, Sequence
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

FEW = 10_000


class Wanted:
    """Texts, and where a column has one of them."""

    def __init__(self, values: Collection[str]):
        self._values = frozenset(values)

    def rows(self, column: Any) -> "pa.Array":
        """Positions of the values that are wanted."""
        if len(column) < FEW:  # else the whole set would be hashed anew for each of many small parts
            return positions([row for row, value in enumerate(column.to_pylist()) if value in self._values])
        return computed("indices_nonzero", _is_in(column, self._array))

    @cached_property
    def _array(self) -> "pa.Array":
        return texts(list(self._values))


def computed(name: str, *values: Any, options: Any = None) -> Any:
    """The compute function `name` of Arrow."""
    import pyarrow.compute as pc

    return pc.call_function(name, list(values), options)


def any_matches(column: Any, function: str, pattern: str) -> bool:
    """Whether a text of `column` matches: `match_substring` or `starts_with`."""
    import pyarrow.compute as pc

    return bool(computed("any", computed(function, column, options=pc.MatchSubstringOptions(pattern))).as_py())


def unpacked_bytes(column: Any) -> int:
    """Bytes of the text of a dictionary-encoded column once each value is written out."""
    lengths = (computed("take", computed("binary_length", one.dictionary), one.indices) for one in column.chunks)
    return sum(computed("sum", one).as_py() or 0 for one in lengths)


def ascends(column: Any) -> bool:
    """Whether each text comes before the next, as in a merged part: then there are no duplicates either."""
    return len(column) < 2 or bool(computed("all", computed("less", column[:-1], column[1:])).as_py())


def twice(column: Any) -> list[str]:
    """Texts that stand there more than once, sorted."""
    if ascends(column) or len(column.unique()) == len(column):
        return []
    return sorted(value for value, count in Counter(column.to_pylist()).items() if count > 1)


def order(column: Any, wanted: Sequence[str] | None) -> "pa.Array | None":
    """Positions of the distinct texts of `column` in the order of `wanted`, else sorted; None where they stand so."""
    import pyarrow.compute as pc

    if wanted is not None:
        place = {value: row for row, value in enumerate(column.to_pylist())}
        return positions([place[value] for value in wanted if value in place])
    return None if ascends(column) else pc.call_function("array_sort_indices", [column])


def without(table: "pa.Table", name: str, values: Sequence[str]) -> "pa.Table":
    """The rows of `table` whose text in column `name` is none of `values`."""
    return table.filter(computed("invert", _is_in(table[name], texts(values))))


def positions(rows: Sequence[int]) -> "pa.Array":
    """Row numbers."""
    import pyarrow as pa

    return pa.Array.from_buffers(pa.int64(), len(rows), [None, pa.py_buffer(array("q", rows))])


def texts(values: Sequence[str]) -> "pa.Array":
    """Strings."""
    import pyarrow as pa

    whole = "".join(values).encode()
    lengths = map(len, values) if whole.isascii() else (len(value.encode()) for value in values)
    offsets = array("i", accumulate(lengths, initial=0))
    return pa.Array.from_buffers(pa.string(), len(values), [None, pa.py_buffer(offsets), pa.py_buffer(whole)])


def _is_in(column: Any, values: "pa.Array") -> Any:
    import pyarrow.compute as pc

    return computed("is_in", column, options=pc.SetLookupOptions(values))
