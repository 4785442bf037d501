"""Owns which runs of two tidy tables are the same: by id, else by what was asked for, else with networks by their labels.

An id changes with the version of a job and with the ids of the networks, so two versions of one sweep may share none. What was
asked for tells runs of one job apart; where the networks have other ids, their labels stand for them: architecture and seed.
Only what is unique on both sides is matched: two runs that cannot be told apart are said to be unclear.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from repsim import columns
from repsim.dictionary import ASKED, LABEL
from repsim.errors import UserError, nearest
from repsim.schema import KEY
from repsim.tidy import MISSING, Tidy

NETWORKS = ("front_network", "end_network", "network")


@dataclass(frozen=True)
class Matched:
    """Row numbers: `a[i]` and `b[i]` are the same run. `by` counts how they were matched; unclear ones are in `only_…` too."""

    a: np.ndarray
    b: np.ndarray
    only_a: np.ndarray
    only_b: np.ndarray
    by: dict[str, int]
    unclear: int


def match(a: Tidy, b: Tidy, ignore: Collection[str] = ()) -> Matched:
    """The runs of both tables; lines of runs that are not finished are none.

    Args:
        ignore: columns in which the same run may have been asked for differently.

    Raises: UserError for tables of two jobs, and for an unknown column to ignore.
    """
    ways = _ways(a, b, ignore)
    left = [_finished(a), _finished(b)]
    found: list[tuple[np.ndarray, np.ndarray]] = []
    by, unclear = {}, 0
    for name, names in ways.items():
        codes = _codes(a, b, names, left)
        rows, unclear = _unique_in_both(*codes)
        pairs = (left[0][rows[0]], left[1][rows[1]])
        found.append(pairs)
        by[name] = len(pairs[0])
        left = [np.delete(one, taken) for one, taken in zip(left, rows, strict=True)]
    rows_a, rows_b = (np.concatenate([pair[side] for pair in found]) for side in (0, 1))
    order = np.argsort(rows_a, kind="stable")
    return Matched(rows_a[order], rows_b[order], left[0], left[1], by, unclear)


def _ways(a: Tidy, b: Tidy, ignore: Collection[str]) -> dict[str, list[str]]:
    """By what runs are matched, one way after the other."""
    jobs = a.facts["job"], b.facts["job"]
    if jobs[0] != jobs[1]:
        raise UserError(f"runs of job {jobs[0]} and of job {jobs[1]} have nothing in common", do="name two sweeps of one job")
    both = [name for name in _asked(a) if name in set(_asked(b))]
    for name in ignore:
        if name not in both:
            raise UserError(f"runs are not asked for by '{name}'", where="--ignore", do=nearest(name, both))
    asked = [name for name in both if name not in ignore]
    labels = set(a.of_source(LABEL)) | set(b.of_source(LABEL))
    return {
        "id": [KEY],
        "configuration": [name for name in asked if name not in labels],
        "labels of the networks": [name for name in asked if name not in NETWORKS],
    }


def _asked(tidy: Tidy) -> list[str]:
    there = set(tidy.table.column_names)
    return [one.column for one in tidy.entries if one.column in there and (one.source in (ASKED, LABEL) or one.asked)]


def _finished(tidy: Tidy) -> np.ndarray:
    """Row numbers of the runs that are there."""
    outcome, values = columns.codes(tidy.table["outcome"])
    absent = values.index(MISSING) if MISSING in values else -1
    return np.flatnonzero(outcome != absent)


def _codes(a: Tidy, b: Tidy, names: Sequence[str], left: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """A number for each row that is left of a and of b, equal where all these columns are equal."""
    size = len(left[0])
    whole = np.zeros(size + len(left[1]), np.int64)
    if not size or not len(left[1]):
        return whole[:size], np.arange(1, 1 + len(left[1]))
    for name in names:
        found, values = columns.codes(one_column(_taken(a, name, left[0]), _taken(b, name, left[1])))
        if not (found == found[0]).all():
            _, inverse = np.unique(whole * len(values) + found, return_inverse=True)
            whole = inverse.reshape(-1)
    return whole[:size], whole[size:]


def _taken(tidy: Tidy, name: str, rows: np.ndarray) -> Any:
    import pyarrow as pa

    whole = len(rows) == len(tidy.table)
    return tidy.table[name] if whole else tidy.table[name].take(pa.array(rows, pa.int64()))


def one_column(one: Any, other: Any) -> Any:
    """Two columns as one; what has another type today is compared as text."""
    import pyarrow as pa

    if not one.type.equals(other.type):
        one, other = one.cast(pa.string()), other.cast(pa.string())
    return pa.chunked_array([*one.chunks, *other.chunks], one.type).unify_dictionaries()


def _unique_in_both(a: np.ndarray, b: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], int]:
    """Positions of equal numbers that stand once in a and once in b; and how many of a stand in both, but not once."""
    single_a, single_b = _single(a), _single(b)
    both, rows_a, rows_b = np.intersect1d(a[single_a], b[single_b], assume_unique=True, return_indices=True)
    unclear = int(np.isin(a, b).sum()) - len(both)
    return (single_a[rows_a], single_b[rows_b]), unclear


def _single(values: np.ndarray) -> np.ndarray:
    """Positions of the values that stand there once."""
    _, first, counts = np.unique(values, return_index=True, return_counts=True)
    return first[counts == 1]
