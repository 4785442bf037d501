"""Owns the wide form of a tidy table: one line per place (a pair of networks, a layer, …), one column per case and value.

A line is named by its index, a column by a value and the keys that make it: `penalty | linear ps_inv`, and of further keys
`penalty | low | rank=4`. Two runs at one place would hide one another, so they are refused; runs that repeat with another seed have
lines of their own, as their seed is part of the index.
"""

from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from repsim import columns
from repsim.dictionary import ASKED, CASE, LABEL, Entry
from repsim.errors import UserError, nearest
from repsim.tidy import Tidy

if TYPE_CHECKING:
    import pyarrow as pa

PLACE = (
    *("front_arch", "front_made", "front_dataset", "front_seed", "front_network", "front_epoch", "front_layer"),
    *("end_arch", "end_made", "end_dataset", "end_seed", "end_network", "end_epoch", "end_layer"),
    *("arch", "made", "recipe", "seed", "network", "layer", "dataset"),
)
"""What says where a run stands, whether or not the runs differ in it."""
BAR = " | "


def widened(tidy: Tidy, index: Sequence[str] = (), keys: Sequence[str] = (), values: Sequence[str] = ()) -> "pa.Table":
    """The wide table: lines and columns in order of first appearance, null where there is no run or no value.

    Args:
        index: columns that name a line; by default the networks and layers, and all else in which runs differ that the keys
            do not say.
        keys: columns whose values make columns; by default those of the sweep's table (the case).
        values: columns shown; by default the number of the sweep's table.

    Raises: UserError for unknown columns, one that is named twice, and two runs at one place.
    """
    keys, values = list(keys) or _keys(tidy), list(values) or _values(tidy)
    _must_be_apart(tidy, index, keys, values)
    index = list(index) or _index(tidy, keys)
    _must_be_apart(tidy, index, keys, values)
    line, lines = _coded(tidy, index)
    column, heads = _coded(tidy, keys)
    _must_be_single(tidy, line * len(heads) + column, index, keys)
    made = {name: tidy.table[name].take(_rows(line, _first(line), len(lines))) for name in index}
    made |= {
        head(value, keys, said): tidy.table[value].take(_rows(line, column == place, len(lines)))
        for value in values
        for place, said in enumerate(heads)
    }
    return _table(tidy, made, len(index) + len(values) * len(heads), index, values)


def head(value: str, keys: Sequence[str], said: Sequence[Any]) -> str:
    """The name of a column: the value, then the case as it is and other keys with their names."""
    words = [
        ("–" if one is None else str(one)) if key == CASE.column else f"{key}={'–' if one is None else one}"
        for key, one in zip(keys, said, strict=True)
    ]
    return BAR.join([value, *words])


def _keys(tidy: Tidy) -> list[str]:
    return [name for name in tidy.facts.get("table", {}).get("cols", ()) if name in tidy.table.column_names] or [CASE.column]


def _values(tidy: Tidy) -> list[str]:
    value = tidy.facts.get("table", {}).get("value")
    if value not in tidy.table.column_names:
        raise UserError("the sweep has no table that says which number to show", where="--value", do="name a column")
    return [value]


def _index(tidy: Tidy, keys: Sequence[str]) -> list[str]:
    """Where a run stands, and each further thing that was asked for and that neither place nor keys decide."""
    place = [name for name in PLACE if name in tidy.table.column_names and name not in keys]
    place = [name for name in place if tidy.table[name].null_count < len(tidy.table)] or place
    found = list(place)
    for name in asked(tidy):
        if name not in found and name not in keys and not _decided(tidy, name, [*found, *keys]):
            found.append(name)
    for name in found[len(place) :]:  # what one that came later decides: the view, where the measure does
        if _decided(tidy, name, [one for one in (*found, *keys) if one != name]):
            found.remove(name)
    return found


def asked(tidy: Tidy) -> list[str]:
    """The columns by which runs can differ before anything is measured."""
    there = set(tidy.table.column_names)
    return [one.column for one in tidy.entries if one.column in there and (one.source in (ASKED, LABEL) or one.asked)]


def _decided(tidy: Tidy, name: str, by: Sequence[str]) -> bool:
    """Whether runs that are equal in these columns are equal in `name` too."""
    found, values = columns.codes(tidy.table[name])
    if not len(found) or (found == found[0]).all():
        return True
    known, _ = _coded(tidy, by)
    return len(np.unique(known * len(values) + found)) == len(np.unique(known))


def _coded(tidy: Tidy, names: Sequence[str]) -> tuple[np.ndarray, list[tuple[Any, ...]]]:
    """A number for each combination of values, by first appearance of each, and the combinations."""
    if not names:
        return np.zeros(len(tidy.table), np.int64), [()]
    parts = [columns.codes(tidy.table[name]) for name in names]
    code, combined = reduce(_joined, [(found, [(value,) for value in values]) for found, values in parts])
    present, inverse = np.unique(code, return_inverse=True)
    return inverse.reshape(-1), [combined[one] for one in present.tolist()]


Coded = tuple[np.ndarray, list[tuple[Any, ...]]]


def _joined(one: Coded, other: Coded) -> Coded:
    """Two codes as one, of the combinations that occur: many columns would overflow otherwise."""
    whole = one[0] * len(other[1]) + other[0]
    present, inverse = np.unique(whole, return_inverse=True)
    pairs = [divmod(place, len(other[1])) for place in present.tolist()]
    return inverse.reshape(-1), [one[1][first] + other[1][second] for first, second in pairs]


def _first(line: np.ndarray) -> np.ndarray:
    """Whether a row is the first of its line."""
    chosen = np.zeros(len(line), bool)
    chosen[np.unique(line, return_index=True)[1]] = True
    return chosen


def _rows(line: np.ndarray, chosen: np.ndarray, count: int) -> Any:
    """Of each line the row that is chosen, null where there is none."""
    import pyarrow as pa

    found = np.full(count, -1)
    found[line[chosen]] = np.flatnonzero(chosen)
    return pa.array(found, pa.int64(), mask=found < 0)


def _must_be_apart(tidy: Tidy, index: Sequence[str], keys: Sequence[str], values: Sequence[str]) -> None:
    named: dict[str, str] = {}
    for option, names in (("--index", index), ("--columns", keys), ("--value", values)):
        for name in names:
            if name not in tidy.table.column_names:
                raise UserError(f"there is no column '{name}'", where=option, do=nearest(name, tidy.table.column_names))
            if name in named:
                raise UserError(f"'{name}' stands in {named[name]} and in {option}", where=option, do="name it once")
            named[name] = option
            if option != "--value" and "list" in str(tidy.table.schema.field(name).type):
                raise UserError(f"column '{name}' holds lists", where=option, do="lists can only be values")


def _must_be_single(tidy: Tidy, place: np.ndarray, index: Sequence[str], keys: Sequence[str]) -> None:
    """Raise UserError where several runs would stand in one cell."""
    found, counts = np.unique(place, return_counts=True)
    crowded = counts > 1
    if not crowded.any():
        return
    rows = np.flatnonzero(place == found[crowded][0])[:2].tolist()
    one, other = (tidy.table.slice(row, 1).to_pylist()[0] for row in rows)
    differ = [name for name in asked(tidy) if one[name] != other[name]]
    at = ", ".join(f"{name} {one[name]}" for name in [*index, *keys])
    runs = f"{one['run_id']} and {other['run_id']}"
    what = f"{int(crowded.sum()):,} cells would hold several runs; at {at}: {runs}"
    told = f", which differ in {', '.join(differ)}" if differ else ""
    do = f"add {differ[0]} to --index or --columns" if differ else "name what tells them apart in --index"
    raise UserError(what + told, where="--wide", do=do)


def _table(tidy: Tidy, made: dict[str, Any], wanted: int, index: Sequence[str], values: Sequence[str]) -> "pa.Table":
    """The columns with what the dictionary says of each. Raises: UserError where two of them would have one name."""
    import pyarrow as pa

    if len(made) < wanted:
        raise UserError("two columns would have one name", where="--columns", do="name other keys, or rename the cases")
    meanings: dict[str, Entry] = {one.column: one for one in tidy.entries}
    fields = []
    for name, column in made.items():
        entry = meanings.get(name.split(BAR)[0])
        notes = {"description": entry.meaning, "unit": entry.unit, "source": entry.source} if entry else {}
        fields.append(pa.field(name, column.type, metadata=notes))
    return pa.table(list(made.values()), schema=pa.schema(fields))
